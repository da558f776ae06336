//! WatchHubActor: sends the sessions of one arbiter the changes that they watch (docs/adr/0030).
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | [`WatchCommand`] | SessionActor | [`WatchNews`] | SessionActor |
//! | [`HistoryNews`] | KvActor | [`AskHistory`] | KvActor |
//! | a change that is not what was written | | [`StoreCorrupted`] | RaftActor |
//!
//! A shell around `Watches`, which knows the watches and decides what each is
//! sent. Owns: the watches of the sessions of its arbiter, and the newest view of the history, as
//! long as there is a watch. Thread: that of the sessions.
//!
//! Bounds: KvActor sends a view only when the hub has asked for one, so at most two are under way.
//! A session is sent one text at a time. The work of a turn is bounded; the others of the thread
//! have their turn between two of them. Together all hubs of a server have at most `watches_max`
//! watches; the next one is refused.
//!
//! A watch begins with a view that KvActor made after the client had asked: a watch "from now on"
//! sees no write that was acknowledged before, and every one after.
//!
//! A change that is not what was written ends the node (docs/adr/0025). From then on the hub is
//! silent: its watches end with the process.
//!
//! | file | contents |
//! |---|---|
//! | `watches` | the watches: how far each has come, and what it is sent next |
//! | `interest` | the ranges that are watched, and the search for those of a key |
//! | `room` | the number of watches of a server |

mod interest;
mod room;
mod watches;

use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Recipient, WrapFuture};
use tokio::time::Instant;

use crate::actors::io::memory::MemoryBudget;
use crate::actors::messages::clients::SessionId;
use crate::actors::messages::kv::StoreCorrupted;
use crate::actors::messages::watch::{
    AskHistory, BeginWatch, HistoryMark, HistoryNews, WatchCommand, WatchNews,
};
use crate::kv::{Corruption, WatchFilter};
use crate::protocol::{ErrorReply, WatchRequest};
use crate::types::LogIndex;
use room::Seat;
pub use room::WatchRoom;
pub use watches::WatchLimits;
use watches::{NewWatch, Port, Watches};

/// The outgoing ports of WatchHubActor.
#[derive(Clone, Debug)]
pub struct WatchHubPorts {
    /// KvActor.
    pub kv: Recipient<AskHistory>,
    /// RaftActor, which ends the node.
    pub corrupted: Recipient<StoreCorrupted>,
}

/// The actor that serves the watches of one arbiter.
pub struct WatchHubActor {
    ports: WatchHubPorts,
    watches: Watches<Recipient<WatchNews>, Seat>,
    room: WatchRoom,
    /// True while a view is under way that was asked for at once.
    is_asking: bool,
    /// The watches that begin with that view.
    asked: Vec<(BeginWatch, Seat)>,
    /// The watches that came after it was asked for.
    arriving: Vec<(BeginWatch, Seat)>,
    /// The state of the history that the hub has.
    seen: HistoryMark,
    /// True when KvActor answers as soon as there is another state of the history.
    is_told: bool,
    /// True when a turn has been asked for.
    is_turn_due: bool,
    /// True when there will be a look at silent watches.
    is_look_due: bool,
    /// True when the watches that wait for memory will try again.
    is_retry_due: bool,
    /// True when a change was found that is not what was written.
    has_ended: bool,
}

/// The reason why a cluster of an old format has no watches.
const NO_REVISIONS: &str = "a watch needs format 4 of the cluster, which is not in force yet";

/// The time after which watches that wait for memory try again.
const MEMORY_RETRY: Duration = Duration::from_millis(100);
/// The least time between two looks at silent watches.
const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(20);

impl WatchHubActor {
    /// A hub without watches. All hubs of a server share `room`.
    pub fn new(
        limits: WatchLimits,
        memory: MemoryBudget,
        room: WatchRoom,
        ports: WatchHubPorts,
    ) -> WatchHubActor {
        WatchHubActor {
            ports,
            watches: Watches::new(limits, memory),
            room,
            is_asking: false,
            asked: Vec::new(),
            arriving: Vec::new(),
            seen: HistoryMark { revision: 0, compacted: 0 },
            is_told: false,
            is_turn_due: false,
            is_look_due: false,
            is_retry_due: false,
            has_ended: false,
        }
    }
}

impl Actor for WatchHubActor {
    type Context = Context<Self>;
}

impl Handler<WatchCommand> for WatchHubActor {
    type Result = ();

    fn handle(&mut self, message: WatchCommand, ctx: &mut Context<Self>) {
        if self.has_ended {
            return;
        }
        match message {
            WatchCommand::Begin(begin) => self.on_begin(begin, ctx),
            WatchCommand::Ready { session } => self.watches.on_ready(session),
            WatchCommand::End { session } => self.on_end(session),
        }
        self.arm_turn(ctx);
    }
}

impl Handler<HistoryNews> for WatchHubActor {
    type Result = ();

    fn handle(&mut self, message: HistoryNews, ctx: &mut Context<Self>) {
        if self.has_ended {
            return;
        }
        let HistoryNews { view, last_applied, is_at_once, has_ended } = message;
        if has_ended {
            return self.end_all();
        }
        if is_at_once {
            self.is_asking = false;
        } else {
            self.is_told = false;
        }
        let beginning = if is_at_once { std::mem::take(&mut self.asked) } else { Vec::new() };
        if !self.watches.is_empty() || !beginning.is_empty() {
            self.seen = HistoryMark { revision: view.revision(), compacted: view.compacted() };
            self.watches.on_view(view);
            for (begin, seat) in beginning {
                self.begin(begin, seat, last_applied);
            }
            self.watches.forget_if_empty();
        }
        self.ask_for_arriving(ctx);
        if !self.is_told && !self.watches.is_empty() {
            self.is_told = true;
            self.ask(Some(self.seen), ctx);
        }
        self.arm_turn(ctx);
    }
}

impl WatchHubActor {
    fn ask(&self, seen: Option<HistoryMark>, ctx: &Context<Self>) {
        let reply_to = ctx.address().recipient();
        self.ports.kv.do_send(AskHistory { seen, reply_to });
    }

    fn on_begin(&mut self, begin: BeginWatch, ctx: &Context<Self>) {
        let Some(seat) = self.room.take() else {
            begin.reply_to.do_send(WatchNews::Refused(ErrorReply::Busy));
            return;
        };
        self.arriving.push((begin, seat));
        self.ask_for_arriving(ctx);
    }

    /// Asks for a view for the watches that have come, unless one is under way that may be older
    /// than their clients' questions.
    fn ask_for_arriving(&mut self, ctx: &Context<Self>) {
        if !self.is_asking && !self.arriving.is_empty() {
            self.is_asking = true;
            self.asked = std::mem::take(&mut self.arriving);
            self.ask(None, ctx);
        }
    }

    fn on_end(&mut self, session: SessionId) {
        self.watches.end(session);
        self.arriving.retain(|(begin, _)| begin.session != session);
        self.asked.retain(|(begin, _)| begin.session != session);
    }

    /// Ends all watches: this server was removed from the cluster, and another one has what comes.
    fn end_all(&mut self) {
        (self.is_asking, self.is_told) = (false, false);
        self.watches.end_all(&ErrorReply::NoLeader);
        let beginning = self.asked.drain(..).chain(self.arriving.drain(..));
        for (begin, _) in beginning {
            begin.reply_to.do_send(WatchNews::Refused(ErrorReply::NoLeader));
        }
    }

    /// Begins a watch, with the view that has just come.
    fn begin(&mut self, begin: BeginWatch, held: Seat, last_applied: LogIndex) {
        let BeginWatch { session, request, reply_to } = begin;
        let WatchRequest { keys, from, wants_previous } = request;
        if self.seen.revision == 0 {
            // A server that has just started knows nothing; an old cluster counts no revisions.
            let error = match last_applied {
                LogIndex(0) => ErrorReply::NoLeader,
                _ => ErrorReply::NotYet { sentence: NO_REVISIONS.into() },
            };
            reply_to.do_send(WatchNews::Refused(error));
            return;
        }
        let filter = WatchFilter { wants_previous, ..WatchFilter::all(keys) };
        let new = NewWatch { session, filter, from, port: reply_to, held };
        self.watches.begin(new, Instant::now());
    }

    /// Asks for a turn after all others that have something to do.
    fn arm_turn(&mut self, ctx: &mut Context<Self>) {
        if self.is_turn_due {
            return;
        }
        self.is_turn_due = true;
        let turn = tokio::task::yield_now().into_actor(self);
        ctx.spawn(turn.map(|(), actor, ctx| {
            actor.is_turn_due = false;
            match actor.watches.serve(Instant::now()) {
                Ok(true) => actor.arm_turn(ctx),
                Ok(false) => {}
                Err(corruption) => return actor.end_corrupted(&corruption),
            }
            actor.arm_timers(ctx);
        }));
    }

    /// Ends the work of this hub, because a change is not what was written. The watches are told
    /// nothing, because anything could be wrong.
    fn end_corrupted(&mut self, corruption: &Corruption) {
        self.has_ended = true;
        self.ports.corrupted.do_send(StoreCorrupted { what: corruption.to_string() });
    }

    fn arm_timers(&mut self, ctx: &mut Context<Self>) {
        if self.watches.is_short() && !self.is_retry_due {
            self.is_retry_due = true;
            ctx.run_later(MEMORY_RETRY, |actor, ctx| {
                actor.is_retry_due = false;
                actor.watches.retry_short();
                actor.arm_turn(ctx);
            });
        }
        if !self.is_look_due
            && let Some(at) = self.watches.next_look()
        {
            self.is_look_due = true;
            let wait = at.saturating_duration_since(Instant::now()).max(LOOK_INTERVAL_MIN);
            ctx.run_later(wait, |actor, ctx| {
                actor.is_look_due = false;
                actor.watches.look_for_silence(Instant::now());
                actor.arm_timers(ctx);
            });
        }
    }
}

impl Port for Recipient<WatchNews> {
    fn send(&self, news: WatchNews) {
        // A session is sent one text at a time. One that is gone has told so, or is about to.
        self.do_send(news);
    }
}

#[cfg(test)]
mod tests;
