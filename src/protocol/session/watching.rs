//! A watch, which turns the connection into a stream of changes.
//!
//! The session asks for a watch when the commands before it are answered, and reads no further
//! until it runs or was refused. Then it takes nothing but `quit`. Who has the changes gives them
//! as text, and only to a session that has sent all it was given ([`Session::wants_events`]), so
//! a client that does not read costs no memory but what its connection has.

use bytes::Bytes;

use super::super::error_reply::ErrorReply;
use super::super::parser::Parsed;
use super::super::reply::Reply;
use super::super::request::{Request, WatchRequest};
use super::super::text::Sink;
use super::{InputState, Session, SessionIo, Watching};

impl Session {
    /// Takes a watch that is to begin. It is answered by [`Session::begin_watch`] or
    /// [`Session::refuse_watch`], and until then the session takes no command.
    pub fn take_watch(&mut self) -> Option<WatchRequest> {
        let InputState::Watching(state @ Watching::Due(_)) = &mut self.input_state else {
            return None;
        };
        match std::mem::replace(state, Watching::Asked) {
            Watching::Due(watch) => Some(watch),
            _ => None,
        }
    }

    /// The watch that was taken begins with the changes of this revision. Ignored when the session
    /// has ended since.
    pub fn begin_watch(&mut self, revision: u64, io: &mut impl SessionIo) {
        if let InputState::Watching(state @ Watching::Asked) = &mut self.input_state {
            *state = Watching::Runs;
            self.window.push_answered(Reply::Watching { revision });
            self.print_due(io);
        }
    }

    /// The watch that was taken does not begin; the connection goes on with commands.
    pub fn refuse_watch(&mut self, error: ErrorReply) {
        if let InputState::Watching(Watching::Asked) = self.input_state {
            self.window.push_answered(Reply::Error(error));
            self.input_state = InputState::Open;
        }
    }

    /// True while the stream runs.
    pub fn is_watching(&self) -> bool {
        let runs = matches!(self.input_state, InputState::Watching(Watching::Runs));
        runs && !self.has_input_ended
    }

    /// True when the stream runs, and all that it was given is sent.
    pub fn wants_events(&self, io: &impl SessionIo) -> bool {
        self.is_watching() && io.unsent_bytes() == 0
    }

    /// Sends changes: the text of whole [`super::super::WatchPart`]s. Nothing is sent when the
    /// watch is over.
    pub fn put_watch_text(&mut self, text: Bytes, io: &mut impl SessionIo) {
        if self.is_watching() {
            io.output().put_bytes(text);
        }
    }

    /// Ends the stream with this error as its last line, and the session with it. Nothing happens
    /// when the watch is over.
    pub fn end_watch(&mut self, error: ErrorReply) {
        if self.is_watching() {
            self.end_with(error);
        }
    }

    /// Does what can be done now for a watch. False when something has to be waited for.
    pub(super) fn step_watch(&mut self, io: &mut impl SessionIo) -> bool {
        let is_quiet = self.window.is_empty();
        match &mut self.input_state {
            InputState::Watching(watching) if is_quiet => {
                if let Watching::Waits(watch) = watching {
                    *watching = Watching::Due(watch.clone());
                }
                if *watching != Watching::Runs || self.is_exhausted {
                    return false;
                }
            }
            _ => return false,
        }
        self.take_while_watching(io);
        true
    }

    /// Takes what the client sends while the stream runs: `quit`, or a mistake.
    fn take_while_watching(&mut self, io: &mut impl SessionIo) {
        match self.next_parsed(io) {
            Some(Parsed::Request(Request::Quit)) => self.input_state = InputState::Discarding,
            Some(parsed @ (Parsed::Foreign(_) | Parsed::Fatal(_))) => self.take(parsed, false, 0),
            Some(_) => self.end_with(not_quit()),
            // A line with a data block is another command, whatever the block will be.
            None if self.parser.is_in_block() => self.end_with(not_quit()),
            None => {}
        }
    }
}

fn not_quit() -> ErrorReply {
    ErrorReply::CmdErr("while a watch runs only quit may be sent; the watch has ended".into())
}
