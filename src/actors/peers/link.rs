//! PeerLinkActor: the outbound connection to one peer. Requests go out on it, and the
//! responses to them come back on it.
//!
//! Each node dials each of its peers, so two nodes have two connections, and each carries
//! the requests of the node that dialled. When a connection ends, everything under way on
//! it counts as lost, and `LinkEvent::Down` says so before any message of the next
//! connection. A response that waited for the peer's disk may still come over the next
//! connection. Its term and the number of its request tell which request it answers
//! (docs/bugs.md B36), and what it acknowledges is durable.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`SendRpc`] | RaftActor, ReplicatorActor | a frame, if there is a connection | the peer |
//! | [`EndConnection`] | ReplicatorActor, RaftActor | | |
//! | [`Shutdown`] | PeersActor | | |
//! | responses to AppendEntries, InstallSnapshot | the peer | [`LinkEvent`] | ReplicatorActor |
//! | responses to votes and hellos | the peer | [`PeerEvent`] | RaftActor |
//! | a good hello, the end of a connection | the peer | [`LinkEvent`] | ReplicatorActor |
//! | a good hello | the peer | [`PeerEvent`] | RaftActor |
//! | a refused dial | | [`PeerEvent`] | RaftActor |
//!
//! It owns the connection and the back-off of its dials. It runs on the main arbiter, as do
//! all actors that send to it. So a full mailbox does not starve its timers: no other actor
//! runs while it drains its mailbox. A message of a peer can do no more than end the
//! connection. Memory is bounded. A peer that does not read is dropped at
//! [`LinkSettings::outbound_bytes_max`] (docs/bugs.md B80). A message that cannot be encoded
//! ends the connection, too: it would be lost again each time that it is repeated, and nobody
//! would see why the peer stays behind. All that was read is handed
//! over before more is read ([`arm_read_after_others`]), so the receivers' mailboxes hold
//! the messages of at most one read of each connection.
//!
//! Chunks of a snapshot wait here while there is any other frame to send: an AppendEntries,
//! and so a heartbeat, has at most one chunk before it (docs/bugs.md B59).

mod backoff;
mod chunk_queue;

use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture,
};
use tokio::time::Instant;

use crate::actors::io::connection::Connection;
use crate::actors::io::pump::{ConnectedActor, arm_read, arm_read_after_others, arm_write};
use crate::actors::messages::lifecycle::Shutdown;
use crate::actors::messages::peers::{EndConnection, PeerEvent, SendRpc};
use crate::actors::messages::replication::LinkEvent;
use crate::actors::peers::settings::{LinkSettings, PeerAddress};
use crate::actors::peers::stream::{Direction, PeerError, PeerStream, kind_of};
use crate::net::{Network, Stream};
use crate::raft::{Envelope, Rpc};
use crate::types::NodeId;
use crate::wire::{Frame, Hello};
use backoff::Backoff;
use chunk_queue::{ChunkQueue, chunk_bytes};

/// The ports of PeerLinkActor.
#[derive(Clone, Debug)]
pub struct PeerLinkPorts {
    /// RaftActor: responses to votes and pre-votes, and dials that were refused.
    pub raft: Recipient<PeerEvent>,
    /// The peer's ReplicatorActor: responses to its requests, and the connection's state.
    pub replicator: Recipient<LinkEvent>,
}

/// The owner of the outbound connection to one peer.
pub struct PeerLinkActor {
    /// The hello that it sends: the ids of this node and of the peer.
    hello: Hello,
    address: PeerAddress,
    settings: LinkSettings,
    network: Rc<dyn Network>,
    ports: PeerLinkPorts,
    backoff: Backoff,
    /// `None` while there is no connection.
    open: Option<OpenLink>,
    /// Number of dials. A timer belongs to the dial whose number it has.
    generation: u64,
    /// The last failure that was logged. The same failure is not logged again.
    complaint: Option<String>,
}

struct OpenLink {
    stream: PeerStream,
    /// The time when the peer's hello came. Before it, no other frame is sent.
    established: Option<Instant>,
    /// The time when the first request was sent since the last frame was received. It is
    /// not a count of open requests, because the peer need not respond to every request.
    unanswered: Option<Instant>,
    /// The output when the silence was last looked at: the bytes that the kernel had taken
    /// since the beginning, and the bytes that it should have taken.
    sent: Range<u64>,
    /// The chunks of a snapshot that wait until there is nothing else to send.
    chunks: ChunkQueue,
}

impl PeerLinkActor {
    /// A link to node `hello.to` at `address`, which dials as soon as it is started. `seed`
    /// is the seed of the back-off's jitter.
    pub fn new(
        hello: Hello,
        address: PeerAddress,
        settings: LinkSettings,
        network: Rc<dyn Network>,
        ports: PeerLinkPorts,
        seed: u64,
    ) -> PeerLinkActor {
        let backoff = Backoff::new(settings.backoff_ms_min, settings.backoff_ms_max, seed);
        PeerLinkActor {
            hello,
            address,
            settings,
            network,
            ports,
            backoff,
            open: None,
            generation: 0,
            complaint: None,
        }
    }
}

impl Actor for PeerLinkActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let check = Duration::from_millis((self.settings.silence_ms_max / 4).max(1));
        ctx.run_interval(check, PeerLinkActor::check_silence);
        self.dial(ctx);
    }

    fn stopped(&mut self, _ctx: &mut Context<Self>) {
        if self.open.take().is_some_and(|open| open.established.is_some()) {
            self.ports.replicator.do_send(LinkEvent::Down);
        }
    }
}

impl Handler<SendRpc> for PeerLinkActor {
    type Result = ();

    fn handle(&mut self, SendRpc { envelope }: SendRpc, ctx: &mut Context<Self>) {
        let Some(open) = self.open.as_mut().filter(|open| open.established.is_some()) else {
            return;
        };
        if chunk_bytes(&envelope) == 0 {
            return self.put(envelope, ctx);
        }
        open.chunks.push(envelope);
        self.send_next_chunk(ctx);
    }
}

impl OpenLink {
    /// The next chunk to send, once all other frames are with the kernel.
    fn next_chunk(&mut self) -> Option<Envelope> {
        if self.stream.connection().unsent_bytes() > 0 {
            return None;
        }
        self.chunks.pop()
    }
}

impl Handler<EndConnection> for PeerLinkActor {
    type Result = ();

    fn handle(&mut self, EndConnection { fault }: EndConnection, ctx: &mut Context<Self>) {
        self.end(PeerError::Fault(fault), ctx);
    }
}

impl Handler<Shutdown> for PeerLinkActor {
    type Result = ();

    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl ConnectedActor for PeerLinkActor {
    fn connection(&mut self) -> Option<&mut Connection> {
        self.open.as_mut().map(|open| open.stream.connection())
    }

    fn on_read(&mut self, ctx: &mut Context<Self>) {
        while let Some(open) = &mut self.open {
            let taken = match open.stream.next_frame() {
                Ok(None) => return arm_read_after_others(self, ctx),
                Ok(Some(frame)) => {
                    // Part of a response is none: it may never be whole.
                    open.unanswered = None;
                    self.take_frame(frame)
                }
                Err(error) => Err(error.into()),
            };
            if let Err(reason) = taken {
                self.end(reason, ctx);
            }
        }
    }

    fn on_written(&mut self, ctx: &mut Context<Self>) {
        self.send_next_chunk(ctx);
    }

    fn on_end(&mut self, end: io::Result<()>, ctx: &mut Context<Self>) {
        self.end(end.map_or_else(PeerError::Broken, |()| PeerError::Closed), ctx);
    }
}

impl PeerLinkActor {
    fn peer(&self) -> NodeId {
        self.hello.to
    }

    /// The part that every log line of a link has.
    fn keys(&self) -> String {
        let Hello { from, to, .. } = self.hello;
        format!("node={from} peer={to} address={}:{}", self.address.host, self.address.port)
    }

    fn put(&mut self, envelope: Envelope, ctx: &mut Context<Self>) {
        let Some(open) = &mut self.open else { return };
        match open.stream.put(&Frame::Rpc(envelope)) {
            Ok(()) => {
                open.unanswered.get_or_insert_with(Instant::now);
                arm_write(self, ctx);
            }
            Err(error) => self.end(error, ctx),
        }
    }

    fn send_next_chunk(&mut self, ctx: &mut Context<Self>) {
        if let Some(chunk) = self.open.as_mut().and_then(OpenLink::next_chunk) {
            self.put(chunk, ctx);
        }
    }

    fn dial(&mut self, ctx: &mut Context<Self>) {
        self.generation += 1;
        let limit = Duration::from_millis(self.settings.dial_timeout_ms);
        let connect = tokio::time::timeout(
            limit,
            self.network.connect(&self.address.host, self.address.port),
        );
        ctx.spawn(connect.into_actor(self).map(|dialled, actor, ctx| match dialled {
            Ok(Ok(stream)) => actor.begin_handshake(stream, ctx),
            Ok(Err(error)) => {
                // No process listens there, so the peer's process is gone. A host that
                // does not answer, or whose name is unknown, says nothing of the process.
                if error.kind() == io::ErrorKind::ConnectionRefused {
                    actor.ports.raft.do_send(PeerEvent::Refused { peer: actor.peer() });
                }
                actor.fail_dial(PeerError::Dial(error), ctx);
            }
            Err(_) => {
                actor.fail_dial(PeerError::DialTimeout(actor.settings.dial_timeout_ms), ctx);
            }
        }));
    }

    fn begin_handshake(&mut self, stream: Stream, ctx: &mut Context<Self>) {
        let mut stream = PeerStream::new(stream, self.generation, &self.settings);
        if let Err(error) = stream.put(&Frame::Hello(self.hello.clone())) {
            return self.fail_dial(error, ctx);
        }
        self.open = Some(OpenLink {
            stream,
            established: None,
            unanswered: None,
            sent: 0..0,
            chunks: ChunkQueue::default(),
        });
        arm_write(self, ctx);
        arm_read(self, ctx);
        let (generation, limit_ms) = (self.generation, self.settings.hello_timeout_ms);
        ctx.run_later(Duration::from_millis(limit_ms), move |actor, ctx| {
            let is_waiting = actor.open.as_ref().is_some_and(|open| open.established.is_none());
            if is_waiting && actor.generation == generation {
                actor.end(PeerError::HelloTimeout(limit_ms), ctx);
            }
        });
    }

    fn take_frame(&mut self, frame: Frame) -> Result<(), PeerError> {
        let is_established = self.open.as_ref().is_some_and(|open| open.established.is_some());
        match frame {
            Frame::Hello(hello) if !is_established => self.establish(hello),
            Frame::Refused { reason } if !is_established => Err(PeerError::Refused(reason)),
            Frame::Rpc(envelope) if is_established && envelope.rpc.is_response() => {
                self.take_response(envelope)
            }
            frame => Err(PeerError::Unexpected(kind_of(&frame))),
        }
    }

    fn establish(&mut self, hello: Hello) -> Result<(), PeerError> {
        let expected = Hello { introduction: hello.introduction.clone(), ..self.hello.answer() };
        if hello != expected {
            return Err(PeerError::Answer(Box::new(hello)));
        }
        if let Some(open) = &mut self.open {
            open.established = Some(Instant::now());
            open.stream.trust();
        }
        self.backoff.on_established();
        self.complaint = None;
        log::info!("peer connected {}", self.keys());
        self.ports.replicator.do_send(LinkEvent::Up);
        self.ports.raft.do_send(PeerEvent::Reached { peer: self.peer() });
        Ok(())
    }

    fn take_response(&self, envelope: Envelope) -> Result<(), PeerError> {
        Direction { from: self.hello.to, to: self.hello.from }.check(&envelope)?;
        match envelope.rpc {
            Rpc::AppendEntriesResponse(response) => {
                let term = envelope.term;
                self.ports.replicator.do_send(LinkEvent::AppendResponse { term, response });
            }
            Rpc::InstallSnapshotResponse(response) => {
                let term = envelope.term;
                self.ports.replicator.do_send(LinkEvent::InstallResponse { term, response });
            }
            _ => self.ports.raft.do_send(PeerEvent::Message(envelope)),
        }
        Ok(())
    }

    /// Drops the connection of a peer that does not respond. A process that hangs keeps its
    /// connection, and its kernel accepts data for a while, so only the missing responses
    /// reveal it (docs/bugs.md B36). A large entry may take longer than the limit: a peer that
    /// has not been sent all of it, and has read a part of it since the last look, is alive.
    fn check_silence(&mut self, ctx: &mut Context<Self>) {
        let Some(open) = &mut self.open else { return };
        let Some(since) = &mut open.unanswered else { return };
        let connection = open.stream.connection();
        let sent_bytes = connection.sent_bytes();
        let sent = sent_bytes..sent_bytes + connection.unsent_bytes() as u64;
        let before = std::mem::replace(&mut open.sent, sent);
        if before.start < sent_bytes && sent_bytes < before.end {
            *since = Instant::now();
        }
        let silence_ms = since.elapsed().as_millis();
        if silence_ms >= u128::from(self.settings.silence_ms_max) {
            self.end(PeerError::Silent(silence_ms), ctx);
        }
    }

    /// Drops the connection and arranges the next dial.
    fn end(&mut self, reason: PeerError, ctx: &mut Context<Self>) {
        let Some(open) = self.open.take() else { return };
        let Some(established) = open.established else { return self.fail_dial(reason, ctx) };
        log::warn!("peer disconnected {}: {reason}", self.keys());
        self.ports.replicator.do_send(LinkEvent::Down);
        match self.backoff.after_connection(established.elapsed()) {
            None => self.dial(ctx),
            Some(pause) => self.dial_later(pause, ctx),
        }
    }

    fn fail_dial(&mut self, reason: PeerError, ctx: &mut Context<Self>) {
        let line = format!("did not connect to peer {}: {reason}", self.keys());
        if self.complaint.as_ref() == Some(&line) {
            log::debug!("{line}");
        } else {
            log::warn!("{line}");
            self.complaint = Some(line);
        }
        let pause = self.backoff.after_failed_dial();
        self.dial_later(pause, ctx);
    }

    fn dial_later(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        ctx.run_later(pause, |actor, ctx| actor.dial(ctx));
    }
}

#[cfg(test)]
mod tests;
