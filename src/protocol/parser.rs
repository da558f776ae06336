//! Framing: finds where a command begins and ends in a stream that is cut anywhere, and
//! where the next one begins after a bad one.

use bytes::{Buf, BytesMut};

use super::error_reply::ErrorReply;
use super::foreign::{self, ForeignProtocol};
use super::line::{self, Line, WriteHead};
use super::request::{Limits, Request};
use super::text::{BlockEnd, block_end, without_cr};

/// A result of the parser.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A command to be executed.
    Request(Request),
    /// A command that gets this error; the next one can be parsed.
    Refused(ErrorReply),
    /// A command with `noreply` that [`Parser::refuse_value`] has refused. It gets no reply.
    Dropped,
    /// This error is the last reply: the place where the next command begins is not
    /// known, or too far away to read up to it.
    Fatal(ErrorReply),
    /// The client speaks another protocol. Nothing that it sends after this is a command.
    Foreign(ForeignProtocol),
}

/// The longest data block of a bad command that is read past, in bytes. A longer one ends
/// the connection.
const SKIPPED_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Finds the commands in the bytes that a client sends.
#[derive(Debug)]
pub struct Parser {
    limits: Limits,
    state: State,
    /// True until the first line of the connection is taken.
    is_first_line: bool,
}

#[derive(Debug)]
enum State {
    /// In a command line. The first `searched` bytes of it are known to hold no line end,
    /// and are not looked at again.
    Line { searched: usize },
    /// In the data block of a write; the line is already taken.
    Value { head: WriteHead, value_bytes: usize },
    /// In the data block of a command that has this error, or is not to be answered. The
    /// block is thrown away as it comes.
    Skip { remaining: u64, error: Option<ErrorReply> },
    /// After a data block that had no line end: all is thrown away until the next line
    /// end.
    Resync,
    /// After a fatal error.
    Ended,
}

impl Parser {
    /// A parser at the beginning of a connection.
    pub fn new(limits: Limits) -> Parser {
        Parser { limits, state: State::Line { searched: 0 }, is_first_line: true }
    }

    /// Takes the next command from the front of `input`; `None` when it is not
    /// all there. Until then `input` holds at most a line, or a value within its
    /// limit. After [`Parsed::Fatal`] and [`Parsed::Foreign`] everything is thrown away.
    pub fn next(&mut self, input: &mut BytesMut) -> Option<Parsed> {
        loop {
            match std::mem::replace(&mut self.state, State::Line { searched: 0 }) {
                State::Line { searched } => {
                    if let Some(parsed) = self.line(searched, input)? {
                        return Some(parsed);
                    }
                }
                State::Value { head, value_bytes } => match block_end(input, value_bytes) {
                    BlockEnd::LineEnd(end_bytes) => {
                        let value = input.split_to(value_bytes).freeze();
                        input.advance(end_bytes);
                        return Some(Parsed::Request(head.with_value(value)));
                    }
                    BlockEnd::Missing => {
                        input.advance(value_bytes);
                        self.state = State::Resync;
                        let text = "the data block is not followed by a line end";
                        return Some(Parsed::Refused(ErrorReply::CmdErr(text.into())));
                    }
                    BlockEnd::Unknown => {
                        self.state = State::Value { head, value_bytes };
                        return None;
                    }
                },
                State::Skip { remaining, error } => {
                    let skipped =
                        usize::try_from(remaining).map_or(input.len(), |all| all.min(input.len()));
                    input.advance(skipped);
                    let remaining = remaining - skipped as u64;
                    let end = if remaining > 0 { BlockEnd::Unknown } else { block_end(input, 0) };
                    match end {
                        BlockEnd::LineEnd(end_bytes) => input.advance(end_bytes),
                        BlockEnd::Missing => self.state = State::Resync,
                        BlockEnd::Unknown => {
                            self.state = State::Skip { remaining, error };
                            return None;
                        }
                    }
                    return Some(error.map_or(Parsed::Dropped, Parsed::Refused));
                }
                State::Resync => match input.iter().position(|byte| *byte == b'\n') {
                    Some(at) => input.advance(at + 1),
                    None => {
                        input.clear();
                        self.state = State::Resync;
                        return None;
                    }
                },
                State::Ended => {
                    input.clear();
                    self.state = State::Ended;
                    return None;
                }
            }
        }
    }

    /// True when a line with a data block was taken, and the block is not all there.
    pub(super) fn is_in_block(&self) -> bool {
        matches!(self.state, State::Value { .. } | State::Skip { .. })
    }

    /// Refuses the command whose data block has come in part, if there is one. The part of
    /// the block that is there is thrown away at once, and the rest as it comes.
    pub fn refuse_value(&mut self, error: ErrorReply, input: &mut BytesMut) {
        if let State::Value { head, value_bytes } = &self.state {
            let skipped = input.len().min(*value_bytes);
            let remaining = (*value_bytes - skipped) as u64;
            let error = (!head.noreply()).then_some(error);
            *input = BytesMut::from(&input[skipped..]);
            self.state = State::Skip { remaining, error };
        }
    }

    /// Takes a command line. Returns `None` when it is not all there, and `Some(None)` when
    /// its data block comes first.
    fn line(&mut self, searched: usize, input: &mut BytesMut) -> Option<Option<Parsed>> {
        if self.is_first_line
            && let Some(protocol) = input.first().and_then(|byte| foreign::of_first_byte(*byte))
        {
            // Such input may never have a line end.
            return Some(Some(self.foreign(protocol)));
        }
        let line_bytes_max = self.limits.line_bytes_max;
        // Nothing after the longest line and its line end needs to be searched.
        let searchable = input.len().min(line_bytes_max + 2);
        let found = input[searched..searchable].iter().position(|byte| *byte == b'\n');
        let Some(end) = found.map(|at| searched + at) else {
            // A final `\r` may be the first byte of the line end.
            let known = without_cr(&input[..searchable]).len();
            if known > line_bytes_max {
                return Some(Some(self.line_too_large()));
            }
            self.state = State::Line { searched: searchable };
            return None;
        };
        let line = without_cr(&input[..end]);
        if line.len() > line_bytes_max {
            return Some(Some(self.line_too_large()));
        }
        let is_first = std::mem::replace(&mut self.is_first_line, false);
        let parsed = match line::parse(line, &self.limits) {
            Ok(Line::Request(request)) => Some(Parsed::Request(request)),
            Ok(Line::Write(head, value_bytes)) => {
                self.state = State::Value { head, value_bytes };
                None
            }
            Err(error) => match foreign::of_line(line, is_first) {
                Some(protocol) => Some(self.foreign(protocol)),
                None => self.refused(error, line::block_bytes(line)),
            },
        };
        input.advance(end + 1);
        Some(parsed)
    }

    /// Refuses a malformed line. `None`: its data block is read past first.
    fn refused(&mut self, error: ErrorReply, block_bytes: Option<u64>) -> Option<Parsed> {
        match block_bytes {
            None => Some(Parsed::Refused(error)),
            Some(bytes) if bytes <= self.skipped_bytes_max() => {
                self.state = State::Skip { remaining: bytes, error: Some(error) };
                None
            }
            Some(_) => {
                self.state = State::Ended;
                Some(Parsed::Fatal(error))
            }
        }
    }

    fn foreign(&mut self, protocol: ForeignProtocol) -> Parsed {
        self.state = State::Ended;
        Parsed::Foreign(protocol)
    }

    /// The longest data block that is read past. A block that would be taken as a value is
    /// never too long.
    fn skipped_bytes_max(&self) -> u64 {
        SKIPPED_BYTES_MAX.max(self.limits.value_bytes_max as u64)
    }

    fn line_too_large(&mut self) -> Parsed {
        self.state = State::Ended;
        let text = format!("a line has at most {} bytes", self.limits.line_bytes_max);
        Parsed::Fatal(ErrorReply::TooLarge(text.into()))
    }
}

#[cfg(test)]
mod tests;
