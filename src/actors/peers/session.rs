//! PeerSessionActor: one accepted connection of a peer. Requests come in on it, and the
//! responses to them go out on it.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | a good hello | a peer | [`PeerEvent`] | RaftActor |
//! | | | [`PeerSessionEvent`] | PeerAcceptorActor |
//! | any other hello | the other side | a refusal, and the end | the other side |
//! | a question to join | the other side | the members or a refusal, and the end | the other side |
//! | requests | the peer | [`PeerEvent`] | RaftActor |
//! | a probe | the peer | its answer | the peer |
//! | [`SendRpc`] | RaftActor | a frame | the peer |
//! | [`EndConnection`] | RaftActor | | |
//! | [`Shutdown`], [`Announce`] | PeerAcceptorActor | | |
//! | the end | | [`PeerEvent`], [`PeerSessionEvent`] | RaftActor, PeerAcceptorActor |
//!
//! It owns the connection. It runs on the main arbiter, like RaftActor: it hands over all
//! frames of a read, then RaftActor runs and drains its whole mailbox, and only then the session
//! reads again. So a peer that floods has the messages of at most one read in that mailbox
//! (docs/bugs.md B80).
//!
//! The other side is unauthenticated until its hello is accepted. Until then frames must be
//! small, and the time is short. A frame can do no more than end its own connection.
//!
//! A peer that would not be admitted any more by what [`Announce`] says loses its connection. One
//! that was removed keeps it as long as this node still has to tell it, and is told at its next
//! hello otherwise.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Recipient};
use log::Level;

use crate::actors::io::connection::Connection;
use crate::actors::io::counted_bytes::CountedBytes;
use crate::actors::io::pump::{ConnectedActor, arm_read, arm_read_after_others, arm_write};
use crate::actors::messages::lifecycle::Shutdown;
use crate::actors::messages::peers::{
    Announce, EndConnection, PeerEvent, PeerSessionEvent, SendRpc,
};
use crate::actors::peers::settings::LinkSettings;
use crate::actors::peers::stream::{Direction, PeerError, PeerStream, kind_of, version_of};
use crate::logging::{Allowance, BURST, LogLimit};
use crate::metrics::{PeerMetrics, PeersMetrics};
use crate::net::Stream;
use crate::raft::Introduction;
use crate::types::{MEMBERS_MAX, NodeId};
use crate::wire::{Frame, Hello, HelloError, JoinRequest, LocalNode, WireError};

/// The ports of PeerSessionActor.
#[derive(Clone, Debug)]
pub struct PeerSessionPorts {
    /// RaftActor: the connection, and the requests of the peer.
    pub raft: Recipient<PeerEvent>,
    /// PeerAcceptorActor: the state of the connection.
    pub acceptor: Recipient<PeerSessionEvent>,
}

/// Maximum number of lines about the connections of one peer in a minute.
const PEER_LINES: Allowance = Allowance { lines: 20, ..BURST };

/// The bounds on the lines about accepted connections.
pub struct SessionLines {
    /// The lines about connections of peers.
    pub peers: LogLimit<NodeId>,
    /// The lines about connections that never authenticated.
    pub strangers: LogLimit,
}

impl Default for SessionLines {
    fn default() -> SessionLines {
        let all = Allowance { lines: PEER_LINES.lines * MEMBERS_MAX as u32, ..PEER_LINES };
        SessionLines { peers: LogLimit::new(PEER_LINES, all), strangers: LogLimit::default() }
    }
}

/// The owner of one accepted connection.
pub struct PeerSessionActor {
    local: Rc<LocalNode>,
    /// The number of the connection, unique in this process.
    connection: u64,
    /// The address of the other side, for the log.
    address: String,
    hello_timeout_ms: u64,
    ports: PeerSessionPorts,
    stream: PeerStream,
    state: SessionState,
    /// The facts in the peer's hello.
    introduction: Option<Introduction>,
    lines: Rc<RefCell<SessionLines>>,
    metrics: PeersMetrics,
    /// The numbers of the peer, once it is known.
    measured: Option<PeerMetrics>,
    counted: CountedBytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SessionState {
    /// The hello has not come.
    Handshake,
    /// The hello was refused, or a question was answered. The last frame is being written, and no
    /// more is read.
    Ending,
    /// The hello of this peer was accepted.
    Attached(NodeId),
}

impl PeerSessionActor {
    /// A session over `stream`, which was dialled from `address`. `connection` is its
    /// number, unique in this process.
    pub fn new(
        stream: Stream,
        address: String,
        connection: u64,
        local: Rc<LocalNode>,
        settings: &LinkSettings,
        ports: PeerSessionPorts,
    ) -> PeerSessionActor {
        PeerSessionActor {
            local,
            connection,
            address,
            hello_timeout_ms: settings.hello_timeout_ms,
            ports,
            stream: PeerStream::new(stream, connection, settings),
            state: SessionState::Handshake,
            introduction: None,
            lines: Rc::default(),
            metrics: settings.metrics.clone(),
            measured: None,
            counted: CountedBytes::default(),
        }
    }

    /// Makes it share the bounds on log lines with other sessions.
    #[must_use]
    pub fn logging_within(mut self, lines: &Rc<RefCell<SessionLines>>) -> PeerSessionActor {
        self.lines = Rc::clone(lines);
        self
    }
}

impl Actor for PeerSessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        arm_read(self, ctx);
        // The limit holds for a refusal as well, which the other side may never read.
        let limit_ms = self.hello_timeout_ms;
        ctx.run_later(Duration::from_millis(limit_ms), move |actor, ctx| match actor.state {
            SessionState::Handshake => actor.end(&PeerError::HelloTimeout(limit_ms), ctx),
            SessionState::Ending => ctx.stop(),
            SessionState::Attached(_) => {}
        });
    }

    fn stopped(&mut self, _ctx: &mut Context<Self>) {
        let connection = self.connection;
        if let SessionState::Attached(peer) = self.state {
            self.ports.raft.do_send(PeerEvent::Detached { peer, connection });
        }
        self.ports.acceptor.do_send(PeerSessionEvent::Ended { connection });
    }
}

impl Handler<SendRpc> for PeerSessionActor {
    type Result = ();

    fn handle(&mut self, SendRpc { envelope }: SendRpc, ctx: &mut Context<Self>) {
        match self.stream.put(&Frame::Rpc(envelope)) {
            Ok(()) => arm_write(self, ctx),
            Err(error) => self.end(&error, ctx),
        }
    }
}

impl Handler<EndConnection> for PeerSessionActor {
    type Result = ();

    fn handle(&mut self, EndConnection { fault }: EndConnection, ctx: &mut Context<Self>) {
        let (node, peer, address) = self.facts();
        let (level, left_out) = self.level(Level::Warn);
        log::log!(
            level, node, peer, address, left_out, detail:% = fault;
            "refused a message of a peer"
        );
        self.end(&PeerError::Fault(fault), ctx);
    }
}

impl Handler<Announce> for PeerSessionActor {
    type Result = ();

    fn handle(&mut self, Announce(announcement): Announce, ctx: &mut Context<Self>) {
        Rc::make_mut(&mut self.local).take(&announcement);
        let SessionState::Attached(peer) = self.state else { return };
        let introduction = self.introduction.as_ref();
        let mut checked = self.local.check(peer, introduction);
        if !announcement.peers.contains_key(&peer) {
            checked = checked.and_then(|()| self.local.check_sender(peer, introduction));
        }
        if let Err(error) = checked {
            self.end(&error.into(), ctx);
        }
    }
}

impl Handler<Shutdown> for PeerSessionActor {
    type Result = ();

    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) {
        self.end(&PeerError::Shutdown, ctx);
    }
}

impl ConnectedActor for PeerSessionActor {
    fn connection(&mut self) -> Option<&mut Connection> {
        Some(self.stream.connection())
    }

    fn on_read(&mut self, ctx: &mut Context<Self>) {
        self.count_bytes();
        while self.state != SessionState::Ending {
            let taken = match self.stream.next_frame() {
                Ok(None) => return arm_read_after_others(self, ctx),
                Ok(Some(frame)) => self.take_frame(frame, ctx),
                // All versions have the same header, so this is a server of another
                // release. It gets a refusal that says so.
                Err(error @ WireError::Version { .. }) if self.state == SessionState::Handshake => {
                    self.refuse(None, error.to_string(), ctx)
                }
                Err(error) => Err(error.into()),
            };
            if let Err(reason) = taken {
                return self.end(&reason, ctx);
            }
        }
    }

    fn on_written(&mut self, ctx: &mut Context<Self>) {
        self.count_bytes();
        if self.state == SessionState::Ending {
            ctx.stop();
        }
    }

    fn on_end(&mut self, end: io::Result<()>, ctx: &mut Context<Self>) {
        self.end(&end.map_or_else(PeerError::Broken, |()| PeerError::Closed), ctx);
    }
}

impl PeerSessionActor {
    /// The part that every log line of a session has: this node, the peer once it is known, and
    /// the address that it dialled from.
    fn facts(&self) -> (NodeId, Option<NodeId>, &str) {
        (self.local.id, self.peer(), &self.address)
    }

    fn peer(&self) -> Option<NodeId> {
        match self.state {
            SessionState::Attached(peer) => Some(peer),
            SessionState::Handshake | SessionState::Ending => None,
        }
    }

    /// The level of a line of this level, and the number of those that were left out before it.
    fn level(&self, level: Level) -> (Level, Option<u64>) {
        let mut lines = self.lines.borrow_mut();
        match self.peer() {
            Some(peer) => lines.peers.level(level, peer),
            None => lines.strangers.level(level, ()),
        }
    }

    /// Counts the bytes of a peer. Those of the hello are counted with what follows.
    fn count_bytes(&mut self) {
        if let Some(measured) = &self.measured {
            let (sent, received) = self.counted.take(self.stream.connection());
            measured.on_moved(sent, received);
        }
    }

    fn take_frame(&mut self, frame: Frame, ctx: &mut Context<Self>) -> Result<(), PeerError> {
        match (self.state, frame) {
            (SessionState::Handshake, Frame::Hello(hello)) => match self.local.answer(&hello) {
                Ok(answer) => self.attach(answer, hello.introduction, ctx),
                Err(error @ HelloError::Removed { at, is_told: true, .. }) => {
                    self.tell_refused(Some(hello.from), error.to_string());
                    self.end_with(&Frame::Removed { at }, ctx)
                }
                Err(error) => self.refuse(Some(hello.from), error.to_string(), ctx),
            },
            (SessionState::Handshake, Frame::Join(request)) => self.take_join(&request, ctx),
            (SessionState::Attached(_), Frame::Probe) => {
                self.stream.put(&Frame::ProbeAnswer)?;
                arm_write(self, ctx);
                Ok(())
            }
            (SessionState::Attached(peer), Frame::Rpc(envelope)) if !envelope.rpc.is_response() => {
                Direction { from: peer, to: self.local.id }.check(&envelope)?;
                self.ports.raft.do_send(PeerEvent::Message(envelope));
                Ok(())
            }
            (_, frame) => Err(PeerError::Unexpected(kind_of(&frame))),
        }
    }

    fn attach(
        &mut self,
        answer: Hello,
        introduction: Option<Introduction>,
        ctx: &mut Context<Self>,
    ) -> Result<(), PeerError> {
        let (peer, connection) = (answer.to, self.connection);
        self.stream.put(&Frame::Hello(answer))?;
        self.stream.trust();
        self.state = SessionState::Attached(peer);
        self.measured = self.metrics.find(peer);
        self.introduction.clone_from(&introduction);
        arm_write(self, ctx);
        self.log_accepted();
        let (port, end) = (ctx.address().recipient(), ctx.address().recipient());
        let authenticated = PeerSessionEvent::Authenticated {
            connection,
            peer,
            introduction: introduction.clone(),
        };
        let attached = PeerEvent::Attached { peer, connection, port, end, introduction };
        self.ports.raft.do_send(attached);
        self.ports.acceptor.do_send(authenticated);
        Ok(())
    }

    fn log_accepted(&self) {
        let (node, peer, address) = self.facts();
        let (version, formats) = version_of(self.introduction.as_ref());
        let (level, left_out) = self.level(Level::Info);
        log::log!(
            level, node, peer, address, version, formats:%, left_out;
            "accepted peer"
        );
    }

    /// Refuses the hello, which named this peer. The acceptor logs it: it knows whether the
    /// peer was refused for that reason before.
    fn refuse(
        &mut self,
        peer: Option<NodeId>,
        reason: String,
        ctx: &mut Context<Self>,
    ) -> Result<(), PeerError> {
        self.tell_refused(peer, reason.clone());
        self.end_with(&Frame::Refused { reason }, ctx)
    }

    fn tell_refused(&self, peer: Option<NodeId>, reason: String) {
        let connection = self.connection;
        self.ports.acceptor.do_send(PeerSessionEvent::Refused { connection, peer, reason });
    }

    /// Answers a server that asks to join. It asks again until it may.
    fn take_join(
        &mut self,
        request: &JoinRequest,
        ctx: &mut Context<Self>,
    ) -> Result<(), PeerError> {
        let answer = match self.local.join_answer(request) {
            Ok(answer) => answer,
            Err(error) => return self.refuse(Some(request.id), error.to_string(), ctx),
        };
        let (node, peer, address) = self.facts();
        let (level, left_out) = self.level(Level::Info);
        log::log!(
            level, node, peer, address, left_out;
            "told server {}, which joins, who the members are", request.id
        );
        // The members may take more room than a hello.
        self.stream.trust();
        self.end_with(&Frame::Joined(answer), ctx)
    }

    /// Sends a last frame, and ends the connection when it is written.
    fn end_with(&mut self, frame: &Frame, ctx: &mut Context<Self>) -> Result<(), PeerError> {
        self.stream.put(frame)?;
        self.state = SessionState::Ending;
        arm_write(self, ctx);
        Ok(())
    }

    fn end(&mut self, reason: &PeerError, ctx: &mut Context<Self>) {
        let (node, peer, address) = self.facts();
        let (level, left_out) = self.level(Level::Info);
        log::log!(
            level, node, peer, address, left_out, detail:% = reason;
            "peer connection ended"
        );
        ctx.stop();
    }
}

#[cfg(test)]
mod tests;
