//! SessionActor: one client connection, from its first byte to its last.
//!
//! It parses what one read brought, sends all of it to RaftActor as one
//! [`ClientRequests`], and writes the replies in the order of the commands,
//! whatever the order in which the results come. What a server can answer by
//! itself (`ping`, `help`, every error of the line) takes its place among them.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`ClientReplies`] | RaftActor, KvActor | [`ClientRequests`] | RaftActor |
//! | [`EndSession`] | the acceptor | [`SessionClosed`] | the acceptor |
//!
//! Owns: the connection, the parser, the `Window` of unanswered commands.
//! Thread: any arbiter.
//!
//! Bounds: it reads only while the window and the unsent output have room, so a
//! client that sends faster than it is served, or does not read its replies, is
//! slowed by TCP and never refused. A write that has timed out keeps its place in
//! the window until RaftActor says what became of it: RaftActor counts it, too, and
//! would refuse what took its place. A client that takes nothing for
//! `write_stall_ms_max` is cut off. Much that comes at once is taken in turns with
//! the other actors of the thread, `TURN_COMMANDS` each.
//!
//! Failure: a broken connection ends the session; its commands go on. When
//! RaftActor is gone, every waiting command gets `ERR_INTERNAL` and the session
//! ends: nobody waits for an answer that cannot come.

mod translation;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture,
};
use bytes::{Bytes, BytesMut};
use log::debug;
use tokio::time::Instant;

use crate::actors::clients::session::translation::{
    answer_reply, outcome_reply, snapshot_reply, snapshot_request,
};
use crate::actors::clients::window::Window;
use crate::actors::io::connection::Connection;
use crate::actors::io::fair_queue::FairQueue;
use crate::actors::io::memory::{MemoryBudget, Reservation};
use crate::actors::io::output::Output;
use crate::actors::io::pump::{ConnectedActor, arm_read, arm_write};
use crate::actors::messages::clients::{
    ClientReplies, ClientReply, ClientRequest, ClientRequests, EndSession, Refusal, SessionClosed,
    SessionId,
};
use crate::kv;
use crate::net::Stream;
use crate::protocol::{ErrorReply, Limits, Parsed, Parser, Reply, Request, Sink, StatusReport};
use crate::raft::NodeStatus;
use crate::types::NodeId;

/// What all sessions of a node have in common.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// What a client may send.
    pub limits: Limits,
    /// The size limit of the store that goes into every command; 0 is none.
    pub store_bytes_max: u64,
    /// A connection with so many unanswered commands is not read from.
    pub inflight_commands_max: usize,
    /// A connection whose unanswered commands, and the replies they are expected
    /// to bring, weigh so many bytes is not read from.
    pub inflight_bytes_max: usize,
    /// A connection with so many unsent bytes of replies is not read from.
    pub outbound_bytes_max: usize,
    /// What all clients may cost in memory.
    pub memory: MemoryBudget,
    /// A connection whose client takes none of its replies for so long is cut.
    pub write_stall_ms_max: u64,
    /// Where clients find each node, for `ERR_REDIRECT`: host and port.
    pub client_addresses: BTreeMap<NodeId, (String, u16)>,
    /// When this process started.
    pub started: Instant,
}

/// Where SessionActor sends.
#[derive(Clone, Debug)]
pub struct SessionPorts {
    /// RaftActor.
    pub raft: Recipient<ClientRequests>,
    /// The acceptor.
    pub closed: Recipient<SessionClosed>,
}

/// See the module.
pub struct SessionActor {
    id: SessionId,
    config: Arc<SessionConfig>,
    ports: SessionPorts,
    /// The session's own mailbox.
    reply_to: Arc<Recipient<ClientReplies>>,
    connection: Connection,
    parser: Parser,
    intake: Intake,
    /// The parser has taken all that was read. Only then is a read under way,
    /// which holds the rest of the input.
    exhausted: bool,
    /// There is more to take, after the others' turn.
    turn_is_due: bool,
    /// The client sends no more.
    input_ended: bool,
    window: Window,
    /// Commands that were parsed and leave together.
    batch: Vec<(u64, ClientRequest)>,
    /// The bytes of the writes among them.
    batch_bytes: usize,
    /// Room for the commands of the batch; none when it is empty.
    encoded: BytesMut,
    /// What the session holds of the budget of all.
    memory: Reservation,
    watch: Option<Watch>,
}

/// What becomes of what the client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Intake {
    /// Commands are taken.
    Open,
    /// `status` is one moment in the order of the commands: it waits until those
    /// before it are answered, and those behind wait for it.
    Barrier {
        /// It is on its way.
        sent: bool,
    },
    /// No further command is executed. What comes is read and thrown away, for
    /// closing a socket with unread input would reset the connection, and a
    /// reset can eat replies that the client has not read yet.
    Discarding,
    /// All is said; the client has a moment to hang up.
    Lingering,
}

/// How [`SessionActor::take_commands`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// All that can be taken now is.
    All,
    /// It has had its turn.
    Turn,
}

/// Looks after a session that has something outstanding.
#[derive(Clone, Copy, Debug)]
struct Watch {
    /// When the client last was seen taking replies, or had none to take.
    progress_at: Instant,
    /// How much it had taken then.
    sent_bytes: u64,
}

/// After so many commands the other actors of the thread have a turn: hundreds of
/// clients that send `ping` as fast as they can must not keep a leader from its
/// heartbeats.
const TURN_COMMANDS: usize = 16;
/// What a session costs at the least, in bytes: its actor and its place in the
/// runtime, small buffers, what the kernel's events need.
pub const SESSION_BYTES: u64 = 8 * 1024;
/// What a batch may keep for nothing as long as one of its commands is under way.
const UNUSED_BYTES_MAX: usize = 1024;
/// The room in a batch for what follows its first command.
const BATCH_BYTES_MAX: usize = 16 * 1024;
/// How often a [`Watch`] looks.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
/// How long a connection that we end is still read from.
const LINGER: Duration = Duration::from_secs(1);

impl SessionActor {
    /// A session of `stream`, in its own context.
    pub fn new(
        id: SessionId,
        stream: Stream,
        config: Arc<SessionConfig>,
        ports: SessionPorts,
        ctx: &Context<Self>,
    ) -> SessionActor {
        SessionActor {
            id,
            ports,
            reply_to: Arc::new(ctx.address().recipient()),
            connection: Connection::new(stream, 0).within(config.memory.clone()),
            parser: Parser::new(config.limits),
            intake: Intake::Open,
            exhausted: true,
            turn_is_due: false,
            input_ended: false,
            window: Window::new(config.limits.value_bytes_max),
            batch: Vec::new(),
            batch_bytes: 0,
            encoded: BytesMut::new(),
            memory: config.memory.reserve(SESSION_BYTES),
            watch: None,
            config,
        }
    }

    /// Lets it work only when the fair_queue lets it through.
    #[must_use]
    pub fn taking_turns(mut self, queue: &FairQueue) -> SessionActor {
        self.connection.take_turns(queue);
        self
    }

    /// Makes it a session that tells the client why it has none, and ends.
    #[must_use]
    pub fn refused(mut self, error: ErrorReply) -> SessionActor {
        self.end_with(error);
        self
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.advance(ctx);
    }

    fn stopped(&mut self, _ctx: &mut Context<Self>) {
        self.ports.closed.do_send(SessionClosed { session: self.id });
    }
}

impl ConnectedActor for SessionActor {
    fn connection(&mut self) -> Option<&mut Connection> {
        Some(&mut self.connection)
    }

    fn on_read(&mut self, ctx: &mut Context<Self>) {
        self.exhausted = false;
        self.advance(ctx);
    }

    fn on_written(&mut self, ctx: &mut Context<Self>) {
        self.advance(ctx);
    }

    fn on_end(&mut self, end: io::Result<()>, ctx: &mut Context<Self>) {
        match end {
            Ok(()) => {
                self.input_ended = true;
                self.advance(ctx);
            }
            Err(error) => {
                debug!("client connection broken session={} error={error}", self.id.0);
                ctx.stop();
            }
        }
    }
}

impl Handler<ClientReplies> for SessionActor {
    type Result = ();

    fn handle(&mut self, message: ClientReplies, ctx: &mut Context<Self>) {
        for (slot, reply) in message.replies {
            if !self.take_reply(slot, reply) {
                debug!("ignored a reply that nobody waits for session={} slot={slot}", self.id.0);
            }
        }
        self.advance(ctx);
    }
}

impl Handler<EndSession> for SessionActor {
    type Result = ();

    fn handle(&mut self, _message: EndSession, ctx: &mut Context<Self>) {
        if self.intake != Intake::Lingering {
            self.intake = Intake::Discarding;
        }
        self.advance(ctx);
    }
}

impl SessionActor {
    /// Does what can be done now, after whatever has happened.
    fn advance(&mut self, ctx: &mut Context<Self>) {
        if self.turn_is_due {
            self.print_due();
        } else if self.take_commands() == Taken::Turn {
            self.arm_turn(ctx);
        }
        self.send_batch();
        arm_write(self, ctx);
        if self.is_quiet() && !self.turn_is_due {
            self.close_if_done(ctx);
        }
        let wants_input = match self.intake {
            Intake::Open => self.exhausted && self.has_room() && self.may_read(),
            Intake::Barrier { .. } => false,
            Intake::Discarding | Intake::Lingering => true,
        };
        if wants_input && !self.input_ended {
            arm_read(self, ctx);
        }
        self.count();
        self.arm_watch(ctx);
    }

    fn arm_turn(&mut self, ctx: &mut Context<Self>) {
        self.turn_is_due = true;
        let turn = tokio::task::yield_now().into_actor(self);
        ctx.spawn(turn.map(|(), actor, ctx| {
            actor.turn_is_due = false;
            actor.advance(ctx);
        }));
    }

    /// Takes commands from the input, and hands due replies to the output, until
    /// there are none, something has to be waited for, or it is the others' turn.
    fn take_commands(&mut self) -> Taken {
        let mut taken = 0;
        loop {
            self.print_due();
            match self.intake {
                Intake::Open if taken == TURN_COMMANDS => return Taken::Turn,
                Intake::Open if !self.exhausted && self.has_room() => {
                    let is_short = !self.has_memory();
                    if is_short && !self.is_quiet() {
                        return Taken::All;
                    }
                    taken += 1;
                    let input = self.connection.input();
                    match self.parser.next(input) {
                        Some(parsed) => self.take(parsed, is_short),
                        None => {
                            self.exhausted = true;
                            if input.is_empty() {
                                // An idle connection keeps no buffer.
                                *input = BytesMut::new();
                            }
                        }
                    }
                }
                Intake::Barrier { sent: false } if self.window.is_empty() => {
                    self.batch.push((self.window.open_status(), ClientRequest::Status));
                    self.intake = Intake::Barrier { sent: true };
                }
                Intake::Barrier { sent: true } if self.window.is_empty() => {
                    self.intake = Intake::Open;
                }
                Intake::Open | Intake::Barrier { .. } => return Taken::All,
                Intake::Discarding | Intake::Lingering => {
                    self.connection.input().clear();
                    return Taken::All;
                }
            }
        }
    }

    fn has_room(&self) -> bool {
        self.window.held_commands() < self.config.inflight_commands_max
            && self.window.held_bytes() < self.config.inflight_bytes_max
            && self.connection.unsent_bytes() < self.config.outbound_bytes_max
            || mutant!(B76)
    }

    /// Every command is answered, and every reply sent.
    fn is_quiet(&self) -> bool {
        self.window.is_empty() && self.connection.unsent_bytes() == 0
    }

    /// Says what the session holds.
    fn count(&mut self) {
        let held = self.window.kept_bytes() + self.batch_bytes + self.connection.held_bytes();
        self.memory.set(SESSION_BYTES.max(held as u64));
    }

    /// What is held for the session, here and elsewhere, is less than what is left for
    /// whoever comes: it may have more. One that may not waits until something of its
    /// own is answered or sent; one that has nothing outstanding is refused as busy,
    /// for it must not wait for others (docs/adr/0010).
    fn has_memory(&mut self) -> bool {
        self.count();
        let held = self.window.held_bytes() + self.connection.held_bytes();
        (held as u64) < self.config.memory.free_bytes() || mutant!(B76)
    }

    /// Whether to read on. A value that has come in part and finds no room is given
    /// up: two of them must not wait for each other.
    fn may_read(&mut self) -> bool {
        if self.has_memory() {
            return true;
        }
        if !self.is_quiet() {
            return false;
        }
        self.parser.refuse_value(ErrorReply::Busy, self.connection.input());
        true
    }

    fn take(&mut self, parsed: Parsed, is_short: bool) {
        let request = match parsed {
            Parsed::Request(Request::Write { noreply: true, .. }) if is_short => return,
            Parsed::Request(Request::Write { .. } | Request::Read(_)) if is_short => {
                return self.window.push_answered(Reply::Error(ErrorReply::Busy));
            }
            Parsed::Request(request) => request,
            Parsed::Dropped => return,
            Parsed::Refused(error) => return self.window.push_answered(Reply::Error(error)),
            Parsed::Fatal(error) => return self.end_with(error),
        };
        match request {
            Request::Write { operation, once, noreply } => {
                let store_bytes_max = self.config.store_bytes_max;
                let command = self.encode(&kv::Command { once, store_bytes_max, operation });
                let slot = self.window.open_write(command.len(), noreply);
                self.batch_bytes += command.len();
                self.batch.push((slot, ClientRequest::Write(command)));
            }
            Request::Read(query) => {
                let slot = match query {
                    kv::Query::Get { .. } | kv::Query::GetMeta { .. } => self.window.open_read(),
                    kv::Query::Scan { .. } => self.window.open_scan(),
                };
                self.batch.push((slot, ClientRequest::Read(query)));
            }
            Request::Snapshot(request) => {
                let (piece_bytes, request) = snapshot_request(request);
                let slot = self.window.open_snapshot(piece_bytes);
                self.batch.push((slot, request));
            }
            Request::Ping => self.window.push_answered(Reply::Pong),
            Request::Help => self.window.push_answered(Reply::Help),
            Request::Status => self.intake = Intake::Barrier { sent: false },
            Request::Quit => self.intake = Intake::Discarding,
        }
    }

    /// The commands of a batch share an allocation: those that are still in the input
    /// will take about as much as they take there.
    fn encode(&mut self, command: &kv::Command) -> Bytes {
        if self.encoded.capacity() == 0 {
            let more_bytes = self.connection.input().len().min(BATCH_BYTES_MAX);
            self.encoded.reserve(command.encoded_bytes_max() + more_bytes);
        }
        command.encode_to(&mut self.encoded);
        self.encoded.split().freeze()
    }

    fn send_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let mut requests = std::mem::take(&mut self.batch);
        let unused_bytes = std::mem::take(&mut self.encoded).capacity();
        if unused_bytes > self.batch_bytes.max(UNUSED_BYTES_MAX) {
            give_each_its_own(&mut requests);
        }
        let held = self.config.memory.reserve(std::mem::take(&mut self.batch_bytes) as u64);
        if !self.ports.raft.connected() {
            self.end_without_raft();
            return;
        }
        // The window bounds how many of these are under way.
        self.ports.raft.do_send(ClientRequests {
            session: self.id,
            reply_to: Arc::clone(&self.reply_to),
            requests,
            held,
        });
    }

    fn print_due(&mut self) {
        while let Some(due) = self.window.pop_due() {
            if let Some(reply) = due {
                reply.print(self.connection.output());
            }
        }
    }

    /// This reply is the last.
    fn end_with(&mut self, error: ErrorReply) {
        self.window.push_answered(Reply::Error(error));
        self.intake = Intake::Discarding;
    }

    fn end_without_raft(&mut self) {
        let error = ErrorReply::Internal("the server is stopping".into());
        self.window.answer_all(&Reply::Error(error));
        self.print_due();
        self.intake = Intake::Discarding;
    }

    /// Ends what has come to its end; every reply is sent.
    fn close_if_done(&mut self, ctx: &mut Context<Self>) {
        match self.intake {
            Intake::Open if self.input_ended && self.exhausted => ctx.stop(),
            Intake::Discarding | Intake::Lingering if self.input_ended => ctx.stop(),
            Intake::Discarding => {
                self.intake = Intake::Lingering;
                self.connection.end_output();
                ctx.run_later(LINGER, |_, ctx| ctx.stop());
            }
            Intake::Open | Intake::Barrier { .. } | Intake::Lingering => {}
        }
    }

    /// Watches while something is outstanding; an idle session has no timer.
    fn arm_watch(&mut self, ctx: &mut Context<Self>) {
        let outstanding = self.window.held_commands() > 0 || self.connection.unsent_bytes() > 0;
        if self.watch.is_some() || !outstanding {
            return;
        }
        self.watch =
            Some(Watch { progress_at: Instant::now(), sent_bytes: self.connection.sent_bytes() });
        ctx.run_later(WATCH_INTERVAL, SessionActor::look);
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        let Some(watch) = self.watch.take() else { return };
        if self.window.held_commands() > 0 && !self.ports.raft.connected() {
            self.end_without_raft();
        }
        self.advance(ctx);
        let stalled =
            self.connection.unsent_bytes() > 0 && self.connection.sent_bytes() == watch.sent_bytes;
        if !stalled {
            return;
        }
        if watch.progress_at.elapsed() >= Duration::from_millis(self.config.write_stall_ms_max) {
            debug!("cut off a client that does not read session={}", self.id.0);
            ctx.stop();
        }
        // The advance above began a new watch; it goes on from the old one.
        self.watch = Some(watch);
    }

    /// False when nothing waits for it.
    fn take_reply(&mut self, slot: u64, reply: ClientReply) -> bool {
        let reply = match reply {
            ClientReply::Settled => return self.window.settle(slot),
            ClientReply::Refused(Refusal::Pending) => {
                self.window.keep_place(slot);
                Reply::Error(self.refusal(Refusal::Pending))
            }
            ClientReply::Outcome(outcome) => outcome_reply(outcome),
            ClientReply::Answer(answer) | ClientReply::Scan(answer, _) => answer_reply(answer),
            ClientReply::SnapshotBegun(index) => Reply::SnapshotBegun { index: index.0 },
            ClientReply::Snapshot(answer) => snapshot_reply(answer),
            ClientReply::Status(status) => Reply::Status(self.status(&status).into_lines()),
            ClientReply::Refused(refusal) => Reply::Error(self.refusal(refusal)),
        };
        self.window.answer(slot, reply)
    }

    fn refusal(&self, refusal: Refusal) -> ErrorReply {
        match refusal {
            Refusal::NotLeader { leader_id } => {
                leader_id.and_then(|id| self.config.client_addresses.get(&id)).map_or(
                    ErrorReply::NoLeader,
                    |(host, port)| ErrorReply::Redirect { host: host.clone(), port: *port },
                )
            }
            Refusal::Busy => ErrorReply::Busy,
            Refusal::LeadershipLost if mutant!(B72a) => ErrorReply::NoLeader,
            Refusal::Pending if mutant!(B72b) => ErrorReply::Busy,
            Refusal::LeadershipLost | Refusal::Pending | Refusal::Timeout => ErrorReply::Timeout,
        }
    }

    fn status(&self, status: &NodeStatus) -> StatusReport {
        let snapshots = status.snapshot_progress.iter();
        let snapshots = snapshots.map(|(peer, to)| (peer.0, to.acked_bytes, to.bytes));
        StatusReport {
            id: status.id.0,
            role: status.role.to_string(),
            term: status.term.0,
            leader: status.leader_id.map(|id| id.0),
            commit_index: status.commit_index.0,
            last_applied: status.last_applied.0,
            last_log_index: status.last_log_index.0,
            snapshot_index: status.snapshot_index.0,
            keys: status.keys,
            uptime_seconds: self.config.started.elapsed().as_secs(),
            store_bytes: status.store_bytes,
            store_digest: status.store_digest,
            memory_bytes_used: self.config.memory.used_bytes(),
            snapshot_transfers: snapshots.collect(),
        }
    }
}

/// The room that was made for a batch is mostly unused, and would stay as long as one of
/// its commands does: no share of memory counts it.
fn give_each_its_own(requests: &mut [(u64, ClientRequest)]) {
    for (_, request) in requests {
        if let ClientRequest::Write(command) = request {
            *command = Bytes::copy_from_slice(command);
        }
    }
}

impl Sink for Output {
    fn put_slice(&mut self, bytes: &[u8]) {
        Output::put_slice(self, bytes);
    }

    fn put_bytes(&mut self, bytes: Bytes) {
        Output::put_bytes(self, bytes);
    }
}
