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
//! | [`Shutdown`], [`Announce`], [`PeerIntroduced`] | PeersActor | | |
//! | responses to AppendEntries, InstallSnapshot | the peer | [`LinkEvent`] | ReplicatorActor |
//! | responses to votes and hellos | the peer | [`PeerEvent`] | RaftActor |
//! | a good hello, the end of a connection | the peer | [`LinkEvent`] | ReplicatorActor |
//! | a good hello, the end of a connection | the peer | [`PeerEvent`] | RaftActor |
//! | the word that this node was removed | the peer | [`PeerEvent`] | RaftActor |
//! | a round of refused dials | | [`PeerEvent`] | RaftActor |
//! | half of the silence that is allowed | | a probe | the peer |
//!
//! It owns the connection, the addresses that it dials and the back-off. It runs on the main
//! arbiter, as do all actors that send to it. So a full mailbox does not starve its timers: no
//! other actor runs while it drains its mailbox. A message of a peer can do no more than end the
//! connection. Memory is bounded. A peer that does not read is dropped at
//! [`LinkSettings::outbound_bytes_max`] (docs/bugs.md B80). A message that cannot be encoded
//! ends the connection, too: it would be lost again each time that it is repeated, and nobody
//! would see why the peer stays behind. All that was read is handed
//! over before more is read ([`arm_read_after_others`]), so the receivers' mailboxes hold
//! the messages of at most one read of each connection.
//!
//! A server from before format 2 ends the connection when it gets the long hello. So a dial whose
//! long hello was answered by the end of the connection is followed by one with the short hello,
//! while the first format is in force (docs/adr/0023). A server that is stopped, or has too many
//! connections, ends one in the same way. It takes the short hello for that of an old server,
//! and would wait for the upgrade of this one for ever. So the link ends such a connection when
//! it hears by [`PeerIntroduced`] that the peer is no old server, and in any case after
//! `SHORT_HELLO_AGE_MAX`, and begins with the long hello again.
//!
//! A peer is who it says it is, wherever it is (docs/adr/0027): `targets` has the addresses to
//! dial. A dial that fails is followed at once by one to the next address, and a round that fails
//! by a pause. An address that the peer itself says, in a hello with this cluster's id, is dialled
//! at once, although the link may pause, or have a connection to where the peer was.
//!
//! Chunks of a snapshot wait here while there is any other frame to send: an AppendEntries,
//! and so a heartbeat, has at most one chunk before it (docs/bugs.md B59).

mod backoff;
mod chunk_queue;
mod measured;
mod targets;

use std::io;
use std::ops::Range;
use std::rc::Rc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture,
};
use log::Level;
use tokio::time::Instant;
use tokio::time::error::Elapsed;

use crate::actors::io::connection::Connection;
use crate::actors::io::pump::{ConnectedActor, arm_read, arm_read_after_others, arm_write};
use crate::actors::messages::lifecycle::Shutdown;
use crate::actors::messages::peers::{Announce, EndConnection, PeerEvent, PeerIntroduced, SendRpc};
use crate::actors::messages::replication::LinkEvent;
use crate::actors::peers::settings::LinkSettings;
use crate::actors::peers::stream::{Direction, PeerError, PeerStream, kind_of, version_of};
use crate::logging::{BURST, LogLimit, ONCE};
use crate::metrics::PeerMetrics;
use crate::net::{Network, Stream};
use crate::raft::{Envelope, Introduction, Rpc};
use crate::types::{Address, Format, NodeId};
use crate::wire::{Frame, Hello, LocalNode};
use backoff::Backoff;
use chunk_queue::{ChunkQueue, chunk_bytes};
use measured::Measured;
use targets::Targets;

/// The time after which a connection that began with the short hello is dialled again with the
/// long one: two servers may have taken each other for old ones.
const SHORT_HELLO_AGE_MAX: Duration = Duration::from_secs(600);

/// The pause between two dials to a peer that says that this node was removed.
const REMOVED_PAUSE: Duration = Duration::from_secs(5);

/// The ports of PeerLinkActor.
#[derive(Clone, Debug)]
pub struct PeerLinkPorts {
    /// RaftActor: responses to votes and pre-votes, and what was learned by dialling.
    pub raft: Recipient<PeerEvent>,
    /// The peer's ReplicatorActor: responses to its requests, and the connection's state.
    pub replicator: Recipient<LinkEvent>,
}

/// The addresses of a peer, apart from what it says itself.
#[derive(Clone, Debug, Default)]
pub struct PeerAddresses {
    /// The address that the log says, or servers.toml as long as the log says none.
    pub logged: Option<Address>,
    /// The address in servers.toml.
    pub configured: Option<Address>,
}

/// The owner of the outbound connection to one peer.
pub struct PeerLinkActor {
    /// The facts about this node.
    local: LocalNode,
    peer: NodeId,
    targets: Targets,
    settings: LinkSettings,
    network: Rc<dyn Network>,
    ports: PeerLinkPorts,
    backoff: Backoff,
    /// `None` while there is no connection.
    open: Option<OpenLink>,
    /// The form of the hello of the newest dial.
    form: HelloForm,
    /// True while the peer has a connection to this node whose hello was long.
    is_introduced: bool,
    /// Number of dials and pauses. A timer, or a dial under way, is obsolete when its number is
    /// not the newest.
    generation: u64,
    /// Bounds the lines about failures to connect, by the address and the reason.
    failures: LogLimit<(Option<String>, String)>,
    /// Bounds the lines about what becomes of connections.
    changes: LogLimit,
    measured: Measured,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HelloForm {
    /// With the introduction.
    Long,
    /// Without it, as servers from before format 2 read it.
    Short,
}

struct OpenLink {
    stream: PeerStream,
    /// The time when the peer's hello came. Before it, no other frame is sent.
    established: Option<Instant>,
    /// The facts in that hello.
    introduction: Option<Introduction>,
    /// The time when the first request was sent since the last frame was received. It is
    /// not a count of open requests, because the peer need not respond to every request.
    unanswered: Option<Instant>,
    /// The time when the last frame was received.
    heard: Instant,
    /// True when the peer was said to be slow, until it answers.
    is_slow: bool,
    /// The output when the silence was last looked at: the bytes that the kernel had taken
    /// since the beginning, and the bytes that it should have taken.
    sent: Range<u64>,
    /// The chunks of a snapshot that wait until there is nothing else to send.
    chunks: ChunkQueue,
}

impl PeerLinkActor {
    /// A link of the node `local` to `peer` at `addresses`, which dials as soon as it is started.
    /// Without any address it waits until it is told one. `seed` is the seed of the back-off's
    /// jitter.
    pub fn new(
        local: LocalNode,
        peer: NodeId,
        addresses: PeerAddresses,
        settings: LinkSettings,
        network: Rc<dyn Network>,
        ports: PeerLinkPorts,
        seed: u64,
    ) -> PeerLinkActor {
        let backoff = Backoff::new(settings.backoff_ms_min, settings.backoff_ms_max, seed);
        PeerLinkActor {
            local,
            peer,
            targets: Targets::new(addresses.logged, addresses.configured),
            settings,
            network,
            ports,
            backoff,
            open: None,
            form: HelloForm::Long,
            is_introduced: false,
            generation: 0,
            failures: LogLimit::new(ONCE, BURST),
            changes: LogLimit::default(),
            measured: Measured::default(),
        }
    }

    /// Measures its work by these metrics.
    #[must_use]
    pub fn with_metrics(self, metrics: PeerMetrics) -> PeerLinkActor {
        PeerLinkActor { measured: Measured::new(metrics), ..self }
    }
}

impl Actor for PeerLinkActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let check = Duration::from_millis((self.settings.silence_ms_max / 4).max(1));
        ctx.run_interval(check, |actor, ctx| {
            actor.check_silence(ctx);
            actor.probe_idle_peer(ctx);
            actor.log_state();
        });
        self.begin_round(ctx);
    }

    fn stopped(&mut self, _ctx: &mut Context<Self>) {
        if self.open.take().is_some_and(|open| open.established.is_some()) {
            self.tell_down();
        }
    }
}

impl Handler<SendRpc> for PeerLinkActor {
    type Result = ();

    fn handle(&mut self, SendRpc { envelope }: SendRpc, ctx: &mut Context<Self>) {
        let Some(open) = self.open.as_mut().filter(|open| open.established.is_some()) else {
            return self.measured.on_send_failed();
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

impl Handler<Announce> for PeerLinkActor {
    type Result = ();

    fn handle(&mut self, Announce(announcement): Announce, ctx: &mut Context<Self>) {
        let said = (self.local.introduction.is_held, self.local.introduction.is_draining);
        self.local.take(&announcement);
        let logged = announcement.peers.get(&self.peer).and_then(Option::as_ref);
        let is_new = logged.is_some_and(|address| self.targets.set_logged(address));
        let Some(open) = &self.open else {
            if is_new {
                self.begin_round(ctx);
            }
            return;
        };
        // Only the hello says what a server holds, and whether it is drained, and the leader must
        // know both.
        if said != (announcement.is_held, announcement.is_draining) {
            return self.end(PeerError::IntroductionChanged, ctx);
        }
        let introduction = open.introduction.as_ref();
        if open.established.is_some()
            && let Err(error) = self.local.check(self.peer, introduction)
        {
            self.end(error.into(), ctx);
        }
    }
}

impl Handler<PeerIntroduced> for PeerLinkActor {
    type Result = ();

    fn handle(&mut self, introduced: PeerIntroduced, ctx: &mut Context<Self>) {
        self.is_introduced = introduced.introduction.is_some();
        let told = introduced.introduction.as_ref().and_then(|facts| self.address_of(facts));
        if told.is_some_and(|address| self.targets.tell(&address)) {
            self.move_on(ctx);
        } else if self.is_introduced && self.open.is_some() && self.form == HelloForm::Short {
            self.end(PeerError::Introduced, ctx);
        }
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
        self.measure();
        while let Some(open) = &mut self.open {
            let taken = match open.stream.next_frame() {
                Ok(None) => return arm_read_after_others(self, ctx),
                Ok(Some(frame)) => {
                    // Part of a response is none: it may never be whole.
                    (open.unanswered, open.heard) = (None, Instant::now());
                    if std::mem::take(&mut open.is_slow) {
                        self.log_quick();
                    }
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
        self.measure();
        self.send_next_chunk(ctx);
    }

    fn on_end(&mut self, end: io::Result<()>, ctx: &mut Context<Self>) {
        self.end(end.map_or_else(PeerError::Broken, |()| PeerError::Closed), ctx);
    }
}

impl PeerLinkActor {
    /// The part that every log line of a link has: this node, the peer, and the address that was
    /// dialled last.
    fn facts(&self) -> (NodeId, NodeId, Option<String>) {
        (self.local.id, self.peer, self.targets.dialled().map(Address::to_string))
    }

    /// The address that the peer says it has. Only a server of the same cluster is believed: one
    /// that has the name of the cluster and an id could be anywhere.
    fn address_of(&self, introduction: &Introduction) -> Option<Address> {
        let cluster_id = self.local.introduction.cluster_id?;
        let is_proven = introduction.cluster_id == Some(cluster_id);
        introduction.member.as_ref().filter(|_| is_proven).map(|member| member.peer.clone())
    }

    /// Counts what the connection has moved, once the peer is known to be the peer.
    fn measure(&mut self) {
        if let Some(open) = self.open.as_mut().filter(|open| open.established.is_some()) {
            let chunks = open.chunks.len();
            self.measured.on_moved(open.stream.connection(), chunks);
        }
    }

    fn put(&mut self, envelope: Envelope, ctx: &mut Context<Self>) {
        let has_response = envelope.rpc.has_response();
        self.measured.on_request(&envelope.rpc);
        self.put_frame(&Frame::Rpc(envelope), has_response, ctx);
    }

    fn put_frame(&mut self, frame: &Frame, has_response: bool, ctx: &mut Context<Self>) {
        let Some(open) = &mut self.open else { return };
        match open.stream.put(frame) {
            Ok(()) => {
                if has_response {
                    open.unanswered.get_or_insert_with(Instant::now);
                }
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

    /// Dials the first of the peer's addresses, and the others after it as long as dials fail.
    fn begin_round(&mut self, ctx: &mut Context<Self>) {
        self.targets.begin_round();
        match self.targets.next() {
            Some(address) => self.dial(&address, HelloForm::Long, ctx),
            None => {
                let (node, peer, address) = self.facts();
                let (level, left_out) = self.failures.level(Level::Warn, (None, String::new()));
                log::log!(
                    level, node, peer, address, left_out;
                    "does not dial a peer, because neither the log nor servers.toml has its \
                     address: it is dialled as soon as it says where it is"
                );
            }
        }
    }

    /// The connection is gone, and with it all that was on it.
    fn tell_down(&mut self) {
        self.measured.on_disconnected();
        self.ports.replicator.do_send(LinkEvent::Down);
        self.ports.raft.do_send(PeerEvent::Lost { peer: self.peer });
    }

    /// The peer says that it is somewhere else than where it was dialled.
    fn move_on(&mut self, ctx: &mut Context<Self>) {
        if let Some(open) = self.open.take()
            && open.established.is_some()
        {
            self.log_disconnected(Level::Info, &PeerError::Moved);
            self.tell_down();
        }
        self.begin_round(ctx);
    }

    fn dial(&mut self, address: &Address, form: HelloForm, ctx: &mut Context<Self>) {
        self.generation += 1;
        self.form = form;
        let generation = self.generation;
        let limit = Duration::from_millis(self.settings.dial_timeout_ms);
        let connect = self.network.connect(&address.host, address.port);
        let connect = tokio::time::timeout(limit, connect);
        ctx.spawn(connect.into_actor(self).map(move |dialled, actor, ctx| {
            if actor.generation == generation {
                actor.on_dialled(dialled, ctx);
            }
        }));
    }

    fn on_dialled(
        &mut self,
        dialled: Result<io::Result<Stream>, Elapsed>,
        ctx: &mut Context<Self>,
    ) {
        match dialled {
            Ok(Ok(stream)) => self.begin_handshake(stream, ctx),
            Ok(Err(error)) => self.fail_dial(PeerError::Dial(error), ctx),
            Err(_) => self.fail_dial(PeerError::DialTimeout(self.settings.dial_timeout_ms), ctx),
        }
    }

    fn begin_handshake(&mut self, stream: Stream, ctx: &mut Context<Self>) {
        let mut stream = PeerStream::new(stream, self.generation, &self.settings);
        // Both may have become known while the peer was dialled.
        if self.local.format.format > Format::FIRST || self.is_introduced {
            self.form = HelloForm::Long;
        }
        let hello = match self.form {
            HelloForm::Long => self.local.hello(self.peer),
            HelloForm::Short => self.local.short_hello(self.peer),
        };
        if let Err(error) = stream.put(&Frame::Hello(hello)) {
            return self.fail_dial(error, ctx);
        }
        self.open = Some(OpenLink {
            stream,
            established: None,
            introduction: None,
            unanswered: None,
            heard: Instant::now(),
            is_slow: false,
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
        if self.form == HelloForm::Short {
            ctx.run_later(SHORT_HELLO_AGE_MAX, move |actor, ctx| {
                if actor.generation == generation {
                    actor.end(PeerError::ShortHello, ctx);
                }
            });
        }
    }

    fn take_frame(&mut self, frame: Frame) -> Result<(), PeerError> {
        let is_established = self.open.as_ref().is_some_and(|open| open.established.is_some());
        match frame {
            Frame::Hello(hello) if !is_established => self.establish(hello),
            Frame::Refused { reason } if !is_established => Err(PeerError::Refused(reason)),
            Frame::Removed { at } if !is_established => Err(PeerError::Removed(at)),
            Frame::ProbeAnswer if is_established => Ok(()),
            Frame::Rpc(envelope) if is_established && envelope.rpc.is_response() => {
                self.take_response(envelope)
            }
            frame => Err(PeerError::Unexpected(kind_of(&frame))),
        }
    }

    fn establish(&mut self, hello: Hello) -> Result<(), PeerError> {
        let introduction = hello.introduction.clone();
        let expected = Hello { introduction, ..self.local.short_hello(self.peer).answer() };
        if hello != expected {
            return Err(PeerError::Answer(Box::new(hello)));
        }
        let introduction = hello.introduction;
        self.local.check(self.peer, introduction.as_ref())?;
        if let Some(address) = introduction.as_ref().and_then(|facts| self.address_of(facts)) {
            // The connection is there, so it is only where the peer is dialled the next time.
            self.targets.tell(&address);
        }
        self.log_connected(introduction.as_ref());
        if let Some(open) = &mut self.open {
            open.established = Some(Instant::now());
            open.introduction = introduction;
            open.stream.trust();
        }
        self.measured.on_connected();
        self.backoff.on_established();
        self.ports.replicator.do_send(LinkEvent::Up);
        self.ports.raft.do_send(PeerEvent::Reached { peer: self.peer });
        Ok(())
    }

    fn take_response(&mut self, envelope: Envelope) -> Result<(), PeerError> {
        Direction { from: self.peer, to: self.local.id }.check(&envelope)?;
        self.measured.on_response(&envelope.rpc);
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
        let (silence, limit_ms) = (since.elapsed(), u128::from(self.settings.silence_ms_max));
        if silence.as_millis() >= limit_ms {
            self.end(PeerError::Silent(silence.as_millis()), ctx);
        } else if silence.as_millis() >= limit_ms / 2 && !std::mem::replace(&mut open.is_slow, true)
        {
            self.log_slow(silence);
        }
    }

    /// Asks a peer that has not said anything for a while whether it is there. A path between
    /// followers is idle until an election, and can die meanwhile without an error, as behind a
    /// firewall that forgets it. A candidate would ask there in vain.
    fn probe_idle_peer(&mut self, ctx: &mut Context<Self>) {
        let pause = Duration::from_millis(self.settings.silence_ms_max / 2);
        let is_idle = |open: &OpenLink| {
            open.introduction.as_ref().is_some_and(|f| f.formats.contains(Format::PROBES))
                && open.unanswered.is_none()
                && open.heard.elapsed() >= pause
        };
        if self.open.as_ref().is_some_and(is_idle) {
            self.put_frame(&Frame::Probe, true, ctx);
        }
    }

    /// Drops the connection and arranges the next dial.
    fn end(&mut self, reason: PeerError, ctx: &mut Context<Self>) {
        let Some(open) = self.open.take() else { return };
        let Some(established) = open.established else { return self.fail_handshake(reason, ctx) };
        self.log_disconnected(if reason.is_failure() { Level::Warn } else { Level::Info }, &reason);
        self.tell_down();
        match self.backoff.after_connection(established.elapsed()) {
            None => self.begin_round(ctx),
            Some(pause) => self.dial_later(pause, ctx),
        }
    }

    /// The connection ended before the peer's hello came. A peer that ended it without a word may
    /// be from before format 2.
    fn fail_handshake(&mut self, reason: PeerError, ctx: &mut Context<Self>) {
        let is_wordless = matches!(reason, PeerError::Closed | PeerError::Broken(_));
        if !is_wordless || self.form == HelloForm::Short || self.is_introduced {
            return self.fail_dial(reason, ctx);
        }
        if self.local.format.format > Format::FIRST {
            return self.fail_dial(PeerError::TooOld(self.local.format.clone()), ctx);
        }
        let Some(address) = self.targets.dialled().cloned() else { return };
        let (node, peer) = (self.local.id, self.peer);
        log::debug!(node, peer, address:%, detail:% = reason; "dials with the short hello");
        self.dial(&address, HelloForm::Short, ctx);
    }

    /// The peer was not reached at the address that was dialled last. The next one is dialled at
    /// once, and after all of them there is a pause.
    fn fail_dial(&mut self, reason: PeerError, ctx: &mut Context<Self>) {
        self.log_failed_dial(&reason);
        if let PeerError::Removed(at) = reason {
            self.ports.raft.do_send(PeerEvent::Removed { peer: self.peer, at });
            return self.dial_later(REMOVED_PAUSE, ctx);
        }
        // Nothing is known of the peer's process when somebody listens there, or when the host
        // does not answer or has no address.
        if !reason.is_refused_dial() {
            self.targets.is_not_refused();
        }
        if let Some(address) = self.targets.next() {
            return self.dial(&address, HelloForm::Long, ctx);
        }
        if self.targets.are_all_refused() {
            self.ports.raft.do_send(PeerEvent::Refused { peer: self.peer });
        }
        let pause = self.backoff.after_failed_dial();
        self.dial_later(pause, ctx);
    }

    fn log_failed_dial(&mut self, reason: &PeerError) {
        let (node, peer, address) = self.facts();
        let detail = reason.to_string();
        let key = (address.clone(), detail.clone());
        let (level, left_out) = self.failures.level(Level::Warn, key);
        log::log!(level, node, peer, address, left_out, detail; "did not connect to peer");
    }

    /// Says with the connection how many failures to connect were left out.
    fn log_connected(&mut self, introduction: Option<&Introduction>) {
        self.failures.forget(|_| true);
        self.changes.add_left_out(self.failures.take_left_out());
        let (node, peer, address) = self.facts();
        let (version, formats) = version_of(introduction);
        let (level, left_out) = self.changes.level(Level::Info, ());
        log::log!(
            level, node, peer, address, version, formats:%, left_out;
            "peer connected"
        );
    }

    /// Says that there is a connection, when lines about that were left out and one is due.
    fn log_state(&mut self) {
        let Some(open) = self.open.as_ref().filter(|open| open.established.is_some()) else {
            return;
        };
        if self.changes.is_due() {
            let introduction = open.introduction.clone();
            self.log_connected(introduction.as_ref());
        }
    }

    fn log_disconnected(&mut self, level: Level, reason: &PeerError) {
        let (node, peer, address) = self.facts();
        let (level, left_out) = self.changes.level(level, ());
        log::log!(level, node, peer, address, left_out, detail:% = reason; "peer disconnected");
    }

    fn log_slow(&mut self, unanswered: Duration) {
        let (node, peer, address) = self.facts();
        let (level, left_out) = self.changes.level(Level::Info, ());
        let unanswered_ms = unanswered.as_millis();
        log::log!(level, node, peer, address, unanswered_ms, left_out; "peer is slow to answer");
    }

    fn log_quick(&mut self) {
        let (node, peer, address) = self.facts();
        let (level, left_out) = self.changes.level(Level::Info, ());
        log::log!(level, node, peer, address, left_out; "peer answers again");
    }

    fn dial_later(&mut self, pause: Duration, ctx: &mut Context<Self>) {
        self.generation += 1;
        let generation = self.generation;
        ctx.run_later(pause, move |actor, ctx| {
            if actor.generation == generation {
                actor.begin_round(ctx);
            }
        });
    }
}

#[cfg(test)]
mod tests;
