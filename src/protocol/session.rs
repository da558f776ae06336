//! A session: the order of the commands and replies of one connection, without the
//! connection.
//!
//! The caller tells the session what has happened, and calls [`Session::step`]. A step takes
//! commands from the input, puts those that the session does not answer by itself into a
//! [`Batch`], and prints the replies that are due. Rules:
//! - Replies leave in the order of the commands, whatever the order in which results come.
//!   A command that the server answers by itself (`ping`, `help`, a malformed line) takes
//!   its place among them.
//! - Input is taken only while the window of unanswered commands and the unsent output have
//!   room. So a client that sends faster than it is served, or does not read its replies,
//!   is slowed by TCP and never refused.
//! - A session that holds as much memory as is left for all clients takes no further
//!   command as long as something of its own is to be answered or sent. A session that
//!   holds nothing is refused as busy: it must not wait for others (docs/adr/0010).
//! - `status` is a barrier: it waits until the commands before it are answered, and the
//!   commands after it wait for it.
//! - The commands between `begin` and `commit` are kept in a queue, and leave as one.
//! - A watch waits as `status` does. From then on the session only hands on what it is given, and
//!   takes nothing but `quit`.
//! - A client that turns out to speak another protocol gets one error, and nothing that it sends
//!   after that is executed.
//! - After `quit`, a fatal error or [`Session::end`] the input is read and thrown away:
//!   closing a socket with unread input would reset the connection, and a reset can lose
//!   replies that the client has not read yet.
//! - When the client has shut down its sending side, all commands that came are answered
//!   before the connection is closed.

mod requests;
mod watching;

use bytes::BytesMut;

use super::batch::{Batch, ClientRequest};
use super::error_reply::ErrorReply;
use super::foreign::ForeignProtocol;
use super::parser::{Parsed, Parser};
use super::queue::TransactionQueue;
use super::reply::Reply;
use super::request::{Limits, Mode, WatchRequest};
use super::text::Sink;
use super::window::Window;
use crate::kv;

/// The settings that all sessions of a node share.
#[derive(Clone, Copy, Debug)]
pub struct SessionSettings {
    /// Bounds on what a client may send.
    pub limits: Limits,
    /// The size limit of the store that goes into every command, in bytes; 0 is none.
    pub store_bytes_max: u64,
    /// Maximum number of leases, which goes into every `grant`.
    pub leases_max: u64,
    /// Bounds on a transaction.
    pub transaction: kv::TransactionLimits,
    /// Maximum number of unanswered commands with which a connection is read from.
    pub inflight_commands_max: usize,
    /// Maximum weight of the unanswered commands and their expected replies, in bytes, with
    /// which a connection is read from.
    pub inflight_bytes_max: usize,
    /// Maximum number of unsent bytes of replies with which a connection is read from.
    pub outbound_bytes_max: usize,
}

/// A session's view of its connection, and of the memory of all clients.
pub trait SessionIo {
    /// The type of the output.
    type Output: Sink;

    /// The bytes that were read and not yet taken.
    fn input(&mut self) -> &mut BytesMut;

    /// The output.
    fn output(&mut self) -> &mut Self::Output;

    /// Number of bytes in the output that the kernel has not taken.
    fn unsent_bytes(&self) -> usize;

    /// Memory that the connection holds, in bytes.
    fn held_bytes(&self) -> usize;

    /// Sets the session's part of the memory of all clients: `bytes`, or the minimum cost of
    /// a session.
    fn set_memory(&mut self, bytes: u64);

    /// Memory that is left for all clients, in bytes.
    fn free_memory(&self) -> u64;
}

/// The pure part of one client connection.
#[derive(Debug)]
pub struct Session {
    settings: SessionSettings,
    parser: Parser,
    input_state: InputState,
    /// True when the parser has taken all that was read. Only then may a read be under way,
    /// which holds the rest of the input.
    is_exhausted: bool,
    /// True when the client sends no more.
    has_input_ended: bool,
    window: Window,
    /// Commands that were taken and have not left.
    batch: Batch,
    /// The transaction in the making, since `begin`.
    transaction: Option<TransactionQueue>,
    /// The way in which a server that does not lead treats the commands.
    mode: Mode,
    /// The protocol of a client that was found to speak another one, until it is taken.
    foreign: Option<ForeignProtocol>,
}

/// The use of the bytes that the client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum InputState {
    /// Commands are taken.
    Open,
    /// A `status` waits for the commands before it, or was sent, and the commands after it
    /// wait.
    Barrier {
        /// True when the `status` was sent.
        is_sent: bool,
    },
    /// A watch waits, or runs.
    Watching(Watching),
    /// No further command is executed. The input is read and thrown away.
    Discarding,
    /// All replies are sent and the output has ended. The client has a short time to hang up,
    /// while its input is read and thrown away.
    Lingering,
}

/// The state of a watch.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Watching {
    /// It waits until the commands before it are answered.
    Waits(WatchRequest),
    /// It is ready to be taken.
    Due(WatchRequest),
    /// It was taken, and is not answered yet.
    Asked,
    /// The stream runs.
    Runs,
}

/// The end of [`Session::step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All commands that can be taken now are.
    Done,
    /// There may be more, but the other sessions have their turn first.
    Yield,
}

/// The next step to close a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// The connection stays open.
    No,
    /// All is sent: end the output, give the client a short time, and stop.
    Linger,
    /// Stop at once.
    Stop,
}

/// Maximum number of commands that are taken before the other actors of the thread have
/// their turn: hundreds of clients that send `ping` as fast as they can must not keep a
/// leader from its heartbeats.
pub const STEP_COMMANDS: usize = 16;

impl Session {
    /// A session at the beginning of a connection, whose output keeps values of
    /// `uncopied_bytes_min` bytes or more without a copy.
    pub fn new(settings: SessionSettings, uncopied_bytes_min: usize) -> Session {
        let window = Window::new(settings.limits.value_bytes_max, uncopied_bytes_min);
        Session {
            settings,
            parser: Parser::new(settings.limits),
            input_state: InputState::Open,
            is_exhausted: true,
            has_input_ended: false,
            window,
            batch: Batch::default(),
            transaction: None,
            mode: Mode::default(),
            foreign: None,
        }
    }

    /// Notes that input has come.
    pub fn on_read(&mut self) {
        self.is_exhausted = false;
    }

    /// Notes that the client sends no more.
    pub fn on_input_end(&mut self) {
        self.has_input_ended = true;
    }

    /// Takes no further command. The replies that are due are sent, then the connection is
    /// closed.
    pub fn end(&mut self) {
        if self.input_state != InputState::Lingering {
            self.input_state = InputState::Discarding;
        }
    }

    /// Ends the session with this error as the last reply.
    pub fn end_with(&mut self, error: ErrorReply) {
        self.window.push_answered(Reply::Error(error));
        self.input_state = InputState::Discarding;
    }

    /// Ends the session because no answer can come any more.
    pub fn end_without_answers(&mut self, io: &mut impl SessionIo) {
        let error = ErrorReply::Internal("the server is stopping".into());
        self.window.answer_all(&Reply::Error(error));
        self.print_due(io);
        self.input_state = InputState::Discarding;
    }

    /// Answers the command in a slot. False when no command waits there.
    pub fn answer(&mut self, slot: u64, reply: Reply) -> bool {
        self.window.answer(slot, reply)
    }

    /// Answers the command in a slot, which was a write, with its outcome. False when no command
    /// waits there.
    pub fn answer_write(&mut self, slot: u64, outcome: kv::Outcome) -> bool {
        let reply = self.window.asked(slot).reply_to_write(outcome);
        self.window.answer(slot, reply)
    }

    /// Answers the command in a slot, which was a read. False when no command waits there.
    pub fn answer_read(&mut self, slot: u64, answer: kv::Answer) -> bool {
        let reply = self.window.asked(slot).reply_to_read(answer);
        self.window.answer(slot, reply)
    }

    /// Answers a write that has timed out. It keeps its place in the window until
    /// [`Session::settle`]. False when no command waits in that slot.
    pub fn time_out(&mut self, slot: u64, reply: Reply) -> bool {
        self.window.time_out(slot, reply)
    }

    /// Frees the place of a write of `command_bytes` bytes that had timed out. False when
    /// there is no such write.
    pub fn settle(&mut self, command_bytes: usize) -> bool {
        self.window.settle(command_bytes)
    }

    /// Takes commands from the input, and prints the replies that are due, until there are
    /// none, something has to be waited for, or it is the turn of others.
    pub fn step(&mut self, io: &mut impl SessionIo) -> Step {
        let mut taken = 0;
        loop {
            self.print_due(io);
            match self.input_state {
                InputState::Open if taken == STEP_COMMANDS => return Step::Yield,
                InputState::Open if !self.is_exhausted && self.has_room(io) => {
                    let is_short = !self.has_memory(io);
                    if is_short && !self.is_quiet(io) {
                        return Step::Done;
                    }
                    taken += 1;
                    self.take_next(io, is_short);
                }
                InputState::Barrier { is_sent: false } if self.window.is_empty() => {
                    self.batch.push(self.window.open_line(), ClientRequest::Status);
                    self.input_state = InputState::Barrier { is_sent: true };
                }
                InputState::Barrier { is_sent: true } if self.window.is_empty() => {
                    self.input_state = InputState::Open;
                }
                InputState::Watching(_) => {
                    if !self.step_watch(io) {
                        return Step::Done;
                    }
                }
                InputState::Open | InputState::Barrier { .. } => return Step::Done,
                InputState::Discarding | InputState::Lingering => {
                    io.input().clear();
                    return Step::Done;
                }
            }
        }
    }

    /// Prints the replies that are due.
    pub fn print_due(&mut self, io: &mut impl SessionIo) {
        while let Some(due) = self.window.pop_due() {
            if let Some(reply) = due {
                reply.print(io.output());
            }
        }
    }

    /// Takes the commands that are to be sent, and the bytes of the writes among them.
    /// `None` when there is no command.
    pub fn take_batch(&mut self) -> Option<(Vec<(u64, ClientRequest)>, usize)> {
        self.batch.take()
    }

    /// Takes the protocol of a client that was found to speak another one than this. There is
    /// one at most once in a session.
    pub fn take_foreign(&mut self) -> Option<ForeignProtocol> {
        self.foreign.take()
    }

    /// Returns the next step to close the connection. Called only when no turn of the
    /// session is due.
    pub fn close(&mut self, io: &impl SessionIo) -> Closing {
        if !self.is_quiet(io) {
            return Closing::No;
        }
        match self.input_state {
            InputState::Open if self.has_input_ended && self.is_exhausted => Closing::Stop,
            InputState::Discarding | InputState::Lingering if self.has_input_ended => Closing::Stop,
            InputState::Discarding => {
                self.input_state = InputState::Lingering;
                Closing::Linger
            }
            InputState::Watching(Watching::Runs) if self.has_input_ended => Closing::Stop,
            InputState::Open
            | InputState::Barrier { .. }
            | InputState::Watching(_)
            | InputState::Lingering => Closing::No,
        }
    }

    /// True when the connection should be read from.
    pub fn wants_input(&mut self, io: &mut impl SessionIo) -> bool {
        let wants_input = match &self.input_state {
            InputState::Open => self.is_exhausted && self.has_room(io) && self.may_read(io),
            InputState::Watching(Watching::Runs) => self.is_exhausted,
            InputState::Barrier { .. } | InputState::Watching(_) => false,
            InputState::Discarding | InputState::Lingering => true,
        };
        wants_input && !self.has_input_ended
    }

    /// True when a command is unanswered or not settled.
    pub fn holds_commands(&self) -> bool {
        self.window.held_commands() > 0
    }

    /// Sets the session's part of the memory of all clients.
    pub fn update_memory(&self, io: &mut impl SessionIo) {
        let queued = self.transaction_bytes();
        let held = self.window.kept_bytes() + self.batch.bytes() + queued + io.held_bytes();
        io.set_memory(held as u64);
    }

    fn transaction_bytes(&self) -> usize {
        self.transaction.as_ref().map_or(0, TransactionQueue::weight_bytes)
    }

    fn has_room(&self, io: &impl SessionIo) -> bool {
        self.window.held_commands() < self.settings.inflight_commands_max
            && self.window.held_bytes() < self.settings.inflight_bytes_max
            && io.unsent_bytes() < self.settings.outbound_bytes_max
    }

    /// True when every command is answered, and every reply sent.
    fn is_quiet(&self, io: &impl SessionIo) -> bool {
        self.window.is_empty() && io.unsent_bytes() == 0
    }

    /// True when the session may have more memory: all that is held for it, here and
    /// elsewhere, is less than what is left for all clients.
    fn has_memory(&self, io: &mut impl SessionIo) -> bool {
        self.update_memory(io);
        let held = self.window.held_bytes() + self.transaction_bytes() + io.held_bytes();
        (held as u64) < io.free_memory()
    }

    /// True when there is memory to read on. A value that has come in part and finds no
    /// memory is given up: two of them must not wait for each other.
    fn may_read(&mut self, io: &mut impl SessionIo) -> bool {
        if self.has_memory(io) {
            return true;
        }
        if !self.is_quiet(io) {
            return false;
        }
        self.parser.refuse_value(ErrorReply::Busy, io.input());
        true
    }

    /// Takes the next command, if it is all there. `is_short`: there is no memory for it.
    fn take_next(&mut self, io: &mut impl SessionIo, is_short: bool) {
        if let Some(parsed) = self.next_parsed(io) {
            let input_bytes = io.input().len();
            self.take(parsed, is_short, input_bytes);
        }
    }

    /// The next command of the input, if it is all there.
    fn next_parsed(&mut self, io: &mut impl SessionIo) -> Option<Parsed> {
        let input = io.input();
        let parsed = self.parser.next(input);
        if parsed.is_none() {
            self.is_exhausted = true;
            if input.is_empty() {
                // An idle connection keeps no buffer.
                *input = BytesMut::new();
            }
        }
        parsed
    }
}

#[cfg(test)]
mod tests;
