//! PeerAcceptorActor: accepts the connections of the peers and starts a PeerSessionActor
//! for each.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | a connection | the listener | a new PeerSessionActor | |
//! | [`PeerSessionEvent`] | PeerSessionActor | [`Shutdown`] | an older session of that peer |
//! | | | [`PeerIntroduced`] | PeersActor |
//! | [`Announce`] | PeersActor | [`Announce`] | every session |
//! | | | [`Shutdown`] | the sessions of a peer that is gone |
//! | [`Shutdown`] | PeersActor | [`Shutdown`] | every session |
//! | | | [`PeerEvent`] | RaftActor, by the sessions |
//!
//! It owns the listener and the list of sessions. It runs on the main arbiter, and so do
//! the sessions. At most `handshakes_max` connections are unauthenticated at a time. A peer
//! has one connection here: its newest replaces the one before. This also ends a
//! connection whose other side has vanished, which nothing else would reveal, because this
//! side only answers on it.
//!
//! A failing accept (for example without a free file descriptor) is logged and tried again
//! after a pause. Connections that are already there go on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Recipient,
    WrapFuture,
};
use log::Level;
use tokio::time::Instant;

use crate::actors::messages::lifecycle::Shutdown;
use crate::actors::messages::peers::{Announce, PeerEvent, PeerIntroduced, PeerSessionEvent};
use crate::actors::peers::session::{PeerSessionActor, PeerSessionPorts, SessionLines};
use crate::actors::peers::settings::LinkSettings;
use crate::logging::{BURST, LogLimit, ONCE};
use crate::net::{Listener, Stream};
use crate::raft::Introduction;
use crate::types::NodeId;
use crate::wire::LocalNode;

/// Pause after a failed accept, in milliseconds. It doubles with every further failure.
const RETRY_MS_MIN: u64 = 50;
/// Longest pause after a failed accept, in milliseconds.
const RETRY_MS_MAX: u64 = 1000;

/// A connection that is replaced within this time was still in use: a peer notices only
/// after `silence_ms_max` that a connection is dead, and dials again.
const YOUNG_AGE_MAX: Duration = Duration::from_secs(10);
/// Number of such replacements in a row after which a warning says that two servers run
/// with one id.
const REPLACEMENTS_MAX: u32 = 10;

/// The ports that PeerAcceptorActor gives to the sessions that it starts.
#[derive(Clone, Debug)]
pub struct PeerAcceptorPorts {
    /// RaftActor: the connections of peers, and their requests.
    pub raft: Recipient<PeerEvent>,
    /// PeersActor: what each peer says of itself.
    pub introduced: Recipient<PeerIntroduced>,
}

/// The owner of the listener for peers and of their sessions.
pub struct PeerAcceptorActor {
    /// `None` while an accept is under way: its future holds the listener.
    listener: Option<Box<dyn Listener>>,
    local: Rc<LocalNode>,
    settings: LinkSettings,
    ports: PeerAcceptorPorts,
    sessions: BTreeMap<u64, Session>,
    /// The peers that this node has connections with, as they were announced last.
    peers: BTreeSet<NodeId>,
    /// Number of connections accepted so far, which is the number of the newest.
    accepted: u64,
    retry_ms: u64,
    duplicate_ids: DuplicateIdDetector,
    duplicate_lines: LogLimit<NodeId>,
    /// Bounds the lines about refused hellos. A server that may not connect dials again for ever.
    refusals: LogLimit<Refusal>,
    /// Bounds the lines about accepts that failed.
    failures: LogLimit<io::ErrorKind>,
    /// Bounds the lines of all sessions.
    lines: Rc<RefCell<SessionLines>>,
}

struct Session {
    actor: Addr<PeerSessionActor>,
    /// The address that it was dialled from, for the log.
    address: String,
    /// `None` until its hello is accepted.
    peer: Option<NodeId>,
    /// The facts in its hello.
    introduction: Option<Introduction>,
    since: Instant,
}

/// A refused hello, so far as another one is the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Refusal {
    /// It named this node, and was refused for this reason.
    Named(NodeId, String),
    /// The first frame of this connection named no node.
    Nameless(u64),
}

/// Detects two servers with one id, which replace each other's connections for ever. A
/// single server that dials again replaces only old connections. Their incarnations tell whether
/// they have two data directories or copies of one.
#[derive(Default)]
struct DuplicateIdDetector {
    /// Number of replacements in a row of a connection younger than [`YOUNG_AGE_MAX`], for
    /// each peer.
    replaced: BTreeMap<NodeId, u32>,
}

impl DuplicateIdDetector {
    /// Records that an open connection of `peer` with this age was replaced; true if a
    /// warning is due.
    fn record(&mut self, peer: NodeId, age: Duration) -> bool {
        let replaced = self.replaced.entry(peer).or_default();
        *replaced = if age < YOUNG_AGE_MAX { *replaced + 1 } else { 0 };
        *replaced > 0 && replaced.is_multiple_of(REPLACEMENTS_MAX)
    }
}

/// Says of two connections in the name of one node, by their introductions, whose they are.
fn duplicates(one: Option<&Introduction>, other: Option<&Introduction>) -> String {
    match (one, other) {
        (Some(one), Some(other)) if one.incarnation == other.incarnation => {
            format!(
                "both have a copy of one data directory (incarnation {}), so one of them votes \
                 and acknowledges in the name of the other",
                one.incarnation
            )
        }
        (Some(one), Some(other)) => {
            format!(
                "each has a data directory of its own (incarnations {} and {})",
                one.incarnation, other.incarnation
            )
        }
        _ => "at least one of them does not say which data directory it has".to_owned(),
    }
}

impl PeerAcceptorActor {
    /// An acceptor of the connections that `listener` gets. `local` describes this node and
    /// the peers that may connect.
    pub fn new(
        listener: Box<dyn Listener>,
        local: LocalNode,
        settings: LinkSettings,
        ports: PeerAcceptorPorts,
    ) -> PeerAcceptorActor {
        PeerAcceptorActor {
            listener: Some(listener),
            local: Rc::new(local),
            settings,
            ports,
            sessions: BTreeMap::new(),
            peers: BTreeSet::new(),
            accepted: 0,
            retry_ms: RETRY_MS_MIN,
            duplicate_ids: DuplicateIdDetector::default(),
            duplicate_lines: LogLimit::new(ONCE, BURST),
            refusals: LogLimit::new(ONCE, BURST),
            failures: LogLimit::new(ONCE, BURST),
            lines: Rc::default(),
        }
    }
}

impl Actor for PeerAcceptorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.arm_accept(ctx);
    }

    fn stopped(&mut self, _ctx: &mut Context<Self>) {
        for session in self.sessions.values() {
            session.actor.do_send(Shutdown);
        }
    }
}

impl Handler<PeerSessionEvent> for PeerAcceptorActor {
    type Result = ();

    fn handle(&mut self, event: PeerSessionEvent, _ctx: &mut Context<Self>) {
        match event {
            PeerSessionEvent::Authenticated { connection, peer, introduction } => {
                self.on_authenticated(connection, peer, introduction);
            }
            PeerSessionEvent::Refused { connection, peer, reason } => {
                self.on_refused(connection, peer, reason);
            }
            PeerSessionEvent::Ended { connection } => self.on_ended(connection),
        }
    }
}

impl Handler<Announce> for PeerAcceptorActor {
    type Result = ();

    fn handle(&mut self, Announce(announcement): Announce, _ctx: &mut Context<Self>) {
        Rc::make_mut(&mut self.local).take(&announcement);
        let peers: BTreeSet<NodeId> = announcement.peers.keys().copied().collect();
        let before = std::mem::replace(&mut self.peers, peers);
        for session in self.sessions.values() {
            let is_of = |peer: &NodeId| before.contains(peer) && !self.peers.contains(peer);
            if session.peer.as_ref().is_some_and(is_of) {
                session.actor.do_send(Shutdown);
            } else {
                session.actor.do_send(Announce(announcement.clone()));
            }
        }
    }
}

impl Handler<Shutdown> for PeerAcceptorActor {
    type Result = ();

    fn handle(&mut self, _: Shutdown, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl PeerAcceptorActor {
    /// The newest connection of a peer replaces the one before.
    fn on_authenticated(
        &mut self,
        connection: u64,
        peer: NodeId,
        introduction: Option<Introduction>,
    ) {
        self.refusals.forget(|refusal| matches!(refusal, Refusal::Named(id, _) if *id == peer));
        self.tell(peer, introduction.clone());
        let mut replaced = None;
        for (other, session) in &mut self.sessions {
            if *other == connection {
                session.peer = Some(peer);
                session.introduction.clone_from(&introduction);
                session.since = Instant::now();
            } else if session.peer == Some(peer) {
                session.actor.do_send(Shutdown);
                let their = (session.address.clone(), session.introduction.clone());
                replaced = Some((their, session.since.elapsed()));
            }
        }
        if let Some(((address, before), age)) = replaced
            && self.duplicate_ids.record(peer, age)
            && let Some(newest) = self.sessions.get(&connection)
        {
            let (level, left_out) = self.duplicate_lines.level(Level::Warn, peer);
            log::log!(
                level, node = self.local.id, left_out;
                "two servers seem to run with id {peer}: its connections from {address} and {} \
                 replace each other; {}; an id belongs to one server, stop the other",
                newest.address,
                duplicates(before.as_ref(), introduction.as_ref())
            );
        }
    }

    fn on_refused(&mut self, connection: u64, peer: Option<NodeId>, reason: String) {
        let Some(session) = self.sessions.get(&connection) else { return };
        let (node, address) = (self.local.id, session.address.as_str());
        let refusal = match peer {
            Some(peer) => Refusal::Named(peer, reason.clone()),
            None => Refusal::Nameless(connection),
        };
        let (level, left_out) = self.refusals.level(Level::Warn, refusal);
        log::log!(level, node, address, left_out, detail = reason; "refused peer");
    }

    fn on_ended(&mut self, connection: u64) {
        let Some(Session { peer: Some(peer), .. }) = self.sessions.remove(&connection) else {
            return;
        };
        if self.sessions.values().all(|session| session.peer != Some(peer)) {
            self.tell(peer, None);
        }
    }

    fn tell(&self, peer: NodeId, introduction: Option<Introduction>) {
        self.ports.introduced.do_send(PeerIntroduced { peer, introduction });
    }

    fn arm_accept(&mut self, ctx: &mut Context<Self>) {
        let Some(mut listener) = self.listener.take() else { return };
        let accept = async move {
            let accepted = listener.accept().await;
            (listener, accepted)
        };
        ctx.spawn(accept.into_actor(self).map(|(listener, accepted), actor, ctx| {
            actor.listener = Some(listener);
            match accepted {
                Ok((stream, address)) => actor.take_connection(stream, address, ctx),
                Err(error) => actor.retry(&error, ctx),
            }
        }));
    }

    fn take_connection(&mut self, stream: Stream, address: String, ctx: &mut Context<Self>) {
        self.retry_ms = RETRY_MS_MIN;
        let others = self.sessions.values().filter(|session| session.peer.is_none()).count();
        if others >= self.settings.handshakes_max {
            let (level, left_out) = self.lines.borrow_mut().strangers.level(Level::Warn, ());
            let detail = format!("{others} others have not yet said who they are");
            log::log!(
                level, node = self.local.id, address, left_out, detail;
                "dropped a connection"
            );
        } else {
            self.start_session(stream, address, ctx);
        }
        self.arm_accept(ctx);
    }

    fn start_session(&mut self, stream: Stream, address: String, ctx: &mut Context<Self>) {
        self.accepted += 1;
        let connection = self.accepted;
        let ports =
            PeerSessionPorts { raft: self.ports.raft.clone(), acceptor: ctx.address().recipient() };
        let local = Rc::clone(&self.local);
        let session = PeerSessionActor::new(
            stream,
            address.clone(),
            connection,
            local,
            &self.settings,
            ports,
        )
        .logging_within(&self.lines);
        let (actor, since) = (session.start(), Instant::now());
        let session = Session { actor, address, peer: None, introduction: None, since };
        self.sessions.insert(connection, session);
    }

    fn retry(&mut self, error: &io::Error, ctx: &mut Context<Self>) {
        let (node, pause_ms) = (self.local.id, self.retry_ms);
        let (level, left_out) = self.failures.level(Level::Warn, error.kind());
        let detail = format!("{error}; next try in {pause_ms} ms");
        log::log!(level, node, left_out, detail; "did not accept a connection");
        self.retry_ms = (pause_ms * 2).min(RETRY_MS_MAX);
        ctx.run_later(Duration::from_millis(pause_ms), |actor, ctx| actor.arm_accept(ctx));
    }
}

#[cfg(test)]
mod tests;
