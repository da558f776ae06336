//! The keys of the cluster, to complete what a person has begun to type.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use coracle::client::blocking::Client;
use coracle::client::{Error, Options};

/// Maximum number of keys that are offered.
const KEYS_MAX: usize = 50;
/// Time after which those are offered that are known.
const PATIENCE: Duration = Duration::from_millis(500);

/// The keys of a cluster. It is connected to when the first ones are asked for.
pub struct Keys {
    servers: Vec<String>,
    client: RefCell<Option<Client>>,
}

impl Keys {
    /// The keys of the cluster to which these servers belong.
    pub fn of(servers: Vec<String>) -> Keys {
        Keys { servers, client: RefCell::new(None) }
    }

    /// Keys that begin with `prefix`, in their order. Those that go on behind a slash are offered
    /// up to the slash, as directories are. Without an answer there are none.
    pub fn beginning_with(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut client = self.client.borrow_mut();
        let until = Instant::now() + PATIENCE;
        if client.is_none() {
            let options = Options { deadline: PATIENCE, ..Options::default() };
            *client = Client::connect(self.servers.iter().map(String::as_str), options).ok();
        }
        let Some(client) = client.as_mut() else { return Vec::new() };
        let next = |after: Option<&[u8]>| -> Result<Option<Vec<u8>>, Error> {
            let page = client.scan(prefix, 1, after)?;
            Ok(page.items.into_iter().next().map(|item| item.key))
        };
        gather(prefix, next, || Instant::now() >= until)
    }
}

/// Gathers keys from `next`, which gives the first key after another one, until it gives no more,
/// `is_late` says so, or there are [`KEYS_MAX`].
fn gather<E>(
    prefix: &[u8],
    mut next: impl FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>, E>,
    is_late: impl Fn() -> bool,
) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    while keys.len() < KEYS_MAX && !is_late() {
        let Ok(Some(mut key)) = next(after.as_deref()) else { break };
        let slash = key[prefix.len()..].iter().position(|byte| *byte == b'/');
        let mut last = key.clone();
        if let Some(slash) = slash {
            key.truncate(prefix.len() + slash + 1);
            // No text has this byte: all keys with the slash that are text are before it.
            last = [&key[..], &[0xff]].concat().max(last);
        }
        after = Some(last);
        if keys.last() != Some(&key) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
mod tests;
