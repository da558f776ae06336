//! The history: the commands of all clients and their answers, with times of a logical clock that
//! all clients share.

use bytes::Bytes;

/// A command, from its sending to its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The client's number.
    pub client: u64,
    /// The key, or the prefix of a scan.
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
    /// The value that it writes.
    pub fn value(&self) -> Option<&Bytes> {
        match self {
            Action::Set(value)
            | Action::SetFor(_, value)
            | Action::Add(value)
            | Action::Cas(_, value) => Some(value),
            Action::Delete | Action::Get | Action::GetBare | Action::Scan { .. } => None,
        }
    }

    /// True when it changes nothing.
    pub fn is_read(&self) -> bool {
        matches!(self, Action::Get | Action::GetBare | Action::Scan { .. })
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
    /// `ERR_STALE`.
    Stale,
    /// No answer: the command may have been executed, or may be executed later.
    Unknown,
    /// The command was not executed, and never will be.
    Refused,
}
