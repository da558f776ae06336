//! A counter.

use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use tokio::time::{Instant, sleep};

use crate::client::{Client, Error, name_of};

/// A number that many clients raise and lower.
///
/// # Guarantees
/// Each call of [`Counter::add`] that returns a number was counted exactly once, whatever died
/// meanwhile, and no two calls that add something but 0 return the number of the same moment: each
/// returned number is the sum of all that was counted before it, and itself. After
/// [`Error::Unknown`] the call was counted once or not at all.
///
/// In the store it is a key whose value is a decimal number. An absent key counts as 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    key: Bytes,
    /// The number and its version as this client saw them last.
    seen: Option<(i64, u64)>,
}

/// The longest pause after another client was faster.
const PAUSE_MAX: Duration = Duration::from_millis(100);

impl Counter {
    /// The counter in this key.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when it cannot be a key.
    pub fn new(key: impl AsRef<[u8]>) -> Result<Counter, Error> {
        Ok(Counter { key: name_of(key)?, seen: None })
    }

    /// The number.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the value of the key is no number; see [`Error`].
    pub async fn get(&mut self, client: &mut Client) -> Result<i64, Error> {
        Ok(self.read(client).await?.0)
    }

    /// Adds to the number, and returns the sum.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the value of the key is no number, or the sum too large;
    /// [`Error::Unavailable`] when other clients were faster until the deadline; see [`Error`].
    pub async fn add(&mut self, client: &mut Client, number: i64) -> Result<i64, Error> {
        let deadline = Instant::now() + client.options.deadline;
        let mut pause = Duration::from_millis(1);
        loop {
            let (before, version) = match self.seen.take() {
                Some(seen) => seen,
                None => self.read(client).await?,
            };
            let sum = before.checked_add(number).ok_or_else(|| {
                Error::InvalidArgument("the sum is beyond a number of 64 bits".into())
            })?;
            match client.cas(&self.key, 0, version, sum.to_string().as_bytes()).await {
                Ok(version) => {
                    self.seen = Some((sum, version));
                    return Ok(sum);
                }
                Err(Error::VersionMismatch { .. }) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() + pause >= deadline {
                let last = "other clients were faster each time".into();
                return Err(Error::Unavailable { last });
            }
            sleep(pause.mul_f64(client.rng.random_range(0.0..1.0))).await;
            pause = PAUSE_MAX.min(2 * pause);
        }
    }

    async fn read(&mut self, client: &mut Client) -> Result<(i64, u64), Error> {
        let read = match client.getm(&self.key).await {
            Ok(item) => (number_in(&item.value)?, item.version),
            Err(Error::NotFound) => (0, 0),
            Err(error) => return Err(error),
        };
        self.seen = Some(read);
        Ok(read)
    }
}

fn number_in(value: &[u8]) -> Result<i64, Error> {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| Error::InvalidArgument("the value of the key is no number".into()))
}
