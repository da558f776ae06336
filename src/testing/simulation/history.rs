//! What the clients did and were told, in the order of a clock that all of them
//! share.

use bytes::Bytes;

/// A command, from its sending to its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who.
    pub client: u64,
    /// On which key.
    pub key: Bytes,
    /// What.
    pub action: Action,
    /// When it was first sent.
    pub invoked: u64,
    /// When its answer was there.
    pub returned: u64,
    /// The answer.
    pub answer: Answer,
}

/// What a client wants. Every value of a history is unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `set`.
    Set(Bytes),
    /// `add`.
    Add(Bytes),
    /// `cas` of a version; 0 for an absent key.
    Cas(u64, Bytes),
    /// `delete`.
    Delete,
    /// `getm`.
    Get,
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
            Action::Set(value) | Action::Add(value) | Action::Cas(_, value) => Some(value),
            Action::Delete | Action::Get => None,
        }
    }
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
    /// It may have been executed, or be executed yet.
    Unknown,
    /// It was not executed, and will not be.
    Refused,
}
