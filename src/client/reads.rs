//! Reads: of the present, and of the store as it was at a revision.

use bytes::Bytes;

use super::item::{Item, Moment, Page};
use super::{Client, Error, Transaction, name_of};
use crate::commands::{Operation, Query};
use crate::protocol::{Reply, Request};

/// Reads of the store as it was at one revision: [`Client::at`].
///
/// Any server answers them, from what it has applied. When it has not come to the revision, the
/// client asks the cluster how far it has come, and reads again. In [`Mode::Stale`](super::Mode)
/// that is how far the server has come.
#[derive(Debug)]
pub struct At<'a> {
    client: &'a mut Client,
    revision: u64,
}

/// The number of keys of a page of [`Client::scan_all`].
const PAGE_KEYS: u64 = 1_000;

/// Number of times that [`Client::scan_all`] begins anew because its revision was compacted.
const MOMENTS_MAX: u32 = 8;

impl Client {
    /// The value of the key.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; see [`Error`].
    pub async fn get(&mut self, key: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
        self.get_at(key.as_ref(), 0).await
    }

    /// The value of the key with its version and the time it has left.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; see [`Error`].
    pub async fn getm(&mut self, key: impl AsRef<[u8]>) -> Result<Item, Error> {
        self.getm_at(key.as_ref(), 0).await
    }

    /// Up to `limit` (1 to 10,000) keys that begin with `prefix` (empty: every
    /// key) and come after the key `after`, in byte order, as of one point in time. When
    /// [`Page::more`] is true, go on after the last key.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn scan(
        &mut self,
        prefix: impl AsRef<[u8]>,
        limit: u64,
        after: Option<&[u8]>,
    ) -> Result<Page, Error> {
        self.scan_at(prefix.as_ref(), limit, after, 0).await
    }

    /// Reads of the store as it was at `revision`.
    pub fn at(&mut self, revision: u64) -> At<'_> {
        At { client: self, revision }
    }

    /// The store's revision: not below that of any write acknowledged before this call. In
    /// [`Mode::Stale`](super::Mode) it is that of the server.
    ///
    /// # Errors
    /// [`Error::Refused`] when the servers are older than revisions; see [`Error`].
    pub async fn revision(&mut self) -> Result<u64, Error> {
        Ok(self.transaction(Transaction::new()).await?.revision)
    }

    /// All keys that begin with `prefix` (empty: every key), however many pages that takes, as they
    /// were at one revision: that of [`Client::revision`].
    ///
    /// # Errors
    /// [`Error::Compacted`] when the history is shorter than the reading takes, several times; see
    /// [`Error`].
    pub async fn scan_all(&mut self, prefix: impl AsRef<[u8]>) -> Result<Moment, Error> {
        let mut moments = 1;
        loop {
            let revision = self.revision().await?;
            match self.scan_pages(prefix.as_ref(), revision).await {
                Err(Error::Compacted { .. }) if moments < MOMENTS_MAX => moments += 1,
                read => return Ok(Moment { revision, items: read? }),
            }
        }
    }

    /// Forgets the history before `revision`, which is the oldest that can be read from then on.
    /// Returns the revision that is so then: a higher one when more had been forgotten already.
    ///
    /// # Errors
    /// [`Error::Future`] when the store has not come to it; see [`Error`].
    pub async fn compact(&mut self, revision: u64) -> Result<u64, Error> {
        let operation = Operation::Compact { revision };
        let compact = Request::Write { operation, once: None, noreply: false };
        match self.execute(compact).await {
            Ok(Reply::Compacted { revision }) | Err(Error::Compacted { revision }) => Ok(revision),
            Ok(_) => unreachable!("the parser gives what is expected"),
            Err(error) => Err(error),
        }
    }

    async fn scan_pages(&mut self, prefix: &[u8], at: u64) -> Result<Vec<Item>, Error> {
        let mut items: Vec<Item> = Vec::new();
        loop {
            let after = items.last().map(|item| item.key.clone());
            let page = self.scan_at(prefix, PAGE_KEYS, after.as_deref(), at).await?;
            items.extend(page.items);
            if !page.more {
                return Ok(items);
            }
        }
    }

    async fn get_at(&mut self, key: &[u8], at: u64) -> Result<Vec<u8>, Error> {
        match self.read(Query::Get { key: name_of(key)?, at }, at).await? {
            Reply::Value(value) => Ok(value.to_vec()),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    async fn getm_at(&mut self, key: &[u8], at: u64) -> Result<Item, Error> {
        match self.read(Query::GetMeta { key: name_of(key)?, at }, at).await? {
            Reply::Meta(item) => Ok(Item::new(&[], &item)),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    async fn scan_at(
        &mut self,
        prefix: &[u8],
        limit: u64,
        after: Option<&[u8]>,
        at: u64,
    ) -> Result<Page, Error> {
        let prefix = prefix_of(prefix)?;
        let after = after.map(name_of).transpose()?;
        match self.read(Query::Scan { prefix, limit, after, at }, at).await? {
            Reply::Scan { items, more } => {
                let items = items.iter().map(|(key, item)| Item::new(key, item)).collect();
                Ok(Page { items, more })
            }
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    async fn read(&mut self, query: Query, at: u64) -> Result<Reply, Error> {
        loop {
            match self.execute(Request::Read(query.clone())).await {
                Err(Error::Future { .. }) => {}
                read => return read,
            }
            // This server may be behind the one that has told us of the revision.
            let revision = self.revision().await?;
            if revision < at {
                return Err(Error::Future { revision });
            }
        }
    }
}

impl At<'_> {
    /// The value that the key had.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there was none; [`Error::Compacted`] when the revision is no longer
    /// kept; [`Error::Future`] when the store has not come to it; see [`Error`].
    pub async fn get(self, key: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
        let at = self.revision()?;
        self.client.get_at(key.as_ref(), at).await
    }

    /// The value that the key had, with its version and the time that it had left.
    ///
    /// # Errors
    /// As [`At::get`].
    pub async fn getm(self, key: impl AsRef<[u8]>) -> Result<Item, Error> {
        let at = self.revision()?;
        self.client.getm_at(key.as_ref(), at).await
    }

    /// A page of the keys that there were, as [`Client::scan`].
    ///
    /// # Errors
    /// As [`At::get`].
    pub async fn scan(
        self,
        prefix: impl AsRef<[u8]>,
        limit: u64,
        after: Option<&[u8]>,
    ) -> Result<Page, Error> {
        let at = self.revision()?;
        self.client.scan_at(prefix.as_ref(), limit, after, at).await
    }

    /// The revision; in a query, 0 would mean now.
    fn revision(&self) -> Result<u64, Error> {
        match self.revision {
            0 => Err(Error::InvalidArgument("revisions begin with 1".into())),
            revision => Ok(revision),
        }
    }
}

/// A prefix, copied, if it can be one. The empty one means every key.
pub(super) fn prefix_of(prefix: &[u8]) -> Result<Bytes, Error> {
    match prefix {
        b"" => Ok(Bytes::new()),
        b"*" => {
            let reason = "the prefix * alone would mean every key: scan every key instead";
            Err(Error::InvalidArgument(reason.into()))
        }
        prefix => name_of(prefix),
    }
}
