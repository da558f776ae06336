//! What the clients did and were told, in the order of a clock that all of them
//! share.

use bytes::Bytes;

/// A command, from its sending to its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who.
    pub client: u64,
    /// On which key, or which prefix.
    pub key: Bytes,
    /// What.
    pub action: Action,
    /// When it was first sent.
    pub invoked: u64,
    /// When its answer was there.
    pub returned: u64,
    /// The answer.
    pub answer: Answer,
    /// The wall clock of the node that was asked last, when it was asked.
    pub clock_ms: u64,
    /// The latest time that any node's clock had shown when the answer was there.
    pub latest_clock_ms: u64,
}

/// What a client wants. Every value of a history is unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `set`.
    Set(Bytes),
    /// `set` for so many seconds.
    SetFor(u64, Bytes),
    /// `add`.
    Add(Bytes),
    /// `cas` of a version; 0 for an absent key.
    Cas(u64, Bytes),
    /// `delete`.
    Delete,
    /// `getm`.
    Get,
    /// `get`.
    GetBare,
    /// `scan`; no prefix at all is `*`.
    Scan {
        /// At most so many keys.
        limit: u64,
        /// Only keys behind this one.
        after: Option<Bytes>,
    },
}

/// The value of a client's write. Of many lengths, some over several sectors and
/// some with a sector of zeros: what a crash leaves of a log hangs on both.
pub fn unique_value(client: u64, write: u64) -> Bytes {
    let mut value = format!("{client}-{write}").into_bytes();
    let more = [0, 0, 0, 30, 200, 700, 1000][(client + 3 * write) as usize % 7];
    value.resize(value.len() + more, if write.is_multiple_of(3) { 0 } else { b'.' });
    value.into()
}

impl Action {
    /// What it writes.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Action::Set(value)
            | Action::SetFor(_, value)
            | Action::Add(value)
            | Action::Cas(_, value) => Some(value),
            Action::Delete | Action::Get | Action::GetBare | Action::Scan { .. } => None,
        }
    }

    /// Whether it changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(self, Action::Get | Action::GetBare | Action::Scan { .. })
    }
}

/// A key as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The key.
    pub key: Bytes,
    /// Its version.
    pub version: u64,
    /// The seconds it has left; 0 is for ever.
    pub exptime: u64,
    /// Its value.
    pub value: Bytes,
}

/// What a client knows in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `OK`, with the version.
    Stored(u64),
    /// `DELETED`.
    Deleted,
    /// `ERR_NOT_FOUND`.
    NotFound,
    /// `ERR_VERSION`: the key has this one.
    Mismatch(u64),
    /// `ERR_EXISTS`: at this version.
    Exists(u64),
    /// `VALUE`, with the version.
    Value(u64, Bytes),
    /// `VALUE` of a key that expires.
    Expiring(Item),
    /// `VALUE` without a version.
    Bare(Bytes),
    /// `KEY`s, and whether there are more.
    Page(Vec<Item>, bool),
    /// `ERR_STALE`.
    Stale,
    /// It may have been executed, or be executed yet.
    Unknown,
    /// It was not executed, and will not be.
    Refused,
}
