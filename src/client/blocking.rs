//! The same calls for programs without a runtime: scripts, tests, threads.
//!
//! Each method blocks the calling thread until the call of the same name of the async
//! [`Client`](super::Client) is done, and has its guarantees and errors. The connections, and the
//! tasks that renew leases and keep caches up to date, live on one thread of the client's own,
//! which ends with the last of its objects.
//!
//! Called in an async context, these methods panic: they would block its runtime.
//!
//! ```no_run
//! use coracle::client::blocking::{Client, Lock};
//! use coracle::client::{Error, Options, Transaction};
//!
//! # fn example() -> Result<(), Error> {
//! let mut client = Client::connect(["127.0.0.1:9000"], Options::default())?;
//! let guard = Lock::new("locks/reports")?.acquire(&mut client)?;
//! client.transaction(Transaction::new().fence(guard.fence()).set("report", 0, b"ready"))?;
//! guard.release()?;
//! client.close()
//! # }
//! ```

mod recipes;
mod runtime;

use std::sync::Arc;
use std::time::Duration;

pub use recipes::{Cache, Counter, Election, Leadership, Lock, LockGuard, Observer};
use runtime::Runtime;
use tokio::time::timeout;

use super::{
    Changes, Committed, Error, Item, LeaseInfo, LeaseLost, Moment, Options, Page, Status,
    Transaction, WatchSpec,
};

/// A client of one cluster, as [`super::Client`].
#[derive(Debug)]
pub struct Client {
    inner: super::Client,
    runtime: Arc<Runtime>,
}

/// Reads of the store as it was at one revision, as [`super::At`].
#[derive(Debug)]
pub struct At<'a> {
    inner: super::At<'a>,
    runtime: &'a Runtime,
}

/// A lease that is renewed in the background, as [`super::Lease`].
#[derive(Debug)]
pub struct Lease {
    inner: super::Lease,
    runtime: Arc<Runtime>,
}

/// The changes of keys, as [`super::Watch`]. It is an iterator that waits for the next changes.
#[derive(Debug)]
pub struct Watch {
    inner: super::Watch,
    runtime: Arc<Runtime>,
}

impl Client {
    /// As [`super::Client::connect`].
    ///
    /// # Errors
    /// As there; and [`Error::Unavailable`] when the system gives no thread or no event queue.
    pub fn connect<S: Into<String>>(
        servers: impl IntoIterator<Item = S>,
        options: Options,
    ) -> Result<Client, Error> {
        let runtime = Runtime::start()
            .map_err(|error| Error::Unavailable { last: format!("no runtime: {error}") })?;
        let inner = runtime.block_on(super::Client::connect(servers, options))?;
        Ok(Client { inner, runtime: Arc::new(runtime) })
    }

    /// As [`super::Client::sibling`]. The two share their thread.
    #[must_use]
    pub fn sibling(&self) -> Client {
        Client { inner: self.inner.sibling(), runtime: Arc::clone(&self.runtime) }
    }

    /// As [`super::Client::set`].
    ///
    /// # Errors
    /// As there.
    pub fn set(&mut self, key: impl AsRef<[u8]>, exptime: u64, value: &[u8]) -> Result<u64, Error> {
        self.runtime.block_on(self.inner.set(key, exptime, value))
    }

    /// As [`super::Client::add`].
    ///
    /// # Errors
    /// As there.
    pub fn add(&mut self, key: impl AsRef<[u8]>, exptime: u64, value: &[u8]) -> Result<u64, Error> {
        self.runtime.block_on(self.inner.add(key, exptime, value))
    }

    /// As [`super::Client::cas`].
    ///
    /// # Errors
    /// As there.
    pub fn cas(
        &mut self,
        key: impl AsRef<[u8]>,
        exptime: u64,
        version: u64,
        value: &[u8],
    ) -> Result<u64, Error> {
        self.runtime.block_on(self.inner.cas(key, exptime, version, value))
    }

    /// As [`super::Client::set_with_lease`].
    ///
    /// # Errors
    /// As there.
    pub fn set_with_lease(
        &mut self,
        key: impl AsRef<[u8]>,
        exptime: u64,
        value: &[u8],
        lease: u64,
    ) -> Result<u64, Error> {
        self.runtime.block_on(self.inner.set_with_lease(key, exptime, value, lease))
    }

    /// As [`super::Client::add_with_lease`].
    ///
    /// # Errors
    /// As there.
    pub fn add_with_lease(
        &mut self,
        key: impl AsRef<[u8]>,
        exptime: u64,
        value: &[u8],
        lease: u64,
    ) -> Result<u64, Error> {
        self.runtime.block_on(self.inner.add_with_lease(key, exptime, value, lease))
    }

    /// As [`super::Client::cas_with_lease`].
    ///
    /// # Errors
    /// As there.
    pub fn cas_with_lease(
        &mut self,
        key: impl AsRef<[u8]>,
        exptime: u64,
        version: u64,
        value: &[u8],
        lease: u64,
    ) -> Result<u64, Error> {
        self.runtime.block_on(self.inner.cas_with_lease(key, exptime, version, value, lease))
    }

    /// As [`super::Client::delete`].
    ///
    /// # Errors
    /// As there.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<(), Error> {
        self.runtime.block_on(self.inner.delete(key))
    }

    /// As [`super::Client::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get(&mut self, key: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
        self.runtime.block_on(self.inner.get(key))
    }

    /// As [`super::Client::getm`].
    ///
    /// # Errors
    /// As there.
    pub fn getm(&mut self, key: impl AsRef<[u8]>) -> Result<Item, Error> {
        self.runtime.block_on(self.inner.getm(key))
    }

    /// As [`super::Client::scan`].
    ///
    /// # Errors
    /// As there.
    pub fn scan(
        &mut self,
        prefix: impl AsRef<[u8]>,
        limit: u64,
        after: Option<&[u8]>,
    ) -> Result<Page, Error> {
        self.runtime.block_on(self.inner.scan(prefix, limit, after))
    }

    /// As [`super::Client::scan_all`].
    ///
    /// # Errors
    /// As there.
    pub fn scan_all(&mut self, prefix: impl AsRef<[u8]>) -> Result<Moment, Error> {
        self.runtime.block_on(self.inner.scan_all(prefix))
    }

    /// As [`super::Client::at`].
    pub fn at(&mut self, revision: u64) -> At<'_> {
        At { inner: self.inner.at(revision), runtime: &self.runtime }
    }

    /// As [`super::Client::revision`].
    ///
    /// # Errors
    /// As there.
    pub fn revision(&mut self) -> Result<u64, Error> {
        self.runtime.block_on(self.inner.revision())
    }

    /// As [`super::Client::compact`].
    ///
    /// # Errors
    /// As there.
    pub fn compact(&mut self, revision: u64) -> Result<u64, Error> {
        self.runtime.block_on(self.inner.compact(revision))
    }

    /// As [`super::Client::transaction`].
    ///
    /// # Errors
    /// As there.
    pub fn transaction(&mut self, transaction: Transaction) -> Result<Committed, Error> {
        self.runtime.block_on(self.inner.transaction(transaction))
    }

    /// As [`super::Client::grant`].
    ///
    /// # Errors
    /// As there.
    pub fn grant(&mut self, seconds: u64) -> Result<u64, Error> {
        self.runtime.block_on(self.inner.grant(seconds))
    }

    /// As [`super::Client::grant_as`].
    ///
    /// # Errors
    /// As there.
    pub fn grant_as(&mut self, id: u64, seconds: u64) -> Result<(), Error> {
        self.runtime.block_on(self.inner.grant_as(id, seconds))
    }

    /// As [`super::Client::renew`].
    ///
    /// # Errors
    /// As there.
    pub fn renew(&mut self, id: u64) -> Result<u64, Error> {
        self.runtime.block_on(self.inner.renew(id))
    }

    /// As [`super::Client::revoke`].
    ///
    /// # Errors
    /// As there.
    pub fn revoke(&mut self, id: u64) -> Result<bool, Error> {
        self.runtime.block_on(self.inner.revoke(id))
    }

    /// As [`super::Client::lease_info`].
    ///
    /// # Errors
    /// As there.
    pub fn lease_info(&mut self, id: u64) -> Result<LeaseInfo, Error> {
        self.runtime.block_on(self.inner.lease_info(id))
    }

    /// As [`super::Client::lease`].
    ///
    /// # Errors
    /// As there.
    pub fn lease(&mut self, seconds: u64) -> Result<Lease, Error> {
        let inner = self.runtime.block_on(self.inner.lease(seconds))?;
        Ok(Lease { inner, runtime: Arc::clone(&self.runtime) })
    }

    /// As [`super::Client::watch`].
    ///
    /// # Errors
    /// As there.
    pub fn watch(&self, spec: WatchSpec) -> Result<Watch, Error> {
        let inner = self.runtime.block_on(self.inner.watch(spec))?;
        Ok(Watch { inner, runtime: Arc::clone(&self.runtime) })
    }

    /// As [`super::Client::read_and_watch`].
    ///
    /// # Errors
    /// As there.
    pub fn read_and_watch(&mut self, prefix: impl AsRef<[u8]>) -> Result<(Moment, Watch), Error> {
        let (moment, inner) = self.runtime.block_on(self.inner.read_and_watch(prefix))?;
        Ok((moment, Watch { inner, runtime: Arc::clone(&self.runtime) }))
    }

    /// As [`super::Client::status`].
    ///
    /// # Errors
    /// As there.
    pub fn status(&mut self) -> Result<Status, Error> {
        self.runtime.block_on(self.inner.status())
    }

    /// As [`super::Client::close`].
    ///
    /// # Errors
    /// As there.
    pub fn close(self) -> Result<(), Error> {
        self.runtime.block_on(self.inner.close())
    }
}

impl At<'_> {
    /// As [`super::At::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get(self, key: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
        self.runtime.block_on(self.inner.get(key))
    }

    /// As [`super::At::getm`].
    ///
    /// # Errors
    /// As there.
    pub fn getm(self, key: impl AsRef<[u8]>) -> Result<Item, Error> {
        self.runtime.block_on(self.inner.getm(key))
    }

    /// As [`super::At::scan`].
    ///
    /// # Errors
    /// As there.
    pub fn scan(
        self,
        prefix: impl AsRef<[u8]>,
        limit: u64,
        after: Option<&[u8]>,
    ) -> Result<Page, Error> {
        self.runtime.block_on(self.inner.scan(prefix, limit, after))
    }
}

impl Lease {
    /// The id, for the writes that go with the lease.
    pub fn id(&self) -> u64 {
        self.inner.id()
    }

    /// As [`super::Lease::remaining`].
    pub fn remaining(&self) -> Duration {
        self.inner.remaining()
    }

    /// As [`super::Lease::is_alive`].
    pub fn is_alive(&self) -> bool {
        self.inner.is_alive()
    }

    /// As [`super::Lease::lost`].
    pub fn lost(&self) -> LeaseLost {
        self.runtime.block_on(self.inner.lost())
    }

    /// As [`super::Lease::revoke`].
    ///
    /// # Errors
    /// As there.
    pub fn revoke(self) -> Result<bool, Error> {
        self.runtime.block_on(self.inner.revoke())
    }

    /// As [`super::Lease::leave`].
    pub fn leave(self) {
        self.inner.leave();
    }
}

impl Watch {
    /// The next changes, if they come within this time; `None` otherwise, and after an error.
    pub fn next_within(&mut self, patience: Duration) -> Option<Result<Changes, Error>> {
        let next = async { timeout(patience, self.inner.next()).await.ok().flatten() };
        self.runtime.block_on(next)
    }

    /// As [`super::Watch::revision`].
    pub fn revision(&self) -> u64 {
        self.inner.revision()
    }
}

impl Iterator for Watch {
    type Item = Result<Changes, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.runtime.block_on(self.inner.next())
    }
}
