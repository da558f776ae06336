//! SessionActor: one client connection, from its first byte to its last.
//!
//! A shell around [`protocol::Session`](crate::protocol::Session), which decides what
//! happens in which order: it moves bytes between the connection and the session, sends all
//! commands of one step to RaftActor as one [`ClientRequests`], and hands the replies to
//! the session.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`ClientReplies`] | RaftActor, KvActor | [`ClientRequests`] | RaftActor |
//! | [`WatchNews`] | WatchHubActor | [`WatchCommand`] | WatchHubActor |
//! | [`EndSession`] | the acceptor | [`SessionClosed`], [`ForeignClient`] | the acceptor |
//!
//! Owns: the connection, the session, the session's part of the memory of all clients.
//! Thread: any arbiter.
//!
//! Bounds: the window of the session bounds the requests that are under way. A client that
//! takes none of its replies for `write_stall_ms_max` is cut off. After each step of a
//! session the other actors of the thread have their turn.
//!
//! Failure: a broken connection ends the session; its commands go on. When RaftActor is
//! gone, every waiting command gets `ERR_INTERNAL` and the session ends: no client waits
//! for an answer that cannot come.

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture,
};
use log::debug;
use tokio::time::Instant;

use crate::actors::clients::request_times::RequestTimes;
use crate::actors::clients::session_io::CountedConnection;
use crate::actors::clients::stall_timer::{CHECK_INTERVAL, Offer, StallTimer};
use crate::actors::io::connection::Connection;
use crate::actors::io::counted_bytes::CountedBytes;
use crate::actors::io::fair_queue::FairQueue;
use crate::actors::io::memory::MemoryBudget;
use crate::actors::io::output::UNCOPIED_BYTES_MIN;
use crate::actors::io::pump::{ConnectedActor, arm_read, arm_write};
use crate::actors::messages::clients::{
    ClientReplies, ClientReply, ClientRequests, EndSession, ForeignClient, SessionClosed, SessionId,
};
use crate::actors::messages::watch::{BeginWatch, WatchCommand, WatchNews};
use crate::clock::Clock;
use crate::metrics::ClientMetrics;
use crate::net::Stream;
use crate::protocol::{Closing, ErrorReply, Reply, Session, SessionSettings, Step, outcome};
use crate::types::Incarnation;

/// The settings, facts and counters that all sessions of a node share.
#[derive(Clone)]
pub struct SessionConfig {
    /// The settings of the pure part.
    pub session: SessionSettings,
    /// The memory of all clients.
    pub memory: MemoryBudget,
    /// Maximum time in milliseconds in which a client may take none of its replies.
    pub write_stall_ms_max: u64,
    /// The time when this process started.
    pub started: Instant,
    /// Shows people the wall clock.
    pub clock: Arc<dyn Clock>,
    /// The version of the program.
    pub version: String,
    /// The id of the node's data directory.
    pub incarnation: Incarnation,
    /// Measures the commands.
    pub metrics: ClientMetrics,
}

/// The outgoing ports of SessionActor.
#[derive(Clone, Debug)]
pub struct SessionPorts {
    /// RaftActor.
    pub raft: Recipient<ClientRequests>,
    /// The WatchHubActor of the session's arbiter.
    pub watches: Recipient<WatchCommand>,
    /// The acceptor.
    pub closed: Recipient<SessionClosed>,
    /// The acceptor, which logs it with the client's address.
    pub foreign: Recipient<ForeignClient>,
}

/// The actor that owns one client connection.
pub struct SessionActor {
    id: SessionId,
    config: Arc<SessionConfig>,
    ports: SessionPorts,
    /// The session's own mailbox.
    reply_to: Arc<Recipient<ClientReplies>>,
    session: Session,
    io: CountedConnection,
    /// True when the session has more to do, after the turn of the others.
    is_turn_due: bool,
    stall_timer: Option<StallTimer>,
    watch: WatchState,
    times: RequestTimes,
    counted: CountedBytes,
}

/// The state of the session's watch, as far as WatchHubActor was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WatchState {
    /// There is none, or it is over.
    None,
    /// It was asked to begin one.
    Asked,
    /// There is one, and the client has yet to take what was sent.
    Sending,
    /// There is one, and the client takes more.
    Ready,
}

/// Time for which a connection that the server ends is still read from.
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
            session: Session::new(config.session, UNCOPIED_BYTES_MIN),
            io: CountedConnection::new(stream, &config.memory),
            is_turn_due: false,
            stall_timer: None,
            watch: WatchState::None,
            times: RequestTimes::new(config.metrics.clone()),
            counted: CountedBytes::default(),
            config,
        }
    }

    /// Makes the connection wait for permits of the queue.
    #[must_use]
    pub fn taking_turns(mut self, queue: &FairQueue) -> SessionActor {
        self.io.connection.take_turns(queue);
        self
    }

    /// Makes it a session that sends the client this error, and ends.
    #[must_use]
    pub fn refused(mut self, error: ErrorReply) -> SessionActor {
        self.session.end_with(error);
        self
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.advance(ctx);
    }

    fn stopped(&mut self, _ctx: &mut Context<Self>) {
        self.end_watch();
        self.ports.closed.do_send(SessionClosed { session: self.id });
    }
}

impl ConnectedActor for SessionActor {
    fn connection(&mut self) -> Option<&mut Connection> {
        Some(&mut self.io.connection)
    }

    fn on_read(&mut self, ctx: &mut Context<Self>) {
        self.session.on_read();
        self.advance(ctx);
    }

    fn on_written(&mut self, ctx: &mut Context<Self>) {
        self.advance(ctx);
    }

    fn on_end(&mut self, end: io::Result<()>, ctx: &mut Context<Self>) {
        match end {
            Ok(()) => {
                self.session.on_input_end();
                self.advance(ctx);
            }
            Err(error) => {
                debug!(session = self.id.0, error:%; "client connection broken");
                ctx.stop();
            }
        }
    }
}

impl Handler<ClientReplies> for SessionActor {
    type Result = ();

    fn handle(&mut self, message: ClientReplies, ctx: &mut Context<Self>) {
        self.times.end(message.replies.iter().map(|(slot, _)| *slot));
        self.times.count_failures(message.replies.iter().map(|(_, reply)| reply));
        for (slot, reply) in message.replies {
            if !self.take_reply(slot, reply) {
                debug!(session = self.id.0, slot; "ignored a reply that nobody waits for");
            }
        }
        self.advance(ctx);
    }
}

impl Handler<WatchNews> for SessionActor {
    type Result = ();

    fn handle(&mut self, message: WatchNews, ctx: &mut Context<Self>) {
        match message {
            WatchNews::Began { revision } => {
                self.watch = WatchState::Ready;
                self.session.begin_watch(revision, &mut self.io);
            }
            WatchNews::Refused(error) => {
                self.watch = WatchState::None;
                self.session.refuse_watch(error);
            }
            WatchNews::Text(text) => {
                self.watch = WatchState::Sending;
                self.io.hold_shared(&text);
                self.session.put_watch_text(text.bytes, &mut self.io);
            }
            WatchNews::Ended(error) => {
                self.watch = WatchState::None;
                self.session.end_watch(error);
            }
        }
        self.advance(ctx);
    }
}

impl Handler<EndSession> for SessionActor {
    type Result = ();

    fn handle(&mut self, _message: EndSession, ctx: &mut Context<Self>) {
        self.session.end();
        self.advance(ctx);
    }
}

impl SessionActor {
    /// Does everything that can be done now, after any event.
    fn advance(&mut self, ctx: &mut Context<Self>) {
        if self.is_turn_due {
            self.session.print_due(&mut self.io);
        } else if self.session.step(&mut self.io) == Step::Yield {
            self.arm_turn(ctx);
        }
        if let Some(protocol) = self.session.take_foreign() {
            self.ports.foreign.do_send(ForeignClient { session: self.id, protocol });
        }
        self.send_batch();
        self.advance_watch(ctx);
        arm_write(self, ctx);
        if !self.is_turn_due {
            self.close_if_done(ctx);
        }
        if self.session.wants_input(&mut self.io) {
            arm_read(self, ctx);
        }
        self.session.update_memory(&mut self.io);
        self.count_bytes();
        self.arm_stall_timer(ctx);
    }

    fn count_bytes(&mut self) {
        let (sent, received) = self.counted.take(&self.io.connection);
        self.config.metrics.on_received(received);
        self.config.metrics.on_sent(sent);
    }

    fn arm_turn(&mut self, ctx: &mut Context<Self>) {
        self.is_turn_due = true;
        let turn = tokio::task::yield_now().into_actor(self);
        ctx.spawn(turn.map(|(), actor, ctx| {
            actor.is_turn_due = false;
            actor.advance(ctx);
        }));
    }

    fn send_batch(&mut self) {
        let Some((requests, bytes)) = self.session.take_batch() else { return };
        let held = self.config.memory.reserve(bytes as u64);
        if !self.ports.raft.connected() {
            self.session.end_without_answers(&mut self.io);
            return;
        }
        let arrived_at = Some(self.times.begin(&requests));
        // The window bounds the number of requests that are under way.
        self.ports.raft.do_send(ClientRequests {
            session: self.id,
            reply_to: Arc::clone(&self.reply_to),
            requests,
            arrived_at,
            held,
        });
    }

    /// Tells WatchHubActor what it has to know of the session's watch.
    fn advance_watch(&mut self, ctx: &Context<Self>) {
        if let Some(request) = self.session.take_watch() {
            if !self.ports.watches.connected() {
                self.session.end_without_answers(&mut self.io);
                return;
            }
            self.watch = WatchState::Asked;
            let begin =
                BeginWatch { session: self.id, request, reply_to: ctx.address().recipient() };
            self.ports.watches.do_send(WatchCommand::Begin(begin));
        }
        match self.watch {
            WatchState::Sending | WatchState::Ready if !self.session.is_watching() => {
                self.end_watch();
            }
            WatchState::Sending if self.session.wants_events(&self.io) => {
                self.watch = WatchState::Ready;
                // A session has one of these under way at most.
                self.ports.watches.do_send(WatchCommand::Ready { session: self.id });
            }
            _ => {}
        }
    }

    fn end_watch(&mut self) {
        if self.watch != WatchState::None {
            self.watch = WatchState::None;
            self.ports.watches.do_send(WatchCommand::End { session: self.id });
        }
    }

    fn close_if_done(&mut self, ctx: &mut Context<Self>) {
        match self.session.close(&self.io) {
            Closing::No => {}
            Closing::Stop => ctx.stop(),
            Closing::Linger => {
                self.io.connection.end_output();
                ctx.run_later(LINGER, |_, ctx| ctx.stop());
            }
        }
    }

    /// Starts the stall timer when a command is unanswered or a reply unsent.
    fn arm_stall_timer(&mut self, ctx: &mut Context<Self>) {
        let connection = &self.io.connection;
        let is_outstanding = self.session.holds_commands() || connection.unsent_bytes() > 0;
        if self.stall_timer.is_none() && is_outstanding {
            self.stall_timer = Some(StallTimer::start(connection.sent_bytes()));
            ctx.run_later(CHECK_INTERVAL, SessionActor::check_stall);
        }
    }

    /// Cuts off a client that takes none of its replies, and ends the session when RaftActor
    /// is gone.
    fn check_stall(&mut self, ctx: &mut Context<Self>) {
        let Some(timer) = self.stall_timer.take() else { return };
        if self.session.holds_commands() && !self.ports.raft.connected() {
            self.session.end_without_answers(&mut self.io);
        }
        let is_refused = self.io.connection.take_refusal();
        self.advance(ctx);
        let connection = &self.io.connection;
        let (unsent_bytes, sent_bytes) = (connection.unsent_bytes(), connection.sent_bytes());
        let offer = Offer { unsent_bytes, sent_bytes, is_refused };
        let Some(timer) = timer.checked(offer) else { return };
        if timer.elapsed() >= Duration::from_millis(self.config.write_stall_ms_max) {
            debug!(session = self.id.0; "cut off a client that does not read");
            ctx.stop();
        }
        // The advance above started a new timer; it goes on with the old count.
        self.stall_timer = Some(timer);
    }

    /// Gives a reply to the session. Returns false when no command waits for it.
    fn take_reply(&mut self, slot: u64, reply: ClientReply) -> bool {
        let reply = match reply {
            ClientReply::Settled { command_bytes } => {
                return self.session.settle(command_bytes);
            }
            ClientReply::TimedOut => return self.session.time_out(slot, outcome::timed_out()),
            ClientReply::Outcome(outcome) => return self.session.answer_write(slot, outcome),
            ClientReply::Answer(answer) | ClientReply::Scan(answer, _) => {
                return self.session.answer_read(slot, answer);
            }
            ClientReply::SnapshotBegun(index) => outcome::snapshot_begun(index),
            ClientReply::Snapshot(answer) => Reply::from(answer),
            ClientReply::HoldSaved => Reply::Done,
            ClientReply::Raised(format) => outcome::raised(format),
            ClientReply::NotYet(sentence) => outcome::not_yet(&sentence),
            ClientReply::Change { number, id } => outcome::change(number, id),
            ClientReply::Already => Reply::Already,
            ClientReply::Plan(plan) => outcome::plan(plan),
            ClientReply::Members(mut report) => {
                report.set_own_version(&self.config.version);
                Reply::Members(report)
            }
            ClientReply::ChangeWaited(number, end) => outcome::waited(number, end),
            ClientReply::Transferred { leader, term } => outcome::transferred(leader, term),
            ClientReply::RefusedBecause(sentence) => outcome::refused_because(&sentence),
            ClientReply::Draining => Reply::Done,
            ClientReply::Digest { index, digest } => outcome::digest(index, digest),
            ClientReply::Status(node, store) => {
                let process = outcome::ProcessStatus {
                    version: &self.config.version,
                    incarnation: self.config.incarnation,
                    uptime_seconds: self.config.started.elapsed().as_secs(),
                    wall_clock_ms: self.config.clock.wall_ms(),
                    memory_bytes_used: self.config.memory.used_bytes(),
                };
                outcome::status(&node, store, process)
            }
            ClientReply::Refused(refusal) => outcome::refused(refusal),
        };
        self.session.answer(slot, reply)
    }
}
