//! The stream of a watch: what a server sends after `WATCHING`, printed and parsed.
//!
//! The changes of one revision follow each other, and `END` with that revision closes them. A
//! client that has seen an `END` has seen every change up to it, and goes on from the revision
//! after it, at any server. What came after the last `END` comes again then.

use bytes::{Buf, Bytes, BytesMut};

use super::error_reply::ErrorReply;
use super::reply_line::{ReplyLine, value_bytes};
use super::reply_parser::{Malformed, line_feed};
use super::text::{BlockEnd, Sink, block_end, fields, number, put_block, put_line, without_cr};

/// A part of the stream that means something by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchPart {
    /// A key was changed.
    Event(WatchEvent),
    /// All changes up to this revision have been sent.
    End {
        /// The revision.
        revision: u64,
    },
    /// The watch has ended, and the connection with it.
    Ended(ErrorReply),
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// The key.
    pub key: Bytes,
    /// The revision of the change.
    pub revision: u64,
    /// The fate of the key.
    pub kind: WatchKind,
    /// The record that was replaced, if it was asked for and was there.
    pub previous: Option<WatchPrevious>,
}

/// The fate of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// It was written.
    Set {
        /// Whole seconds that the key had left when it was written, rounded up and at least 1; 0
        /// for never. They do not count down, so that a stream is the same whenever it is read.
        exptime: u64,
        /// The value.
        value: Bytes,
    },
    /// It was removed by a command, or with its lease when that was revoked.
    Deleted,
    /// Its time, or that of its lease, was over.
    Expired,
}

/// The record that a change has replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchPrevious {
    /// The revision that had written it.
    pub revision: u64,
    /// The value.
    pub value: Bytes,
}

impl WatchPart {
    /// Prints the part, all its lines with their line ends.
    pub fn print(&self, sink: &mut impl Sink) {
        match self {
            WatchPart::Event(event) => event.print(sink),
            WatchPart::End { revision } => put_line(sink, format_args!("END {revision}")),
            WatchPart::Ended(error) => put_line(sink, format_args!("{error}")),
        }
    }
}

impl WatchEvent {
    fn print(&self, sink: &mut impl Sink) {
        let WatchEvent { key, revision, kind, previous } = self;
        if let Some(WatchPrevious { revision, value }) = previous {
            put_key(b"PREV ", key, sink);
            put_line(sink, format_args!(" {revision} {}", value.len()));
            put_block(sink, value.clone());
        }
        match kind {
            WatchKind::Set { exptime, value } => {
                put_key(b"SET ", key, sink);
                put_line(sink, format_args!(" {revision} {exptime} {}", value.len()));
                put_block(sink, value.clone());
            }
            WatchKind::Deleted => {
                put_key(b"DELETED ", key, sink);
                put_line(sink, format_args!(" {revision}"));
            }
            WatchKind::Expired => {
                put_key(b"EXPIRED ", key, sink);
                put_line(sink, format_args!(" {revision}"));
            }
        }
    }
}

fn put_key(word: &[u8], key: &[u8], sink: &mut impl Sink) {
    sink.put_slice(word);
    sink.put_slice(key);
}

/// Takes the parts of a stream out of bytes that come in pieces. It does not trust them: every
/// line and every block has a bound.
#[derive(Debug, Default)]
pub struct WatchParser {
    /// The bytes of the next line that are known to hold no line end.
    searched: usize,
    /// The line whose data block comes next.
    due: Option<Due>,
    /// The record that the change of this key, which comes next, has replaced.
    previous: Option<(Bytes, WatchPrevious)>,
}

/// A line whose data block comes next.
#[derive(Debug)]
struct Due {
    key: Bytes,
    revision: u64,
    /// The `<exptime>` of a `SET`; `None` for a `PREV`.
    exptime: Option<u64>,
    bytes: usize,
}

impl WatchParser {
    /// A parser of a stream, from the line after `WATCHING` on.
    pub fn new() -> WatchParser {
        WatchParser::default()
    }

    /// Takes the next part from the front of `input`; `None` when it is not all there. Until then
    /// `input` holds at most a line, or a value. After [`WatchPart::Ended`] or an error the
    /// parser is of no further use.
    ///
    /// # Errors
    /// When the bytes are not the stream of a watch, or beyond its bounds.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<WatchPart>, Malformed> {
        loop {
            if let Some(due) = self.due.take() {
                match block_end(input, due.bytes) {
                    BlockEnd::LineEnd(end_bytes) => {
                        let value = input.split_to(due.bytes).freeze();
                        input.advance(end_bytes);
                        if let Some(event) = self.take_value(due, value)? {
                            return Ok(Some(WatchPart::Event(event)));
                        }
                    }
                    BlockEnd::Missing => return Err(Malformed::new(&input[due.bytes..])),
                    BlockEnd::Unknown => {
                        self.due = Some(due);
                        return Ok(None);
                    }
                }
                continue;
            }
            let Some(end) = line_feed(input, self.searched)? else {
                self.searched = input.len();
                return Ok(None);
            };
            self.searched = 0;
            let mut line = input.split_to(end + 1).freeze();
            line.truncate(without_cr(&line[..end]).len());
            if let Some(part) = self.take_line(&line)? {
                return Ok(Some(part));
            }
        }
    }

    /// Takes the value of a `SET` or a `PREV`; returns the event that it completes.
    fn take_value(&mut self, due: Due, value: Bytes) -> Result<Option<WatchEvent>, Malformed> {
        let Due { key, revision, exptime, .. } = due;
        match exptime {
            Some(exptime) => self.event(key, revision, WatchKind::Set { exptime, value }).map(Some),
            None => {
                self.previous = Some((key, WatchPrevious { revision, value }));
                Ok(None)
            }
        }
    }

    /// The event, with the record that came before it, which must be one of the same key.
    fn event(
        &mut self,
        key: Bytes,
        revision: u64,
        kind: WatchKind,
    ) -> Result<WatchEvent, Malformed> {
        let previous = match self.previous.take() {
            Some((of, previous)) if of == key => Some(previous),
            None => None,
            Some(_) => return Err(Malformed::new(&key)),
        };
        Ok(WatchEvent { key, revision, kind, previous })
    }

    /// Takes a line; returns the part that it completes.
    fn take_line(&mut self, line: &Bytes) -> Result<Option<WatchPart>, Malformed> {
        let malformed = || Malformed::new(line);
        if line.starts_with(b"ERR_") {
            let Some(ReplyLine::Error(error)) = ReplyLine::parse(line) else {
                return Err(malformed());
            };
            return error.reply().map(|error| Some(WatchPart::Ended(error))).ok_or_else(malformed);
        }
        let mut words = line.splitn(2, |byte| *byte == b' ');
        let (word, rest) = (words.next().unwrap_or_default(), words.next().ok_or_else(malformed)?);
        let is_after_previous = self.previous.is_some();
        match word {
            b"SET" => {
                let [key, revision, exptime, bytes] = fields(rest).ok_or_else(malformed)?;
                let exptime = Some(number(exptime).ok_or_else(malformed)?);
                self.due = Some(due(line, key, revision, exptime, bytes).ok_or_else(malformed)?);
                Ok(None)
            }
            b"PREV" if !is_after_previous => {
                let [key, revision, bytes] = fields(rest).ok_or_else(malformed)?;
                self.due = Some(due(line, key, revision, None, bytes).ok_or_else(malformed)?);
                Ok(None)
            }
            b"DELETED" | b"EXPIRED" => {
                let [key, revision] = fields(rest).ok_or_else(malformed)?;
                let revision = number(revision).ok_or_else(malformed)?;
                let kind = match word {
                    b"DELETED" => WatchKind::Deleted,
                    _ => WatchKind::Expired,
                };
                let event = self.event(line.slice_ref(key), revision, kind)?;
                Ok(Some(WatchPart::Event(event)))
            }
            b"END" if !is_after_previous => {
                let revision = number(rest).ok_or_else(malformed)?;
                Ok(Some(WatchPart::End { revision }))
            }
            _ => Err(malformed()),
        }
    }
}

/// The fields of a line whose data block follows.
fn due(
    line: &Bytes,
    key: &[u8],
    revision: &[u8],
    exptime: Option<u64>,
    bytes: &[u8],
) -> Option<Due> {
    let key = line.slice_ref(key);
    Some(Due { key, revision: number(revision)?, exptime, bytes: value_bytes(bytes)? })
}

#[cfg(test)]
mod tests;
