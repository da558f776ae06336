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

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Recipient,
    WrapFuture,
};
use tokio::time::Instant;

use crate::actors::io::log_limit::LogLimit;
use crate::actors::messages::lifecycle::Shutdown;
use crate::actors::messages::peers::{Announce, PeerEvent, PeerIntroduced, PeerSessionEvent};
use crate::actors::peers::session::{PeerSessionActor, PeerSessionPorts};
use crate::actors::peers::settings::LinkSettings;
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

/// Maximum number of nodes whose last refusal is remembered. They are those that unauthenticated
/// connections name, so there may be any number of them.
const REFUSALS_MAX: usize = 64;

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
    /// True if the last connection was dropped because too many were unauthenticated. It is
    /// logged once.
    is_crowded: bool,
    duplicate_ids: DuplicateIdDetector,
    refusals: RefusalLog,
    /// Bounds the log lines about connections that never authenticate.
    strangers: LogLimit,
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

/// The last refusal of each node that was logged. A server that may not connect dials again for
/// ever, so its refusal is logged once for each reason.
#[derive(Default)]
struct RefusalLog {
    reasons: BTreeMap<NodeId, String>,
}

impl RefusalLog {
    /// True if `node` was last refused for another reason, or has connected since.
    fn is_news(&self, node: NodeId, reason: &str) -> bool {
        self.reasons.get(&node).is_none_or(|last| last != reason)
    }

    fn record(&mut self, node: NodeId, reason: String) {
        if self.reasons.len() == REFUSALS_MAX && !self.reasons.contains_key(&node) {
            self.reasons.clear();
        }
        self.reasons.insert(node, reason);
    }

    /// Records that `node` has connected.
    fn forget(&mut self, node: NodeId) {
        self.reasons.remove(&node);
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
            is_crowded: false,
            duplicate_ids: DuplicateIdDetector::default(),
            refusals: RefusalLog::default(),
            strangers: LogLimit::default(),
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
        self.refusals.forget(peer);
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
            log::warn!(
                "two servers seem to run with id {peer}: its connections from {address} and {} \
                 replace each other; {}; an id belongs to one server, stop the other node={}",
                newest.address,
                duplicates(before.as_ref(), introduction.as_ref()),
                self.local.id
            );
        }
    }

    fn on_refused(&mut self, connection: u64, peer: Option<NodeId>, reason: String) {
        let Some(session) = self.sessions.get(&connection) else { return };
        let (node, address) = (self.local.id, &session.address);
        if peer.is_some_and(|peer| !self.refusals.is_news(peer, &reason)) {
            return log::debug!("refused peer node={node} address={address} again: {reason}");
        }
        let Some(end) = self.strangers.admit() else { return };
        log::warn!("refused peer node={node} address={address}: {reason}{end}");
        if let Some(peer) = peer {
            self.refusals.record(peer, reason);
        }
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
            if !self.is_crowded {
                let node = self.local.id;
                log::warn!(
                    "dropped a connection node={node} address={address}: {others} others \
                            have not yet said who they are"
                );
            }
            self.is_crowded = true;
        } else {
            self.is_crowded = false;
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
        .logging_within(&self.strangers);
        let (actor, since) = (session.start(), Instant::now());
        let session = Session { actor, address, peer: None, introduction: None, since };
        self.sessions.insert(connection, session);
    }

    fn retry(&mut self, error: &io::Error, ctx: &mut Context<Self>) {
        let (node, pause_ms) = (self.local.id, self.retry_ms);
        log::warn!("did not accept a connection node={node}: {error}; next try in {pause_ms} ms");
        self.retry_ms = (pause_ms * 2).min(RETRY_MS_MAX);
        ctx.run_later(Duration::from_millis(pause_ms), |actor, ctx| actor.arm_accept(ctx));
    }
}

#[cfg(test)]
mod tests;
