//! Leases: keys that go when nobody renews what they are tied to.

mod keeper;
#[cfg(test)]
mod tests;

use bytes::Bytes;
pub use keeper::{Lease, LeaseLost};
use rand::RngExt;

use super::{Client, Error, name_of};
use crate::commands::{Operation, Query};
use crate::protocol::{Reply, Request};

/// A lease, as the servers know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Its id.
    pub id: u64,
    /// The whole seconds that it has left.
    pub left: u64,
    /// The keys that go with it, in byte order.
    pub keys: Vec<Vec<u8>>,
    /// True when it has more keys than a server lists.
    pub more: bool,
}

impl Client {
    /// Grants a lease of so many seconds, with an id that nobody else has; returns the id. It ends
    /// when its time is over, unless it is renewed before: [`Client::lease`] has that done.
    ///
    /// # Errors
    /// [`Error::Refused`] when the time is too long; [`Error::Full`] when there are too many
    /// leases; see [`Error`].
    pub async fn grant(&mut self, seconds: u64) -> Result<u64, Error> {
        // An id of our own: when a reply is lost, the next try finds the lease that the first one
        // has granted, and not a second one is granted.
        let id = (self.rng.random::<u64>() >> 1).max(1);
        match self.grant_once(id, seconds).await {
            Ok(()) | Err(Error::LeaseExists) => Ok(id),
            Err(error) => Err(error),
        }
    }

    /// Grants a lease with this id, 1 to 2^63 - 1.
    ///
    /// # Errors
    /// [`Error::LeaseExists`] when there is one with that id: one that somebody else was granted,
    /// or that this call was granted by a try whose reply was lost; see [`Client::grant`].
    pub async fn grant_as(&mut self, id: u64, seconds: u64) -> Result<(), Error> {
        if id == 0 || id > i64::MAX as u64 {
            return Err(Error::InvalidArgument("the id of a lease is 1 to 2^63 - 1".into()));
        }
        self.grant_once(id, seconds).await
    }

    /// Lets the time of a lease begin anew; returns it, in seconds.
    ///
    /// # Errors
    /// [`Error::NoLease`] when the lease has ended; see [`Error`].
    pub async fn renew(&mut self, id: u64) -> Result<u64, Error> {
        match self.execute(Request::Renew { id }).await? {
            Reply::Lease { seconds, .. } => Ok(seconds),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    /// Ends a lease, and removes its keys, all in one revision. Returns false when it had ended
    /// already, which a try of this call may have done whose reply was lost.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn revoke(&mut self, id: u64) -> Result<bool, Error> {
        let operation = Operation::Revoke { id };
        match self.execute(Request::Write { operation, once: None, noreply: false }).await {
            Ok(Reply::Revoked) => Ok(true),
            Ok(_) => unreachable!("the parser gives what is expected"),
            Err(Error::NoLease) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The time that a lease has left, and its keys.
    ///
    /// # Errors
    /// [`Error::NoLease`] when the lease has ended; see [`Error`].
    pub async fn lease_info(&mut self, id: u64) -> Result<LeaseInfo, Error> {
        // The protocol has no number of keys; the server lists as many as it lists.
        let query = Query::Lease { id, keys_max: u64::MAX };
        match self.execute(Request::Read(query)).await? {
            Reply::LeaseKeys { id, left, keys, more } => {
                let keys = keys.iter().map(|key| key.to_vec()).collect();
                Ok(LeaseInfo { id, left, keys, more })
            }
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    /// Grants a lease, and has a task of the runtime renew it over a connection of its own, until
    /// the [`Lease`] is dropped or revoked.
    ///
    /// # Errors
    /// As [`Client::grant`].
    pub async fn lease(&mut self, seconds: u64) -> Result<Lease, Error> {
        let sent_at = keeper::now();
        let id = self.grant(seconds).await?;
        Ok(Lease::keep(self.sibling(), id, seconds, sent_at))
    }

    /// Writes the value, which goes with this lease. Returns the new version.
    ///
    /// # Errors
    /// [`Error::NoLease`] when the lease has ended; see [`Error`].
    pub async fn set_with_lease(
        &mut self,
        key: impl AsRef<[u8]>,
        exptime: u64,
        value: &[u8],
        lease: u64,
    ) -> Result<u64, Error> {
        let (key, value) = (name_of(key)?, Bytes::copy_from_slice(value));
        self.store(Operation::Set { key, exptime, value, lease }).await
    }

    /// Writes the value, which goes with this lease, if the key is absent. Returns the new version.
    ///
    /// # Errors
    /// [`Error::Exists`] when it is not; [`Error::NoLease`] when the lease has ended; see
    /// [`Error`].
    pub async fn add_with_lease(
        &mut self,
        key: impl AsRef<[u8]>,
        exptime: u64,
        value: &[u8],
        lease: u64,
    ) -> Result<u64, Error> {
        let (key, value) = (name_of(key)?, Bytes::copy_from_slice(value));
        self.store(Operation::Add { key, exptime, value, lease }).await
    }

    /// Writes the value, which goes with this lease, if the key has this version, 0 for an absent
    /// key. Returns the new version.
    ///
    /// # Errors
    /// [`Error::VersionMismatch`] when it has another; [`Error::NoLease`] when the lease has ended;
    /// see [`Error`].
    pub async fn cas_with_lease(
        &mut self,
        key: impl AsRef<[u8]>,
        exptime: u64,
        version: u64,
        value: &[u8],
        lease: u64,
    ) -> Result<u64, Error> {
        let (key, value) = (name_of(key)?, Bytes::copy_from_slice(value));
        self.store(Operation::Cas { key, exptime, version, value, lease }).await
    }

    async fn grant_once(&mut self, id: u64, seconds: u64) -> Result<(), Error> {
        // The server that takes the command says how many leases there may be.
        let operation = Operation::Grant { id, ttl: seconds, leases_max: 0 };
        match self.execute(Request::Write { operation, once: None, noreply: false }).await? {
            Reply::Lease { .. } => Ok(()),
            _ => unreachable!("the parser gives what is expected"),
        }
    }
}
