//! The reply to a command: how a server prints it, and how a client reads it.
//!
//! A reply does not say which command it answers, so its reader says what kind it expects.
//! [`first_reply`] only looks at the bytes, for a reader that must not copy;
//! [`ReplyParser`] takes every kind of reply out of them. Neither trusts the bytes: every
//! line, block and list has a bound.

use bytes::{Buf, Bytes, BytesMut};

use super::error_reply::ErrorReply;
use super::members::{MembersParser, MembersReport, Plan, ended_word};
use super::reply_line::{ItemLine, ReplyLine, VALUE_BYTES_MAX};
use super::status::{Status, StatusReport};
use super::text::{BlockEnd, Sink, block_end, put_block, put_line, without_cr};
use crate::kv::Item;

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `set`, `add`, `cas`: the new version.
    Stored {
        /// The version.
        version: u64,
    },
    /// `delete`.
    Deleted,
    /// `end`.
    Ended,
    /// `get`.
    Value(Bytes),
    /// `getm`.
    Meta(Item),
    /// `scan`.
    Scan {
        /// Keys and items in byte order.
        items: Vec<(Bytes, Item)>,
        /// True when there are further keys.
        more: bool,
    },
    /// A command in a transaction is checked, and waits for `commit`.
    Queued,
    /// `commit`: the transaction was executed.
    Committed {
        /// The store's revision after it.
        revision: u64,
        /// The replies of its commands other than `check`, in their order.
        replies: Vec<Reply>,
    },
    /// `commit`: a `check` did not hold, and nothing was executed.
    Aborted {
        /// The key of the first such `check`.
        key: Bytes,
        /// The version of that key; 0 when it is absent.
        version: u64,
    },
    /// `grant`, `renew`.
    Lease {
        /// The lease.
        id: u64,
        /// Its time to live in seconds.
        seconds: u64,
    },
    /// `revoke`.
    Revoked,
    /// `lease`.
    LeaseKeys {
        /// The lease.
        id: u64,
        /// The seconds that it has left.
        left: u64,
        /// Its keys, in byte order.
        keys: Vec<Bytes>,
    },
    /// `watch`: the changes from this revision on follow.
    Watching {
        /// The revision.
        revision: u64,
    },
    /// `compact`: the oldest revision that can be read.
    Compacted {
        /// The revision.
        revision: u64,
    },
    /// `snapshot begin`.
    SnapshotBegun {
        /// The log index that the snapshot will reach.
        index: u64,
    },
    /// `snapshot find`. (`snapshot read` is answered by a [`Reply::Value`].)
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
    /// `upgrade hold`, `upgrade release`: it is durable on this server.
    Done,
    /// `upgrade raise`.
    Raised {
        /// The format in force.
        format: u64,
    },
    /// `digest`.
    Digest {
        /// The log entry.
        index: u64,
        /// The digest of the store after it.
        digest: u64,
    },
    /// A change of the members has begun, or was taken back: its entry is committed and applied.
    Change {
        /// The number of the change.
        number: u64,
        /// The member that it is about; the new one, when a server takes the place of another.
        id: u64,
    },
    /// A change of the members, or a transfer: it is so already.
    Already,
    /// A change of the members with `dry-run`.
    Plan(Plan),
    /// `member list`.
    Members(Box<MembersReport>),
    /// `member wait`: the change has ended.
    ChangeEnded {
        /// The number of the change.
        number: u64,
        /// True when it was done, false when a person took it back.
        is_done: bool,
    },
    /// `member wait`: the change is under way after all the time that a command may take.
    ChangeRunning {
        /// The number of the change.
        number: u64,
        /// A sentence that says what it does, and what it waits for.
        sentence: String,
    },
    /// `leader transfer`: another server leads.
    Leader {
        /// The server.
        id: u64,
        /// The term in which it leads.
        term: u64,
    },
    /// `ping`.
    Pong,
    /// `status`.
    Status(Status),
    /// `help`.
    Help,
    /// An error, in answer to any command.
    Error(ErrorReply),
}

/// The weight of a reply in budgets, in bytes, in addition to its keys and values.
const REPLY_OVERHEAD_BYTES: usize = 64;

/// The answer to `help`.
const HELP: &str = "\
set <key> <exptime> <numbytes> [noreply], then the data: write\r
add <key> <exptime> <numbytes> [noreply], then the data: write if the key is absent\r
cas <key> <exptime> <version> <numbytes> [noreply], then the data: write if at that version\r
delete <key> [noreply]: remove\r
get <key>: the value\r
getm <key>: the value with its version and the seconds it has left\r
scan <prefix> <limit> [after <key>]: keys and values in byte order; * is every key\r
once <client> <seq> <write>: execute a write exactly once, however often it is sent;\r
  end [noreply] in the place of the write: forget the client, which has ended\r
snapshot begin: have a snapshot taken, for a backup; then snapshot find <index>\r
snapshot find <index>: the newest snapshot here that reaches that entry\r
snapshot read <index> <term> <digest> <offset> <numbytes>: a piece of its file\r
upgrade hold: keep the format of the cluster where it is; upgrade release: no longer\r
upgrade raise: put the next format in force now\r
member list: the members, as this server knows them\r
member add <log-address> <client-address> [id <n>] [learner] [can-lose <n>] [dry-run]\r
member remove <id> [can-lose <n>] [dry-run]\r
member replace <id> <log-address> <client-address> [id <n>] [can-lose <n>] [dry-run]\r
member promote <id> [dry-run]: a learner becomes a voter\r
member demote <id> [can-lose <n>] [dry-run]: a voter becomes a learner\r
member update <id> [log <address>] [client <address>]: it is reached there from now on\r
member wait <number>: until that change has ended; member cancel <number>: take it back\r
leader transfer [to <id> | avoid <id>]: hand the leadership over\r
drain: hand over, and be nobody's choice for a leader; undrain: no longer\r
digest <index>: the digest of the store here after that log entry\r
ping: is the server there?\r
status: the server's state\r
help: this text\r
quit: close the connection\r
END\r
";

impl Reply {
    /// The memory that the reply keeps until it is sent, in bytes: a round figure for
    /// budgets.
    pub fn weight_bytes(&self) -> usize {
        let content = match self {
            Reply::Value(value) => value.len(),
            Reply::Meta(item) => item.value.len(),
            Reply::Scan { items, .. } => items
                .iter()
                .map(|(key, item)| key.len() + item.value.len() + REPLY_OVERHEAD_BYTES)
                .sum(),
            Reply::Members(members) => members.weight_bytes(),
            Reply::ChangeRunning { sentence, .. } => sentence.len(),
            Reply::Status(_) => size_of::<StatusReport>(),
            _ => 0,
        };
        content + REPLY_OVERHEAD_BYTES
    }

    /// Prints the reply, all its lines with their line ends.
    pub fn print(self, sink: &mut impl Sink) {
        match self {
            Reply::Stored { version } => put_line(sink, format_args!("OK {version}")),
            Reply::Deleted => sink.put_slice(b"DELETED\r\n"),
            Reply::Ended => sink.put_slice(b"ENDED\r\n"),
            Reply::Value(value) => {
                put_line(sink, format_args!("VALUE {}", value.len()));
                put_block(sink, value);
            }
            Reply::Meta(Item { value, version, exptime }) => {
                put_line(sink, format_args!("VALUE {version} {exptime} {}", value.len()));
                put_block(sink, value);
            }
            Reply::Scan { items, more } => {
                for (key, Item { value, version, exptime }) in items {
                    sink.put_slice(b"KEY ");
                    sink.put_slice(&key);
                    put_line(sink, format_args!(" {version} {exptime} {}", value.len()));
                    put_block(sink, value);
                }
                sink.put_slice(if more { b"MORE\r\n" } else { b"END\r\n" });
            }
            Reply::Queued => sink.put_slice(b"QUEUED\r\n"),
            Reply::Committed { revision, replies } => {
                put_line(sink, format_args!("COMMITTED {revision} {}", replies.len()));
                replies.into_iter().for_each(|reply| reply.print(sink));
            }
            Reply::Aborted { key, version } => {
                sink.put_slice(b"ABORTED ");
                sink.put_slice(&key);
                put_line(sink, format_args!(" {version}"));
            }
            Reply::Lease { id, seconds } => put_line(sink, format_args!("LEASE {id} {seconds}")),
            Reply::Revoked => sink.put_slice(b"REVOKED\r\n"),
            Reply::LeaseKeys { id, left, keys } => {
                put_line(sink, format_args!("LEASE {id} {left}"));
                for key in keys {
                    sink.put_slice(b"KEY ");
                    sink.put_slice(&key);
                    put_line(sink, format_args!(""));
                }
                sink.put_slice(b"END\r\n");
            }
            Reply::Watching { revision } => put_line(sink, format_args!("WATCHING {revision}")),
            Reply::Compacted { revision } => put_line(sink, format_args!("OK {revision}")),
            Reply::SnapshotBegun { index } => put_line(sink, format_args!("OK {index}")),
            Reply::Snapshot { index, term, bytes, digest } => {
                put_line(sink, format_args!("SNAPSHOT {index} {term} {bytes} {digest:032x}"));
            }
            Reply::Done => sink.put_slice(b"OK\r\n"),
            Reply::Raised { format } => put_line(sink, format_args!("OK {format}")),
            Reply::Digest { index, digest } => {
                put_line(sink, format_args!("DIGEST {index} {digest:016x}"));
            }
            Reply::Change { number, id } => put_line(sink, format_args!("CHANGE {number} {id}")),
            Reply::Already => sink.put_slice(b"ALREADY\r\n"),
            Reply::Plan(plan) => plan.print(sink),
            Reply::Members(members) => members.print(sink),
            Reply::ChangeEnded { number, is_done } => {
                put_line(sink, format_args!("ENDED {number} {}", ended_word(is_done)));
            }
            Reply::ChangeRunning { number, sentence } => {
                put_line(sink, format_args!("RUNNING {number} {sentence}"));
            }
            Reply::Leader { id, term } => put_line(sink, format_args!("LEADER {id} {term}")),
            Reply::Pong => sink.put_slice(b"PONG\r\n"),
            Reply::Status(status) => status.print(sink),
            Reply::Help => sink.put_slice(HELP.as_bytes()),
            Reply::Error(error) => put_line(sink, format_args!("{error}")),
        }
    }
}

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
/// Maximum number of lines of a help text.
const HELP_LINES_MAX: usize = 1_000;
/// Maximum number of bytes of a malformed reply that are shown.
const SHOWN_BYTES_MAX: usize = 80;

impl Malformed {
    fn new(bytes: &[u8]) -> Malformed {
        let shown = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
        Malformed(String::from_utf8_lossy(shown).into_owned())
    }
}

/// The place of the line feed that ends the first line of `input`; `None` until it is
/// there. The first `searched` bytes are known to hold none.
fn line_feed(input: &[u8], searched: usize) -> Result<Option<usize>, Malformed> {
    let searchable = &input[..input.len().min(LINE_BYTES_MAX)];
    match searchable[searched..].iter().position(|byte| *byte == b'\n') {
        Some(at) => Ok(Some(searched + at)),
        None if searchable.len() == LINE_BYTES_MAX => Err(Malformed::new(input)),
        None => Ok(None),
    }
}

/// The first reply in `input` and the number of bytes that it takes; `None` until all of
/// it is there. Nothing is copied. Only for commands whose reply is one line and at most
/// one data block: all but `scan`, `status` and `help`.
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
    /// The bytes of the values that the scan has announced so far.
    page_bytes: usize,
    /// The lines of a `status` so far.
    status: Status,
    /// The lines of a `member list` so far.
    members: MembersParser,
    /// The number of lines of a help text so far.
    help_lines: usize,
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
            Due::Value { .. } => Some(Reply::Value(value)),
            Due::Meta(item) => Some(Reply::Meta(item.with_value(value))),
            Due::Item(key, item) => {
                self.items.push((key, item.with_value(value)));
                None
            }
        }
    }

    /// Takes a line; returns the reply when it is the last one.
    fn take_line(&mut self, line: &Bytes) -> Result<Option<Reply>, Malformed> {
        let malformed = || Malformed::new(line);
        let is_first = self.items.is_empty()
            && self.status.is_empty()
            && self.members.is_empty()
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
