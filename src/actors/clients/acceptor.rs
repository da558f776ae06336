//! ClientAcceptorActor: takes client connections and starts a SessionActor for each.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`SessionClosed`] | SessionActor | [`EndSession`] | SessionActor |
//! | [`ForeignClient`] | SessionActor | | |
//! | [`StopAccepting`] | `node` | [`ClientRequests`] | RaftActor, by the sessions |
//! | | | [`WatchCommand`] | WatchHubActor, by the sessions |
//!
//! Owns: the listener, and the sessions with the addresses of their clients. Thread: main,
//! because a listener stays on the thread that made it. The sessions run on the given arbiters
//! in turn.
//!
//! Bounds: over `connections_max` a client gets `ERR_BUSY` from a session that does nothing
//! else; over `REFUSALS_MAX` such sessions at a time, a connection is closed without a reply.
//!
//! A client that speaks another protocol is logged with its address, a bounded number of them a
//! minute: it may be a web page that tries to write.
//!
//! Failure: an accept that fails (no file descriptors left, say) is tried again after a
//! pause that grows with each further failure.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Recipient,
    SpawnHandle, WrapFuture,
};
use actix_rt::ArbiterHandle;
use log::{Level, debug, log};

use crate::actors::clients::session::{SessionActor, SessionConfig, SessionPorts};
use crate::actors::io::fair_queue::FairQueue;
use crate::actors::messages::clients::{
    ClientRequests, EndSession, ForeignClient, SessionClosed, SessionId,
};
use crate::actors::messages::lifecycle::StopAccepting;
use crate::actors::messages::watch::WatchCommand;
use crate::logging::{BURST, LogLimit, ONCE};
use crate::net::{Listener, Stream};
use crate::protocol::ErrorReply;

/// Maximum number of connections that are being refused at a time.
pub const REFUSALS_MAX: usize = 64;
/// The first pause after an accept that failed.
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// The longest pause after an accept that failed.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The outgoing ports of ClientAcceptorActor's sessions.
#[derive(Clone, Debug)]
pub struct ClientAcceptorPorts {
    /// RaftActor.
    pub raft: Recipient<ClientRequests>,
    /// The WatchHubActor of each arbiter that sessions run on.
    pub watches: Vec<Recipient<WatchCommand>>,
}

/// The actor that accepts client connections.
pub struct ClientAcceptorActor {
    connections_max: usize,
    session_config: Arc<SessionConfig>,
    ports: ClientAcceptorPorts,
    /// The arbiters that sessions run on in turn, as many as there are hubs of watches; when empty,
    /// they run on this one, and there is one hub.
    arbiters: Vec<ArbiterHandle>,
    /// Gives permits to the sessions that run on this arbiter, together with other actors.
    fair_queue: FairQueue,
    /// The listener; `None` while an accept is under way, and once accepting has stopped.
    listener: Option<Box<dyn Listener>>,
    /// The accept under way, or the pause before it.
    accepting: Option<SpawnHandle>,
    is_stopping: bool,
    pause: Duration,
    last_session: u64,
    sessions: BTreeMap<SessionId, Client>,
    foreign_clients: LogLimit,
    /// Bounds the lines about clients beyond the maximum number.
    refused_clients: LogLimit,
    /// Bounds the lines about accepts that failed.
    failures: LogLimit<io::ErrorKind>,
    refusals: BTreeSet<SessionId>,
}

/// A client that is served.
struct Client {
    session: Addr<SessionActor>,
    /// The address that it connected from, for the log.
    from: String,
}

impl ClientAcceptorActor {
    /// An acceptor of at most `connections_max` sessions at a time.
    pub fn new(
        listener: Box<dyn Listener>,
        connections_max: usize,
        session_config: Arc<SessionConfig>,
        ports: ClientAcceptorPorts,
        arbiters: Vec<ArbiterHandle>,
    ) -> ClientAcceptorActor {
        ClientAcceptorActor {
            connections_max,
            session_config,
            ports,
            arbiters,
            fair_queue: FairQueue::default(),
            listener: Some(listener),
            accepting: None,
            is_stopping: false,
            pause: PAUSE_MIN,
            last_session: 0,
            sessions: BTreeMap::new(),
            foreign_clients: LogLimit::default(),
            refused_clients: LogLimit::default(),
            failures: LogLimit::new(ONCE, BURST),
            refusals: BTreeSet::new(),
        }
    }
}

impl Actor for ClientAcceptorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.arm_accept(ctx);
    }
}

impl Handler<SessionClosed> for ClientAcceptorActor {
    type Result = ();

    fn handle(&mut self, message: SessionClosed, ctx: &mut Context<Self>) {
        self.sessions.remove(&message.session);
        self.session_config.metrics.set_sessions(self.sessions.len());
        self.refusals.remove(&message.session);
        self.stop_if_done(ctx);
    }
}

impl Handler<ForeignClient> for ClientAcceptorActor {
    type Result = ();

    fn handle(&mut self, message: ForeignClient, _ctx: &mut Context<Self>) {
        let ForeignClient { session, protocol } = message;
        let Some(Client { from, .. }) = self.sessions.get(&session) else { return };
        let (level, left_out) = self.foreign_clients.level(Level::Warn, ());
        log!(
            level, session = session.0, from = from.as_str(), left_out;
            "closed the connection of a client that speaks {protocol}, and executed nothing of it"
        );
    }
}

impl Handler<StopAccepting> for ClientAcceptorActor {
    type Result = ();

    fn handle(&mut self, _message: StopAccepting, ctx: &mut Context<Self>) {
        self.is_stopping = true;
        self.listener = None;
        if let Some(accepting) = self.accepting.take() {
            ctx.cancel_future(accepting);
        }
        for client in self.sessions.values() {
            client.session.do_send(EndSession);
        }
        self.stop_if_done(ctx);
    }
}

impl ClientAcceptorActor {
    fn arm_accept(&mut self, ctx: &mut Context<Self>) {
        let Some(mut listener) = self.listener.take() else { return };
        let accept = async move {
            let accepted = listener.accept().await;
            (listener, accepted)
        };
        let done = accept.into_actor(self).map(|(listener, accepted), actor, ctx| {
            if actor.is_stopping {
                return;
            }
            actor.listener = Some(listener);
            actor.on_accepted(accepted, ctx);
        });
        self.accepting = Some(ctx.spawn(done));
    }

    fn on_accepted(&mut self, accepted: io::Result<(Stream, String)>, ctx: &mut Context<Self>) {
        match accepted {
            Ok((stream, from)) => {
                self.pause = PAUSE_MIN;
                self.take(stream, from, ctx);
                self.arm_accept(ctx);
            }
            Err(error) => {
                let pause_ms = self.pause.as_millis();
                let (level, left_out) = self.failures.level(Level::Warn, error.kind());
                log!(level, pause_ms, error:%, left_out; "accepting a client failed");
                self.accepting = Some(ctx.run_later(self.pause, Self::arm_accept));
                self.pause = (self.pause * 2).min(PAUSE_MAX);
            }
        }
    }

    fn take(&mut self, stream: Stream, from: String, ctx: &mut Context<Self>) {
        let id = SessionId(self.last_session + 1);
        if self.sessions.len() < self.connections_max {
            debug!(session = id.0, from = from.as_str(); "client connected");
            let session = self.start_session(id, stream, None, ctx);
            self.sessions.insert(id, Client { session, from });
            self.session_config.metrics.set_sessions(self.sessions.len());
        } else if self.refusals.len() < REFUSALS_MAX {
            self.on_refused(&from);
            self.start_session(id, stream, Some(ErrorReply::Busy), ctx);
            self.refusals.insert(id);
        } else {
            self.on_refused(&from);
            return;
        }
        self.last_session = id.0;
    }

    /// Counts a client that is turned away, and says so.
    fn on_refused(&mut self, from: &str) {
        self.session_config.metrics.on_refused();
        let (level, left_out) = self.refused_clients.level(Level::Warn, ());
        let connections_max = self.connections_max;
        log!(level, from, connections_max, left_out; "refused a client: too many connections");
    }

    fn start_session(
        &self,
        id: SessionId,
        stream: Stream,
        refused: Option<ErrorReply>,
        ctx: &Context<Self>,
    ) -> Addr<SessionActor> {
        let config = Arc::clone(&self.session_config);
        let turn = usize::try_from(id.0 % self.ports.watches.len() as u64)
            .expect("a remainder is below the number of arbiters");
        let ports = SessionPorts {
            raft: self.ports.raft.clone(),
            watches: self.ports.watches[turn].clone(),
            closed: ctx.address().recipient(),
            foreign: ctx.address().recipient(),
        };
        let session = move |ctx: &mut Context<SessionActor>| {
            let session = SessionActor::new(id, stream, config, ports, ctx);
            match refused {
                None => session,
                Some(error) => session.refused(error),
            }
        };
        match self.arbiters.get(turn) {
            None => SessionActor::create(|ctx| session(ctx).taking_turns(&self.fair_queue)),
            Some(arbiter) => SessionActor::start_in_arbiter(arbiter, session),
        }
    }

    fn stop_if_done(&mut self, ctx: &mut Context<Self>) {
        if self.is_stopping && self.sessions.is_empty() {
            ctx.stop();
        }
    }
}

#[cfg(test)]
mod tests;
