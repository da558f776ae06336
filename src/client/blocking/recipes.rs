//! The recipes for blocking clients.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::Client;
use super::runtime::Runtime;
use crate::client::recipes::{self, CachedItem, Leader, View};
use crate::client::{self, Error, Fence, LeaseLost};

/// A lock, as [`recipes::Lock`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    inner: recipes::Lock,
}

/// A lock that is held, as [`recipes::LockGuard`].
#[derive(Debug)]
pub struct LockGuard {
    inner: recipes::LockGuard,
    runtime: Arc<Runtime>,
}

/// An election, as [`recipes::Election`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    inner: recipes::Election,
}

/// The leadership of this client, as [`recipes::Leadership`].
#[derive(Debug)]
pub struct Leadership {
    inner: recipes::Leadership,
    runtime: Arc<Runtime>,
}

/// Tells who leads, as [`recipes::Observer`].
#[derive(Debug)]
pub struct Observer {
    inner: recipes::Observer,
    runtime: Arc<Runtime>,
}

/// A counter, as [`recipes::Counter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    inner: recipes::Counter,
}

/// A copy of the keys with a prefix, as [`recipes::Cache`].
#[derive(Debug)]
pub struct Cache {
    inner: recipes::Cache,
    runtime: Arc<Runtime>,
}

impl Lock {
    /// As [`recipes::Lock::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Lock, Error> {
        Ok(Lock { inner: recipes::Lock::new(name)? })
    }

    /// As [`recipes::Lock::seconds`].
    #[must_use]
    pub fn seconds(self, seconds: u64) -> Lock {
        Lock { inner: self.inner.seconds(seconds) }
    }

    /// As [`recipes::Lock::holder`].
    #[must_use]
    pub fn holder(self, text: &[u8]) -> Lock {
        Lock { inner: self.inner.holder(text) }
    }

    /// As [`recipes::Lock::acquire`].
    ///
    /// # Errors
    /// As there.
    pub fn acquire(&self, client: &mut Client) -> Result<LockGuard, Error> {
        let inner = client.runtime.block_on(self.inner.acquire(&mut client.inner))?;
        Ok(LockGuard { inner, runtime: Arc::clone(&client.runtime) })
    }

    /// Waits for the lock for as long as `patience`; `None` when it is not held by then, and the
    /// place in the queue is no longer there.
    ///
    /// # Errors
    /// As [`recipes::Lock::acquire`].
    pub fn acquire_within(
        &self,
        client: &mut Client,
        patience: Duration,
    ) -> Result<Option<LockGuard>, Error> {
        let turn = async { self.inner.acquire_until(&mut client.inner, sleep(patience)).await };
        let inner = client.runtime.block_on(turn)?;
        let runtime = Arc::clone(&client.runtime);
        Ok(inner.map(|inner| LockGuard { inner, runtime }))
    }

    /// As [`recipes::Lock::try_acquire`].
    ///
    /// # Errors
    /// As there.
    pub fn try_acquire(&self, client: &mut Client) -> Result<Option<LockGuard>, Error> {
        let inner = client.runtime.block_on(self.inner.try_acquire(&mut client.inner))?;
        let runtime = Arc::clone(&client.runtime);
        Ok(inner.map(|inner| LockGuard { inner, runtime }))
    }

    /// As [`recipes::Lock::holder_of`].
    ///
    /// # Errors
    /// As there.
    pub fn holder_of(&self, client: &mut Client) -> Result<Option<Vec<u8>>, Error> {
        client.runtime.block_on(self.inner.holder_of(&mut client.inner))
    }
}

impl LockGuard {
    /// As [`recipes::LockGuard::token`].
    pub fn token(&self) -> u64 {
        self.inner.token()
    }

    /// As [`recipes::LockGuard::fence`].
    pub fn fence(&self) -> &Fence {
        self.inner.fence()
    }

    /// As [`recipes::LockGuard::lease`].
    pub fn lease(&self) -> &client::Lease {
        self.inner.lease()
    }

    /// As [`recipes::LockGuard::is_held`].
    pub fn is_held(&self) -> bool {
        self.inner.is_held()
    }

    /// As [`recipes::LockGuard::lost`].
    pub fn lost(&self) -> LeaseLost {
        self.runtime.block_on(self.inner.lost())
    }

    /// As [`recipes::LockGuard::release`].
    ///
    /// # Errors
    /// As there.
    pub fn release(self) -> Result<bool, Error> {
        self.runtime.block_on(self.inner.release())
    }
}

impl Election {
    /// As [`recipes::Election::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Election, Error> {
        Ok(Election { inner: recipes::Election::new(name)? })
    }

    /// As [`recipes::Election::seconds`].
    #[must_use]
    pub fn seconds(self, seconds: u64) -> Election {
        Election { inner: self.inner.seconds(seconds) }
    }

    /// As [`recipes::Election::campaign`].
    ///
    /// # Errors
    /// As there.
    pub fn campaign(&self, client: &mut Client, value: &[u8]) -> Result<Leadership, Error> {
        let inner = client.runtime.block_on(self.inner.campaign(&mut client.inner, value))?;
        Ok(Leadership { inner, runtime: Arc::clone(&client.runtime) })
    }

    /// As [`recipes::Election::leader`].
    ///
    /// # Errors
    /// As there.
    pub fn leader(&self, client: &mut Client) -> Result<Option<Leader>, Error> {
        client.runtime.block_on(self.inner.leader(&mut client.inner))
    }

    /// As [`recipes::Election::observe`].
    ///
    /// # Errors
    /// As there.
    pub fn observe(&self, client: &Client) -> Result<Observer, Error> {
        let inner = client.runtime.block_on(self.inner.observe(&client.inner))?;
        Ok(Observer { inner, runtime: Arc::clone(&client.runtime) })
    }
}

impl Leadership {
    /// As [`recipes::Leadership::token`].
    pub fn token(&self) -> u64 {
        self.inner.token()
    }

    /// As [`recipes::Leadership::fence`].
    pub fn fence(&self) -> &Fence {
        self.inner.fence()
    }

    /// As [`recipes::Leadership::lease`].
    pub fn lease(&self) -> &client::Lease {
        self.inner.lease()
    }

    /// As [`recipes::Leadership::is_held`].
    pub fn is_held(&self) -> bool {
        self.inner.is_held()
    }

    /// As [`recipes::Leadership::lost`].
    pub fn lost(&self) -> LeaseLost {
        self.runtime.block_on(self.inner.lost())
    }

    /// As [`recipes::Leadership::resign`].
    ///
    /// # Errors
    /// As there.
    pub fn resign(self) -> Result<bool, Error> {
        self.runtime.block_on(self.inner.resign())
    }
}

impl Observer {
    /// As [`recipes::Observer::next`].
    ///
    /// # Errors
    /// As there.
    pub fn wait(&mut self) -> Result<Option<Leader>, Error> {
        self.runtime.block_on(self.inner.next())
    }
}

impl Counter {
    /// As [`recipes::Counter::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(key: impl AsRef<[u8]>) -> Result<Counter, Error> {
        Ok(Counter { inner: recipes::Counter::new(key)? })
    }

    /// As [`recipes::Counter::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get(&mut self, client: &mut Client) -> Result<i64, Error> {
        client.runtime.block_on(self.inner.get(&mut client.inner))
    }

    /// As [`recipes::Counter::add`].
    ///
    /// # Errors
    /// As there.
    pub fn add(&mut self, client: &mut Client, number: i64) -> Result<i64, Error> {
        client.runtime.block_on(self.inner.add(&mut client.inner, number))
    }
}

impl Cache {
    /// As [`recipes::Cache::load`].
    ///
    /// # Errors
    /// As there.
    pub fn load(client: &Client, prefix: impl AsRef<[u8]>) -> Result<Cache, Error> {
        let inner = client.runtime.block_on(recipes::Cache::load(&client.inner, prefix))?;
        Ok(Cache { inner, runtime: Arc::clone(&client.runtime) })
    }

    /// As [`recipes::Cache::view`].
    pub fn view(&self) -> View {
        self.inner.view()
    }

    /// As [`recipes::Cache::get`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Arc<CachedItem>> {
        self.inner.get(key)
    }

    /// As [`recipes::Cache::revision`].
    pub fn revision(&self) -> u64 {
        self.inner.revision()
    }

    /// As [`recipes::Cache::wait_for`].
    ///
    /// # Errors
    /// As there.
    pub fn wait_for(&self, revision: u64) -> Result<(), Error> {
        self.runtime.block_on(self.inner.wait_for(revision))
    }

    /// As [`recipes::Cache::changed`].
    ///
    /// # Errors
    /// As there.
    pub fn changed(&mut self) -> Result<(), Error> {
        self.runtime.block_on(self.inner.changed())
    }
}
