//! The reply to a command: how a server prints it, and how a client reads it.
//!
//! A reply does not say which command it answers, so its reader says what kind it expects.
//! [`first_reply`] only looks at the bytes, for a reader that must not copy;
//! [`ReplyParser`] takes every kind of reply out of them. Neither trusts the bytes: every
//! line, block and list has a bound.

use bytes::{Buf, Bytes, BytesMut};

use super::error_reply::ErrorReply;
use super::status::{Status, StatusReport};
use super::text::{
    BlockEnd, Sink, block_end, file_digest, number, put_block, put_line, store_digest, without_cr,
};
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
            Reply::SnapshotBegun { index } => put_line(sink, format_args!("OK {index}")),
            Reply::Snapshot { index, term, bytes, digest } => {
                put_line(sink, format_args!("SNAPSHOT {index} {term} {bytes} {digest:032x}"));
            }
            Reply::Done => sink.put_slice(b"OK\r\n"),
            Reply::Raised { format } => put_line(sink, format_args!("OK {format}")),
            Reply::Digest { index, digest } => {
                put_line(sink, format_args!("DIGEST {index} {digest:016x}"));
            }
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
/// The largest value that the protocol can carry, in bytes.
const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;
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

/// A line of a reply. The lines of `status` and `help` are free text, and not parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyLine<'a> {
    /// `OK` and a version, the index that a snapshot will reach, or a format.
    Ok {
        /// The version, index or format.
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
    bytes: usize,
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
            (b"KEY", Some(rest)) => {
                let end = rest.iter().position(|byte| *byte == b' ')?;
                ReplyLine::Key(&rest[..end], ItemLine::parse(&rest[end + 1..])?)
            }
            (b"DELETED", None) => ReplyLine::Deleted,
            (b"ENDED", None) => ReplyLine::Ended,
            (b"END", None) => ReplyLine::End,
            (b"MORE", None) => ReplyLine::More,
            (b"PONG", None) => ReplyLine::Pong,
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
            _ if word.starts_with(b"ERR_") => {
                let word = std::str::from_utf8(word).ok()?;
                ReplyLine::Error(ErrorLine { word, text: rest.unwrap_or_default() })
            }
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

    fn with_value(self, value: Bytes) -> Item {
        Item { value, version: self.version, exptime: self.exptime }
    }
}

/// Exactly `N` fields with one space between them.
fn fields<const N: usize>(rest: &[u8]) -> Option<[&[u8]; N]> {
    let mut split = rest.split(|byte| *byte == b' ');
    let mut fields: [&[u8]; N] = [&[]; N];
    for field in &mut fields {
        *field = split.next()?;
    }
    split.next().is_none().then_some(fields)
}

fn value_bytes(field: &[u8]) -> Option<usize> {
    usize::try_from(number(field)?).ok().filter(|bytes| *bytes <= VALUE_BYTES_MAX)
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
        let is_first = self.items.is_empty() && self.status.is_empty() && self.help_lines == 0;
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
            Expect::Help if line == "END" => return Ok(Some(Reply::Help)),
            Expect::Help => {
                self.help_lines += 1;
                let is_within = self.help_lines <= HELP_LINES_MAX;
                return is_within.then_some(None).ok_or_else(malformed);
            }
            _ => {}
        }
        let parsed = ReplyLine::parse(line).ok_or_else(malformed)?;
        let reply = match (self.expect, parsed) {
            (Expect::Stored | Expect::Written, ReplyLine::Ok { number }) => {
                Reply::Stored { version: number }
            }
            (Expect::Deleted | Expect::Written, ReplyLine::Deleted) => Reply::Deleted,
            (Expect::Ended, ReplyLine::Ended) => Reply::Ended,
            (Expect::SnapshotBegun, ReplyLine::Ok { number }) => {
                Reply::SnapshotBegun { index: number }
            }
            (Expect::Snapshot, ReplyLine::Snapshot { index, term, bytes, digest }) => {
                Reply::Snapshot { index, term, bytes, digest }
            }
            (Expect::Done, ReplyLine::Done) => Reply::Done,
            (Expect::Raised, ReplyLine::Ok { number }) => Reply::Raised { format: number },
            (Expect::Digest, ReplyLine::Digest { index, digest }) => {
                Reply::Digest { index, digest }
            }
            (Expect::Pong, ReplyLine::Pong) => Reply::Pong,
            (Expect::Value, ReplyLine::Value { bytes }) => {
                self.due = Some(Due::Value { bytes });
                return Ok(None);
            }
            (Expect::Meta, ReplyLine::Meta(item)) => {
                self.due = Some(Due::Meta(item));
                return Ok(None);
            }
            (Expect::Scan { limit }, parsed) => {
                return self.take_page_line(line, parsed, limit).ok_or_else(malformed);
            }
            _ => return Err(malformed()),
        };
        Ok(Some(reply))
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
