//! The reply to a command, as a client reads it.
//!
//! A reply does not say which command it answers, so its reader says what kind it expects.
//! [`first_reply`] only looks at the bytes, for a reader that must not copy;
//! [`ReplyParser`] takes every kind of reply out of them. Neither trusts the bytes: every
//! line, block and list has a bound.

use bytes::{Buf, Bytes, BytesMut};

use super::members::MembersParser;
use super::reply::Reply;
use super::reply_line::{ItemLine, ReplyLine, VALUE_BYTES_MAX};
use super::status::Status;
use super::text::{BlockEnd, block_end, without_cr};
use crate::commands::Item;

/// The kind of reply that a client expects, if not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// [`Reply::Stored`].
    Stored,
    /// [`Reply::Deleted`].
    Deleted,
    /// [`Reply::Ended`].
    Ended,
    /// [`Reply::Stored`] or [`Reply::Deleted`]: a `once` whose number has been used is
    /// answered with the remembered reply, whatever the command now says.
    Written,
    /// [`Reply::Value`].
    Value,
    /// [`Reply::Meta`].
    Meta,
    /// [`Reply::Scan`].
    Scan {
        /// Maximum number of keys that were asked for.
        limit: u64,
    },
    /// [`Reply::Queued`].
    Queued,
    /// [`Reply::Committed`] or [`Reply::Aborted`].
    Committed,
    /// [`Reply::Lease`].
    Lease,
    /// [`Reply::Revoked`].
    Revoked,
    /// [`Reply::LeaseKeys`].
    LeaseKeys,
    /// [`Reply::Watching`].
    Watching,
    /// [`Reply::Compacted`].
    Compacted,
    /// [`Reply::SnapshotBegun`].
    SnapshotBegun,
    /// [`Reply::Snapshot`].
    Snapshot,
    /// [`Reply::Done`].
    Done,
    /// [`Reply::Raised`].
    Raised,
    /// [`Reply::Digest`].
    Digest,
    /// [`Reply::Change`], [`Reply::Already`] or [`Reply::Plan`].
    Change,
    /// [`Reply::Members`].
    Members,
    /// [`Reply::ChangeEnded`] or [`Reply::ChangeRunning`].
    ChangeWaited,
    /// [`Reply::Leader`] or [`Reply::Already`].
    Leader,
    /// [`Reply::Pong`].
    Pong,
    /// [`Reply::Status`].
    Status,
    /// [`Reply::Help`].
    Help,
}

/// The bytes are not the expected reply, or beyond its bounds. The connection is of no
/// further use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a reply to the command: {0:?}")]
pub struct Malformed(String);

/// The longest line of a reply, in bytes: it holds any key and any message.
const LINE_BYTES_MAX: usize = 128 * 1024;
/// Maximum number of bytes in all values of one page: a server ends a page after a few
/// MiB, or after its first key.
const PAGE_BYTES_MAX: usize = 2 * VALUE_BYTES_MAX;
/// Maximum number of bytes in all values that a transaction has read.
const COMMITTED_BYTES_MAX: usize = 16 * VALUE_BYTES_MAX;
/// Maximum number of replies of a transaction.
const COMMITTED_REPLIES_MAX: u64 = 100_000;
/// Maximum number of keys of a lease.
const LEASE_KEYS_MAX: usize = 1_000_000;
/// Maximum number of lines of a help text.
const HELP_LINES_MAX: usize = 1_000;
/// Maximum number of bytes of a malformed reply that are shown.
const SHOWN_BYTES_MAX: usize = 80;

impl Malformed {
    pub(super) fn new(bytes: &[u8]) -> Malformed {
        let shown = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
        Malformed(String::from_utf8_lossy(shown).into_owned())
    }
}

/// The place of the line feed that ends the first line of `input`; `None` until it is
/// there. The first `searched` bytes are known to hold none.
pub(super) fn line_feed(input: &[u8], searched: usize) -> Result<Option<usize>, Malformed> {
    let searchable = &input[..input.len().min(LINE_BYTES_MAX)];
    match searchable[searched..].iter().position(|byte| *byte == b'\n') {
        Some(at) => Ok(Some(searched + at)),
        None if searchable.len() == LINE_BYTES_MAX => Err(Malformed::new(input)),
        None => Ok(None),
    }
}

/// The first reply in `input` and the number of bytes that it takes; `None` until all of
/// it is there. Nothing is copied. Only for commands whose reply is one line and at most
/// one data block: all but `scan`, `commit`, `lease`, `status`, `member list` and `help`.
pub fn first_reply(input: &[u8]) -> Result<Option<(usize, ReplyLine<'_>)>, Malformed> {
    let Some(line_end) = line_feed(input, 0)? else { return Ok(None) };
    let line = without_cr(&input[..line_end]);
    let reply = ReplyLine::parse(line).ok_or_else(|| Malformed::new(line))?;
    let line_bytes = line_end + 1;
    let Some(block_bytes) = reply.block_bytes() else { return Ok(Some((line_bytes, reply))) };
    let bytes = line_bytes + block_bytes;
    match block_end(input, bytes) {
        BlockEnd::LineEnd(end_bytes) => Ok(Some((bytes + end_bytes, reply))),
        BlockEnd::Missing => Err(Malformed::new(&input[bytes..])),
        BlockEnd::Unknown => Ok(None),
    }
}

/// Takes one reply out of bytes that come in pieces.
#[derive(Debug)]
pub struct ReplyParser {
    expect: Expect,
    /// The bytes of the next line that are known to hold no line end.
    searched: usize,
    /// The item whose value comes next.
    due: Option<Due>,
    /// The keys of a scan so far.
    items: Vec<(Bytes, Item)>,
    /// The bytes of the values that the scan or the transaction has announced so far.
    page_bytes: usize,
    /// The part of the reply to a `commit` that has come.
    committed: Option<Committed>,
    /// The part of the reply to a `lease` that has come.
    lease: Option<Lease>,
    /// The lines of a `status` so far.
    status: Status,
    /// The lines of a `member list` so far.
    members: MembersParser,
    /// The number of lines of a help text so far.
    help_lines: usize,
}

/// A transaction that was committed.
#[derive(Debug)]
struct Committed {
    revision: u64,
    /// The number of replies that it has.
    count: u64,
    /// The replies that have come.
    replies: Vec<Reply>,
}

/// A lease with those of its keys that have come.
#[derive(Debug)]
struct Lease {
    id: u64,
    left: u64,
    keys: Vec<Bytes>,
}

/// A data block that comes next, and the reply or key whose value it is.
#[derive(Debug)]
enum Due {
    Value { bytes: usize },
    Meta(ItemLine),
    Item(Bytes, ItemLine),
}

impl ReplyParser {
    /// A parser of one reply.
    pub fn new(expect: Expect) -> ReplyParser {
        ReplyParser {
            expect,
            searched: 0,
            due: None,
            items: Vec::new(),
            page_bytes: 0,
            committed: None,
            lease: None,
            status: Status::default(),
            members: MembersParser::default(),
            help_lines: 0,
        }
    }

    /// Takes the reply from the front of `input`; `None` when it is not all there. Until
    /// then the parser takes what it can, and `input` holds at most a line, or a value.
    /// After the reply, or an error, the parser is of no further use.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, Malformed> {
        loop {
            let taken = match self.due.take() {
                Some(due) => match block_end(input, due.bytes()) {
                    BlockEnd::LineEnd(end_bytes) => {
                        let value = input.split_to(due.bytes()).freeze();
                        input.advance(end_bytes);
                        self.take_value(due, value)
                    }
                    BlockEnd::Missing => return Err(Malformed::new(&input[due.bytes()..])),
                    BlockEnd::Unknown => {
                        self.due = Some(due);
                        return Ok(None);
                    }
                },
                None => {
                    let Some(end) = line_feed(input, self.searched)? else {
                        self.searched = input.len();
                        return Ok(None);
                    };
                    self.searched = 0;
                    let mut line = input.split_to(end + 1).freeze();
                    line.truncate(without_cr(&line[..end]).len());
                    self.take_line(&line)?
                }
            };
            if let Some(reply) = taken {
                return Ok(Some(reply));
            }
        }
    }

    fn take_value(&mut self, due: Due, value: Bytes) -> Option<Reply> {
        match due {
            Due::Value { .. } => self.take_reply(Reply::Value(value)),
            Due::Meta(item) => self.take_reply(Reply::Meta(item.with_value(value))),
            Due::Item(key, item) => {
                self.items.push((key, item.with_value(value)));
                None
            }
        }
    }

    /// Takes a whole reply, which may be one of those of a transaction. Returns the reply when it
    /// is complete.
    fn take_reply(&mut self, reply: Reply) -> Option<Reply> {
        let Some(committed) = &mut self.committed else { return Some(reply) };
        committed.replies.push(reply);
        if (committed.replies.len() as u64) < committed.count {
            return None;
        }
        let Committed { revision, replies, .. } = self.committed.take()?;
        Some(Reply::Committed { revision, replies })
    }

    /// Takes a line; returns the reply when it is the last one.
    fn take_line(&mut self, line: &Bytes) -> Result<Option<Reply>, Malformed> {
        let malformed = || Malformed::new(line);
        let is_first = self.items.is_empty()
            && self.status.is_empty()
            && self.members.is_empty()
            && self.committed.is_none()
            && self.lease.is_none()
            && self.help_lines == 0;
        if is_first && line.starts_with(b"ERR_") {
            let Some(ReplyLine::Error(error)) = ReplyLine::parse(line) else {
                return Err(malformed());
            };
            return error.reply().map(|error| Some(Reply::Error(error))).ok_or_else(malformed);
        }
        match self.expect {
            Expect::Status if line == "END" => {
                return Ok(Some(Reply::Status(std::mem::take(&mut self.status))));
            }
            Expect::Status => {
                return self.status.push(line).then_some(None).ok_or_else(malformed);
            }
            Expect::Members => {
                let report = self.members.take(line).map_err(|()| malformed())?;
                return Ok(report.map(|report| Reply::Members(Box::new(report))));
            }
            Expect::Help if line == "END" => return Ok(Some(Reply::Help)),
            Expect::Help => {
                self.help_lines += 1;
                let is_within = self.help_lines <= HELP_LINES_MAX;
                return is_within.then_some(None).ok_or_else(malformed);
            }
            _ => {}
        }
        let parsed = ReplyLine::parse(line).ok_or_else(malformed)?;
        match (self.expect, parsed) {
            (Expect::Value, ReplyLine::Value { bytes }) => {
                self.due = Some(Due::Value { bytes });
                Ok(None)
            }
            (Expect::Meta, ReplyLine::Meta(item)) => {
                self.due = Some(Due::Meta(item));
                Ok(None)
            }
            (Expect::Scan { limit }, parsed) => {
                self.take_page_line(line, parsed, limit).ok_or_else(malformed)
            }
            (Expect::Committed, parsed) => {
                self.take_committed_line(line, parsed).ok_or_else(malformed)
            }
            (Expect::LeaseKeys, parsed) => self.take_lease_line(line, parsed).ok_or_else(malformed),
            (expect, parsed) => of_one_line(expect, parsed).map(Some).ok_or_else(malformed),
        }
    }

    /// Takes a line of a scan. `None` when it has no place there, or goes beyond a bound.
    fn take_page_line(
        &mut self,
        line: &Bytes,
        parsed: ReplyLine<'_>,
        limit: u64,
    ) -> Option<Option<Reply>> {
        match parsed {
            ReplyLine::End => Some(Some(self.page(false))),
            // Without a key the client would not know where to go on.
            ReplyLine::More if !self.items.is_empty() => Some(Some(self.page(true))),
            ReplyLine::Key(key, item) => {
                self.page_bytes += item.bytes;
                if self.items.len() as u64 == limit || self.page_bytes > PAGE_BYTES_MAX {
                    return None;
                }
                self.due = Some(Due::Item(line.slice_ref(key), item));
                Some(None)
            }
            _ => None,
        }
    }

    /// Takes a line of the reply to a `commit`. `None` when it has no place there, or goes beyond a
    /// bound. The replies of the commands say by themselves of which kind they are.
    fn take_committed_line(
        &mut self,
        line: &Bytes,
        parsed: ReplyLine<'_>,
    ) -> Option<Option<Reply>> {
        if self.committed.is_none() {
            return match parsed {
                ReplyLine::Committed { revision, count: 0 } => {
                    Some(Some(Reply::Committed { revision, replies: Vec::new() }))
                }
                ReplyLine::Committed { revision, count } if count <= COMMITTED_REPLIES_MAX => {
                    self.committed = Some(Committed { revision, count, replies: Vec::new() });
                    Some(None)
                }
                ReplyLine::Aborted { key, version } => {
                    Some(Some(Reply::Aborted { key: line.slice_ref(key), version }))
                }
                _ => None,
            };
        }
        self.page_bytes += parsed.block_bytes().unwrap_or(0);
        if self.page_bytes > COMMITTED_BYTES_MAX {
            return None;
        }
        let reply = match parsed {
            ReplyLine::Ok { number } => Reply::Stored { version: number },
            ReplyLine::Deleted => Reply::Deleted,
            ReplyLine::Error(error) => Reply::Error(error.reply()?),
            ReplyLine::Value { bytes } => {
                self.due = Some(Due::Value { bytes });
                return Some(None);
            }
            ReplyLine::Meta(item) => {
                self.due = Some(Due::Meta(item));
                return Some(None);
            }
            _ => return None,
        };
        Some(self.take_reply(reply))
    }

    /// Takes a line of the reply to a `lease`. `None` when it has no place there, or goes beyond a
    /// bound.
    fn take_lease_line(&mut self, line: &Bytes, parsed: ReplyLine<'_>) -> Option<Option<Reply>> {
        let Some(lease) = &mut self.lease else {
            let ReplyLine::Lease { id, seconds: left } = parsed else { return None };
            self.lease = Some(Lease { id, left, keys: Vec::new() });
            return Some(None);
        };
        let more = match parsed {
            ReplyLine::LeaseKey(key) if lease.keys.len() < LEASE_KEYS_MAX => {
                lease.keys.push(line.slice_ref(key));
                return Some(None);
            }
            ReplyLine::End => false,
            ReplyLine::More => true,
            _ => return None,
        };
        let Lease { id, left, keys } = self.lease.take()?;
        Some(Some(Reply::LeaseKeys { id, left, keys, more }))
    }

    fn page(&mut self, more: bool) -> Reply {
        Reply::Scan { items: std::mem::take(&mut self.items), more }
    }
}

/// The reply that is this one line; `None` when it is not the expected one.
fn of_one_line(expect: Expect, line: ReplyLine<'_>) -> Option<Reply> {
    Some(match (expect, line) {
        (Expect::Stored | Expect::Written, ReplyLine::Ok { number }) => {
            Reply::Stored { version: number }
        }
        (Expect::Deleted | Expect::Written, ReplyLine::Deleted) => Reply::Deleted,
        (Expect::Ended, ReplyLine::Ended) => Reply::Ended,
        (Expect::SnapshotBegun, ReplyLine::Ok { number }) => Reply::SnapshotBegun { index: number },
        (Expect::Queued, ReplyLine::Queued) => Reply::Queued,
        (Expect::Lease, ReplyLine::Lease { id, seconds }) => Reply::Lease { id, seconds },
        (Expect::Revoked, ReplyLine::Revoked) => Reply::Revoked,
        (Expect::Watching, ReplyLine::Watching { revision }) => Reply::Watching { revision },
        (Expect::Compacted, ReplyLine::Ok { number }) => Reply::Compacted { revision: number },
        (Expect::Snapshot, ReplyLine::Snapshot { index, term, bytes, digest }) => {
            Reply::Snapshot { index, term, bytes, digest }
        }
        (Expect::Done, ReplyLine::Done) => Reply::Done,
        (Expect::Raised, ReplyLine::Ok { number }) => Reply::Raised { format: number },
        (Expect::Digest, ReplyLine::Digest { index, digest }) => Reply::Digest { index, digest },
        (Expect::Pong, ReplyLine::Pong) => Reply::Pong,
        (Expect::Change, ReplyLine::Change { number, id }) => Reply::Change { number, id },
        (Expect::Change | Expect::Leader, ReplyLine::Already) => Reply::Already,
        (Expect::Change, ReplyLine::Plan(plan)) => Reply::Plan(plan),
        (Expect::ChangeWaited, ReplyLine::ChangeEnded { number, is_done }) => {
            Reply::ChangeEnded { number, is_done }
        }
        (Expect::ChangeWaited, ReplyLine::ChangeRunning { number, sentence }) => {
            let sentence = String::from_utf8_lossy(sentence).into_owned();
            Reply::ChangeRunning { number, sentence }
        }
        (Expect::Leader, ReplyLine::Leader { id, term }) => Reply::Leader { id, term },
        _ => return None,
    })
}

impl Due {
    fn bytes(&self) -> usize {
        match self {
            Due::Value { bytes } => *bytes,
            Due::Meta(item) | Due::Item(_, item) => item.bytes,
        }
    }
}

#[cfg(test)]
mod tests;
