//! A lock with a fencing token.

use std::future::pending;

use super::queue::{Place, Queue};
use crate::client::{Client, Error, Fence, Lease, LeaseLost};

/// The time of a lease when nothing else is said, in seconds.
pub(super) const SECONDS: u64 = 10;

/// A lock that is held by one client at a time, of those who use the same name.
///
/// # Guarantees
/// - **Order.** Clients get the lock in the order in which they have asked for it. A hand-over
///   wakes the next one and nobody else, and writes one entry, however many wait.
/// - **Liveness.** The place of a client that dies, waiting or holding, is gone when its lease is
///   over. A change of the leader neither gives the lock to somebody else nor changes the order.
/// - **Exclusion, of what is fenced.** Between two looks at a clock any process may be stopped for
///   any time, and learns too late that it is no longer the holder. So no lock of this kind, in any
///   system, keeps two processes apart by itself. What a holder writes under its *fencing token*
///   is safe: [`Transaction::fence`](crate::client::Transaction::fence) makes a transaction depend
///   on the lock being held at the moment of its execution, and a store of another kind can
///   refuse a token that is lower than one that it has seen. Tokens rise from holder to holder.
/// - **Notice.** [`LockGuard::lost`] returns before the servers give the lock to another one, as
///   long as this process runs, and the clocks of its machine and of the leader run alike within
///   one part in fifty.
///
/// ```no_run
/// # use coracle::client::recipes::Lock;
/// # use coracle::client::{Client, Error, Transaction};
/// # async fn example(client: &mut Client) -> Result<(), Error> {
/// let guard = Lock::new("locks/reports")?.acquire(client).await?;
/// let write = Transaction::new().fence(guard.fence()).set("report", 0, b"ready");
/// match client.transaction(write).await {
///     Ok(_) => println!("written by the holder with token {}", guard.token()),
///     Err(Error::Aborted { .. }) => println!("somebody else holds the lock by now"),
///     Err(error) => return Err(error),
/// }
/// guard.release().await?;
/// # Ok(())
/// # }
/// ```
///
/// In the store, the place of a client is the key `<name>/<lease>`, with the id of its lease in 16
/// hexadecimal digits and the holder's text for a value. To take the lock from a client, revoke its
/// lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    queue: Queue,
    seconds: u64,
    holder: Vec<u8>,
}

/// A lock that is held. Dropped, it is released in the background, without a promise: at the latest
/// when its lease is over.
#[derive(Debug)]
pub struct LockGuard {
    place: Place,
}

impl Lock {
    /// The lock of this name. It may be as long as a key without 17 bytes.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when it cannot be the beginning of a key.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Lock, Error> {
        Ok(Lock { queue: Queue::new(name)?, seconds: SECONDS, holder: Vec::new() })
    }

    /// The time of the lease, in seconds: so long others wait for a holder that has died. Default:
    /// 10.
    #[must_use]
    pub fn seconds(self, seconds: u64) -> Lock {
        Lock { seconds, ..self }
    }

    /// A text that tells others who waits or holds.
    #[must_use]
    pub fn holder(self, text: &[u8]) -> Lock {
        Lock { holder: text.to_vec(), ..self }
    }

    /// Waits for the lock, for as long as others hold it. Cancel-safe: a client that no longer
    /// waits loses its place.
    ///
    /// # Errors
    /// [`Error::NoLease`] when this process was stopped for longer than its lease lasts, or
    /// somebody has revoked it: the place in the queue is lost, and the lock was not held; see
    /// [`Error`].
    pub async fn acquire(&self, client: &mut Client) -> Result<LockGuard, Error> {
        let turn = self.acquire_until(client, pending()).await?;
        Ok(turn.expect("nobody gives up"))
    }

    /// Waits for the lock until `give_up` is ready; then it returns `None`, and the place in the
    /// queue is no longer there. Cancel-safe as [`Lock::acquire`].
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub async fn acquire_until(
        &self,
        client: &mut Client,
        give_up: impl Future<Output = ()>,
    ) -> Result<Option<LockGuard>, Error> {
        let own = (self.seconds, &self.holder[..]);
        let turn = self.queue.wait_for_turn(client, own, give_up).await?;
        Ok(turn.map(|place| LockGuard { place }))
    }

    /// Takes the lock if nobody holds it or waits for it; `None` otherwise.
    ///
    /// # Errors
    /// As [`Lock::acquire`].
    pub async fn try_acquire(&self, client: &mut Client) -> Result<Option<LockGuard>, Error> {
        if self.queue.head(client).await?.is_some() {
            return Ok(None);
        }
        let turn = self.queue.try_turn(client, self.seconds, &self.holder).await?;
        Ok(turn.map(|place| LockGuard { place }))
    }

    /// The text of the present holder; `None` when nobody holds the lock.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn holder_of(&self, client: &mut Client) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.queue.head(client).await?.map(|place| place.value))
    }
}

impl LockGuard {
    /// The fencing token: higher than that of every holder before.
    pub fn token(&self) -> u64 {
        self.place.fence().token
    }

    /// The proof that the lock is held, for transactions.
    pub fn fence(&self) -> &Fence {
        self.place.fence()
    }

    /// The lease that the lock is held by.
    pub fn lease(&self) -> &Lease {
        self.place.lease()
    }

    /// True while the lock is held for certain: see the guarantees of [`Lock`].
    pub fn is_held(&self) -> bool {
        self.place.lease().is_alive()
    }

    /// Waits until the lock is no longer held for certain. Then what it protects must stop at once.
    pub async fn lost(&self) -> LeaseLost {
        self.place.lease().lost().await
    }

    /// Releases the lock. Returns false when it was lost before. It releases this acquisition and
    /// no other, however often it is tried.
    ///
    /// # Errors
    /// When no server answered; the lock is released when its lease is over; see [`Error`].
    pub async fn release(self) -> Result<bool, Error> {
        self.place.leave().await
    }
}
