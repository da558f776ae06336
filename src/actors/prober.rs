//! ProberActor: measures the time that messages wait in the mailboxes of the other actors.
//!
//! | in | from | out | to |
//! | --- | --- | --- | --- |
//! | a timer | | [`Probe`] | RaftActor, KvActor, LogActor, the snapshot actors |
//!
//! It owns nothing. It runs on the main arbiter, and only on a node with an HTTP port, because
//! nobody else sees what it measures. A mailbox has one probe at most.

use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Recipient};

use crate::actors::messages::lifecycle::Probe;
use crate::metrics::MailboxMetrics;

/// The time between two probes of a mailbox.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);

/// A mailbox that is probed.
pub struct ProbedMailbox {
    /// The actor.
    pub actor: Recipient<Probe>,
    /// The measurements of its mailbox.
    pub metrics: MailboxMetrics,
}

/// The actor that sends probes.
pub struct ProberActor {
    mailboxes: Vec<ProbedMailbox>,
}

impl ProberActor {
    /// Probes these mailboxes, until the first of their actors has ended.
    pub fn new(mailboxes: Vec<ProbedMailbox>) -> ProberActor {
        ProberActor { mailboxes }
    }

    fn probe(&mut self, ctx: &mut Context<Self>) {
        if self.mailboxes.iter().any(|mailbox| !mailbox.actor.connected()) {
            // The node stops.
            ctx.stop();
            return;
        }
        for ProbedMailbox { actor, metrics } in &self.mailboxes {
            if metrics.begin() {
                actor.do_send(Probe { mailbox: metrics.clone() });
            }
        }
    }
}

impl Actor for ProberActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(PROBE_INTERVAL, ProberActor::probe);
    }
}

#[cfg(test)]
mod tests;
