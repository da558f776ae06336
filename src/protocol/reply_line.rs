//! One line of a reply, as it stands there: not yet a reply, which may have several.

use bytes::Bytes;

use super::error_reply::ErrorReply;
use super::members::{Plan, is_done};
use super::text::{fields, file_digest, number, store_digest};
use crate::commands::Item;

/// The largest value that the protocol can carry, in bytes.
pub(super) const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A line of a reply. The lines of `status` and `help` are free text, and not parsed; those of
/// `member list` are parsed elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyLine<'a> {
    /// `OK` and a version, a revision, the index that a snapshot will reach, or a format.
    Ok {
        /// The version, revision, index or format.
        number: u64,
    },
    /// `OK` alone.
    Done,
    /// `DELETED`.
    Deleted,
    /// `ENDED`.
    Ended,
    /// `VALUE` of a `get`: a data block follows.
    Value {
        /// The length of the block.
        bytes: usize,
    },
    /// `VALUE` of a `getm`: a data block follows.
    Meta(ItemLine),
    /// `KEY`: a data block follows.
    Key(&'a [u8], ItemLine),
    /// `END`.
    End,
    /// `MORE`.
    More,
    /// `QUEUED`.
    Queued,
    /// `COMMITTED`: the replies of the commands follow.
    Committed {
        /// The store's revision.
        revision: u64,
        /// The number of replies.
        count: u64,
    },
    /// `ABORTED`.
    Aborted {
        /// The key.
        key: &'a [u8],
        /// Its version.
        version: u64,
    },
    /// `LEASE`.
    Lease {
        /// The lease.
        id: u64,
        /// Its time to live, or the time that it has left, in seconds.
        seconds: u64,
    },
    /// `KEY` of a lease: nothing follows the key.
    LeaseKey(&'a [u8]),
    /// `REVOKED`.
    Revoked,
    /// `WATCHING`.
    Watching {
        /// The revision.
        revision: u64,
    },
    /// `SNAPSHOT`.
    Snapshot {
        /// The last entry that is in the snapshot.
        index: u64,
        /// The term of that entry.
        term: u64,
        /// The size of the file in bytes.
        bytes: u64,
        /// The digest of the file.
        digest: u128,
    },
    /// `DIGEST`.
    Digest {
        /// The log entry.
        index: u64,
        /// The digest of the store after it.
        digest: u64,
    },
    /// `CHANGE`.
    Change {
        /// The number of the change.
        number: u64,
        /// The member that it is about.
        id: u64,
    },
    /// `ALREADY`.
    Already,
    /// `PLAN`.
    Plan(Plan),
    /// `ENDED` and the number of a change.
    ChangeEnded {
        /// The number of the change.
        number: u64,
        /// True when it was done.
        is_done: bool,
    },
    /// `RUNNING`.
    ChangeRunning {
        /// The number of the change.
        number: u64,
        /// A sentence for people.
        sentence: &'a [u8],
    },
    /// `LEADER`.
    Leader {
        /// The server.
        id: u64,
        /// Its term.
        term: u64,
    },
    /// `PONG`.
    Pong,
    /// `ERR_...`.
    Error(ErrorLine<'a>),
}

/// The numbers of an item whose value follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemLine {
    version: u64,
    exptime: u64,
    /// The length of the value.
    pub(super) bytes: usize,
}

/// A line that is an error, not yet parsed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorLine<'a> {
    word: &'a str,
    text: &'a [u8],
}

impl<'a> ErrorLine<'a> {
    /// The first word: `ERR_BUSY`, say.
    pub fn word(&self) -> &'a str {
        self.word
    }

    /// The error. `None` when the text after the word is not what that word asks for.
    pub fn reply(&self) -> Option<ErrorReply> {
        ErrorReply::parse(self.word, self.text)
    }
}

impl<'a> ReplyLine<'a> {
    /// Parses a line without its line end. `None` when it is no line of a reply.
    pub fn parse(line: &'a [u8]) -> Option<ReplyLine<'a>> {
        let (word, rest) = match line.iter().position(|byte| *byte == b' ') {
            Some(at) => (&line[..at], Some(&line[at + 1..])),
            None => (line, None),
        };
        Some(match (word, rest) {
            (b"OK", Some(rest)) => ReplyLine::Ok { number: number(rest)? },
            (b"OK", None) => ReplyLine::Done,
            (b"VALUE", Some(rest)) if rest.contains(&b' ') => {
                ReplyLine::Meta(ItemLine::parse(rest)?)
            }
            (b"VALUE", Some(rest)) => ReplyLine::Value { bytes: value_bytes(rest)? },
            (b"KEY", Some(rest)) => match rest.iter().position(|byte| *byte == b' ') {
                Some(end) => ReplyLine::Key(&rest[..end], ItemLine::parse(&rest[end + 1..])?),
                None if rest.is_empty() => return None,
                None => ReplyLine::LeaseKey(rest),
            },
            (b"DELETED", None) => ReplyLine::Deleted,
            (b"ENDED", None) => ReplyLine::Ended,
            (b"END", None) => ReplyLine::End,
            (b"MORE", None) => ReplyLine::More,
            (b"PONG", None) => ReplyLine::Pong,
            (b"QUEUED", None) => ReplyLine::Queued,
            (b"REVOKED", None) => ReplyLine::Revoked,
            (b"COMMITTED" | b"ABORTED" | b"LEASE" | b"WATCHING", Some(rest)) => {
                ReplyLine::of_store(word, rest)?
            }
            (b"DIGEST", Some(rest)) => {
                let [index, digest] = fields(rest)?;
                ReplyLine::Digest { index: number(index)?, digest: store_digest(digest)? }
            }
            (b"SNAPSHOT", Some(rest)) => {
                let [index, term, bytes, digest] = fields(rest)?;
                ReplyLine::Snapshot {
                    index: number(index)?,
                    term: number(term)?,
                    bytes: number(bytes)?,
                    digest: file_digest(digest)?,
                }
            }
            (b"ALREADY", None) => ReplyLine::Already,
            (b"CHANGE" | b"LEADER" | b"PLAN" | b"ENDED" | b"RUNNING", Some(rest)) => {
                ReplyLine::of_members(word, rest)?
            }
            _ if word.starts_with(b"ERR_") => {
                let word = std::str::from_utf8(word).ok()?;
                ReplyLine::Error(ErrorLine { word, text: rest.unwrap_or_default() })
            }
            _ => return None,
        })
    }

    /// Parses a line about transactions, leases or watches, of this word and what stands behind
    /// it.
    fn of_store(word: &[u8], rest: &'a [u8]) -> Option<ReplyLine<'a>> {
        if word == b"WATCHING" {
            return Some(ReplyLine::Watching { revision: number(rest)? });
        }
        let [first, second] = fields(rest)?;
        let second = number(second)?;
        Some(match word {
            b"ABORTED" if !first.is_empty() => ReplyLine::Aborted { key: first, version: second },
            b"COMMITTED" => ReplyLine::Committed { revision: number(first)?, count: second },
            b"LEASE" => ReplyLine::Lease { id: number(first)?, seconds: second },
            _ => return None,
        })
    }

    /// Parses a line about members or the leadership, of this word and what stands behind it.
    fn of_members(word: &[u8], rest: &'a [u8]) -> Option<ReplyLine<'a>> {
        if word == b"PLAN" {
            return Some(ReplyLine::Plan(Plan::parse(rest)?));
        }
        let end = rest.iter().position(|byte| *byte == b' ')?;
        let (first, rest) = (number(&rest[..end])?, &rest[end + 1..]);
        Some(match word {
            b"CHANGE" => ReplyLine::Change { number: first, id: number(rest)? },
            b"LEADER" => ReplyLine::Leader { id: first, term: number(rest)? },
            b"ENDED" => ReplyLine::ChangeEnded { number: first, is_done: is_done(rest)? },
            b"RUNNING" => ReplyLine::ChangeRunning { number: first, sentence: rest },
            _ => return None,
        })
    }

    /// The length of the data block that follows, if one does.
    pub fn block_bytes(&self) -> Option<usize> {
        match self {
            ReplyLine::Value { bytes } => Some(*bytes),
            ReplyLine::Meta(item) | ReplyLine::Key(_, item) => Some(item.bytes),
            _ => None,
        }
    }
}

impl ItemLine {
    fn parse(rest: &[u8]) -> Option<ItemLine> {
        let [version, exptime, bytes] = fields(rest)?;
        let bytes = value_bytes(bytes)?;
        Some(ItemLine { version: number(version)?, exptime: number(exptime)?, bytes })
    }

    /// The item with its value.
    pub(super) fn with_value(self, value: Bytes) -> Item {
        Item { value, version: self.version, exptime: self.exptime }
    }
}

pub(super) fn value_bytes(field: &[u8]) -> Option<usize> {
    usize::try_from(number(field)?).ok().filter(|bytes| *bytes <= VALUE_BYTES_MAX)
}
