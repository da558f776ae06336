//! Watches: the changes of keys, as they happen or since a revision.

mod changes;
mod reader;
#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

pub use changes::{Change, ChangeKind, Changes, Previous};
use futures_util::{Stream, StreamExt, stream};
use reader::Reader;

use super::reads::prefix_of;
use super::{Client, Error, Moment, name_of};
use crate::commands::KeyRange;
use crate::protocol::WatchRequest;

/// The keys of a watch, and what it tells of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchSpec {
    keys: KeyRange,
    from: Option<u64>,
    wants_previous: bool,
    wants_progress: bool,
}

/// A stream of the changes of keys, each exactly once, in order, and those of one revision
/// together.
///
/// It survives the death of its server and the change of the leader: it goes on at another server
/// where it was. It has a connection of its own, which begins at the server that the client talks
/// to; it needs no leader. Nothing waits for it: the servers keep nothing for a watch that does not
/// read, and when it is more behind than their history reaches, it ends with
/// [`Error::Compacted`].
///
/// A server that is cut off from the others has nothing to tell. So a watch that was silent for
/// half a minute asks the cluster how far it is, and leaves a server that has not come so far ten
/// seconds later.
///
/// The stream never ends, except after an error:
/// - [`Error::Compacted`]: the changes from where it was on are no longer kept. The store can be
///   read as it was at the error's revision, and watched from the one after it:
///   [`Client::read_and_watch`] does both.
/// - [`Error::Future`]: the cluster is at a lower revision than this watch has seen. It has lost
///   what the watch has told, as after a restored backup.
/// - others when a server refuses the watch.
///
/// To wait for a server is no error: a program that wants to wait no longer than a certain time
/// for a change uses a time-out. [`Watch::next`] is cancel-safe.
pub struct Watch {
    changes: Pin<Box<dyn Stream<Item = Result<Changes, Error>> + Send>>,
    position: Arc<AtomicU64>,
}

impl WatchSpec {
    /// The changes of one key.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when it cannot be a key.
    pub fn key(key: impl AsRef<[u8]>) -> Result<WatchSpec, Error> {
        Ok(WatchSpec::of(KeyRange::key(name_of(key)?)))
    }

    /// The changes of all keys that begin with `prefix`; of every key, if it is empty.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when no key can begin with it.
    pub fn prefix(prefix: impl AsRef<[u8]>) -> Result<WatchSpec, Error> {
        Ok(WatchSpec::of(KeyRange::prefix(prefix_of(prefix.as_ref())?)))
    }

    fn of(keys: KeyRange) -> WatchSpec {
        WatchSpec { keys, from: None, wants_previous: false, wants_progress: false }
    }

    /// The first revision whose changes are wanted. It may be one that the store has not come to.
    /// Without it, the watch tells every change that is made after [`Client::watch`] has returned,
    /// and perhaps some from shortly before.
    #[must_use]
    pub fn from(self, revision: u64) -> WatchSpec {
        WatchSpec { from: Some(revision), ..self }
    }

    /// With the values that are replaced or removed.
    #[must_use]
    pub fn with_previous(self) -> WatchSpec {
        WatchSpec { wants_previous: true, ..self }
    }

    /// With notes of progress: [`Changes`] without a change, every few seconds on a silent watch.
    #[must_use]
    pub fn with_progress(self) -> WatchSpec {
        WatchSpec { wants_progress: true, ..self }
    }
}

impl Client {
    /// Watches keys. Returns when a server has begun to.
    ///
    /// # Errors
    /// [`Error::Compacted`] when the changes from the wished revision on are no longer kept; see
    /// [`Error`].
    pub async fn watch(&self, spec: WatchSpec) -> Result<Watch, Error> {
        let WatchSpec { keys, from, wants_previous, wants_progress } = spec;
        if from == Some(0) {
            return Err(Error::InvalidArgument("revisions begin with 1".into()));
        }
        let request = WatchRequest { keys, from, wants_previous };
        let position = Arc::new(AtomicU64::new(0));
        let mut reader = Reader::new(self.sibling(), request, wants_progress, position.clone());
        reader.begin(Some(self.options.deadline)).await?;
        // The reader of a watch that has ended is not there any more.
        let changes = stream::unfold(Some(reader), |reader: Option<Reader>| async move {
            let mut reader = reader?;
            match reader.next().await {
                Ok(changes) => Some((Ok(changes), Some(reader))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Watch { changes: Box::pin(changes.fuse()), position })
    }

    /// All keys that begin with `prefix`, as they were at one revision, and the watch that tells
    /// all that has changed since.
    ///
    /// # Errors
    /// As [`Client::scan_all`] and [`Client::watch`].
    pub async fn read_and_watch(
        &mut self,
        prefix: impl AsRef<[u8]>,
    ) -> Result<(Moment, Watch), Error> {
        let moment = self.scan_all(prefix.as_ref()).await?;
        let spec = WatchSpec::prefix(prefix)?.from(moment.revision + 1);
        let watch = self.watch(spec).await?;
        Ok((moment, watch))
    }
}

impl Watch {
    /// The next changes; `None` after an error. Cancel-safe.
    pub async fn next(&mut self) -> Option<Result<Changes, Error>> {
        self.changes.next().await
    }

    /// The revision up to which all changes have been told, notes of progress included that were
    /// not asked for. A watch from the next one on goes on.
    pub fn revision(&self) -> u64 {
        self.position.load(Ordering::Acquire)
    }
}

impl Stream for Watch {
    type Item = Result<Changes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.changes.as_mut().poll_next(context)
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("revision", &self.revision()).finish_non_exhaustive()
    }
}
