//! The history: the commands of all clients and their answers, with times of a logical clock that
//! all clients share.

use bytes::Bytes;

use crate::protocol::WatchPart;

/// The stream of a watch, as far as one connection has brought it.
#[derive(Clone, Debug)]
pub(crate) struct WatchStream {
    /// The watcher's number.
    pub(crate) watcher: u64,
    pub(crate) server: Server,
    pub(crate) wants: WatchWish,
    /// The revision that `from` has named; `None` without it.
    pub(crate) from: Option<u64>,
    /// The revision that `WATCHING` has named; `None` when the watch was refused.
    pub(crate) begun: Option<u64>,
    /// All that came then.
    pub(crate) parts: Vec<WatchPart>,
    /// True for the last one of a watcher, which has to come to the end of the log.
    pub(crate) is_last: bool,
}

/// The life of a node from which something came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) id: u64,
    pub(crate) life: u64,
}

/// The changes that a watcher wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WatchWish {
    /// The key, or the prefix.
    pub(crate) key: Bytes,
    pub(crate) is_prefix: bool,
    pub(crate) wants_previous: bool,
}

/// A read of what a server has applied.
#[derive(Clone, Debug)]
pub(crate) struct StaleRead {
    /// The number of its connection.
    pub(crate) connection: u64,
    pub(crate) server: Server,
    pub(crate) key: Bytes,
    pub(crate) action: Action,
    pub(crate) answer: Answer,
    /// The latest time that the store's clock could show when the answer arrived, in
    /// milliseconds.
    pub(crate) latest_clock_ms: u64,
}

/// A command, from its sending to its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The client's number.
    pub client: u64,
    /// The key, the prefix of a scan, or the name of a lease.
    pub key: Bytes,
    /// The command.
    pub action: Action,
    /// The time at which it was first sent, on the logical clock.
    pub invoked: u64,
    /// The time at which its answer arrived, on the logical clock.
    pub returned: u64,
    /// The answer.
    pub answer: Answer,
    /// The monotonic clock of the node that got the command last, when it was sent, in
    /// milliseconds.
    pub clock_ms: u64,
    /// The latest time that the store's clock could show when the answer arrived, in
    /// milliseconds.
    pub latest_clock_ms: u64,
}

/// A command. Every value of a history is unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `set`.
    Set(Bytes),
    /// `set` with a time to live in seconds.
    SetFor(u64, Bytes),
    /// `add`.
    Add(Bytes),
    /// `cas` with the expected version; 0 for an absent key.
    Cas(u64, Bytes),
    /// `delete`.
    Delete,
    /// `getm`.
    Get,
    /// `get`.
    GetBare,
    /// `scan`; an empty prefix is sent as `*`.
    Scan {
        /// Maximum number of keys.
        limit: u64,
        /// Only keys after this one are listed.
        after: Option<Bytes>,
    },
    /// `begin`, these commands, `commit`. The operation's key is that of the first of them.
    Transaction(Vec<Part>),
    /// `set` with a lease.
    SetLeased(u64, Bytes),
    /// `grant` of this many seconds. The operation's key is the name of the lease.
    Grant(u64),
    /// `renew`.
    Renew,
    /// `revoke`.
    Revoke,
    /// `compact` to a revision.
    Compact(u64),
}

/// A command of a transaction. No key is written twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// `check` of the version; 0 for an absent key.
    Check(Bytes, u64),
    /// `set` with a time to live in seconds; 0 for none.
    Set(Bytes, u64, Bytes),
    /// `delete`.
    Delete(Bytes),
    /// `getm`.
    Get(Bytes),
}

impl Part {
    /// The key.
    pub fn key(&self) -> &Bytes {
        match self {
            Part::Check(key, _) | Part::Set(key, ..) | Part::Delete(key) | Part::Get(key) => key,
        }
    }

    /// The value that it writes.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Part::Set(_, _, value) => Some(value),
            Part::Check(..) | Part::Delete(_) | Part::Get(_) => None,
        }
    }

    /// True when it has a reply of its own in that of `commit`.
    pub fn has_reply(&self) -> bool {
        !matches!(self, Part::Check(..))
    }

    /// True when it changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(self, Part::Check(..) | Part::Get(_))
    }
}

/// The value of a client's write. Values have many lengths, some over several sectors and some with
/// a sector of zeros: both matter for what a crash leaves of a log.
pub fn unique_value(client: u64, write: u64) -> Bytes {
    let mut value = format!("{client}-{write}").into_bytes();
    let more = [0, 0, 0, 30, 200, 700, 1000][(client + 3 * write) as usize % 7];
    value.resize(value.len() + more, if write.is_multiple_of(3) { 0 } else { b'.' });
    value.into()
}

impl Action {
    /// The value that it writes, if it is no transaction.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Action::Set(value)
            | Action::SetFor(_, value)
            | Action::SetLeased(_, value)
            | Action::Add(value)
            | Action::Cas(_, value) => Some(value),
            _ => None,
        }
    }

    /// The values that it writes.
    pub fn values(&self) -> impl Iterator<Item = &Bytes> {
        self.value().into_iter().chain(self.parts().iter().filter_map(Part::value))
    }

    /// True when `once` may stand before it.
    pub fn may_be_once(&self) -> bool {
        match self {
            Action::Grant(_) | Action::Renew | Action::Revoke | Action::Compact(_) => false,
            _ => !self.is_read(),
        }
    }

    /// The commands of a transaction; none of any other command.
    pub fn parts(&self) -> &[Part] {
        match self {
            Action::Transaction(parts) => parts,
            _ => &[],
        }
    }

    /// True when it changes nothing.
    pub fn is_read(&self) -> bool {
        match self {
            Action::Get | Action::GetBare | Action::Scan { .. } => true,
            Action::Transaction(parts) => parts.iter().all(Part::is_read),
            _ => false,
        }
    }
}

/// A key with its value, as a reply lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The key.
    pub key: Bytes,
    /// Its version.
    pub version: u64,
    /// The remaining time to live in seconds; 0 for a key that does not expire.
    pub exptime: u64,
    /// Its value.
    pub value: Bytes,
}

/// The answer to a command, as far as the client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `OK`, with the version.
    Stored(u64),
    /// `DELETED`.
    Deleted,
    /// `ERR_NOT_FOUND`.
    NotFound,
    /// `ERR_VERSION`, with the key's version.
    Mismatch(u64),
    /// `ERR_EXISTS`, with the key's version.
    Exists(u64),
    /// `VALUE`, with the version.
    Value(u64, Bytes),
    /// `VALUE` of a key that expires.
    Expiring(Item),
    /// `VALUE` without a version.
    Bare(Bytes),
    /// `KEY` lines, and true when there are more.
    Page(Vec<Item>, bool),
    /// `COMMITTED`, with the revision and the answers to the commands other than `check`.
    Committed(u64, Vec<Answer>),
    /// `ABORTED`, with the key of the first `check` that did not hold, and its version.
    Aborted(Bytes, u64),
    /// `LEASE`, with its time to live in seconds.
    Lease(u64),
    /// `REVOKED`.
    Revoked,
    /// `ERR_NO_LEASE`.
    NoLease,
    /// `ERR_LEASE_EXISTS`.
    LeaseExists,
    /// `OK` to a compaction, with the revision.
    Compacted(u64),
    /// `ERR_COMPACTED`, with the compacted revision. In a transaction: the reply to a read of a
    /// retry whose revision is not kept any more.
    Forgotten(u64),
    /// `ERR_FUTURE`, with the store's revision.
    Future(u64),
    /// `ERR_STALE`.
    Stale,
    /// No answer: the command may have been executed, or may be executed later.
    Unknown,
    /// The command was not executed, and never will be.
    Refused,
}
