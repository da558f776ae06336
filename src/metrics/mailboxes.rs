//! The time that messages wait in the mailboxes of actors.
//!
//! A mailbox of actix does not tell how much is in it. So a probe is sent through each of them
//! once a second, which waits behind all that is there: its time is what the depth would only hint
//! at.

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::durations::Durations;
use super::measures::system_clock;
use super::moment::Moment;
use crate::clock::Clock;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ActorLabel {
    actor: &'static str,
}

/// The measurements of one mailbox. Clones share the numbers.
#[derive(Clone)]
pub struct MailboxMetrics {
    clock: Arc<dyn Clock>,
    wait: Durations,
    /// The time at which the probe was sent that is on its way.
    sent_at: Moment,
}

impl MailboxMetrics {
    /// Notes that a probe is about to be sent. Returns false when the last one has not arrived: an
    /// actor that is stuck gets one probe and no more.
    pub fn begin(&self) -> bool {
        self.sent_at.begin(self.clock.monotonic())
    }

    /// Notes that the actor has got the probe.
    pub fn end(&self) {
        if let Some(sent_at) = self.sent_at.take() {
            self.wait.observe(self.clock.monotonic().saturating_sub(sent_at));
        }
    }
}

/// The measurements of all mailboxes. Clones share the numbers.
#[derive(Clone)]
pub struct MailboxesMetrics {
    clock: Arc<dyn Clock>,
    waits: Family<ActorLabel, Durations>,
}

impl MailboxesMetrics {
    pub(super) fn new(clock: Arc<dyn Clock>) -> MailboxesMetrics {
        MailboxesMetrics { clock, waits: Family::default() }
    }

    /// The mailbox of the actor of this name, of which a node has one.
    pub fn of(&self, actor: &'static str) -> MailboxMetrics {
        MailboxMetrics {
            clock: Arc::clone(&self.clock),
            wait: self.waits.get_or_create_owned(&ActorLabel { actor }),
            sent_at: Moment::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Time that a message waits in the mailbox of an actor, probed once a second";
        registry.register("actor_mailbox_wait_seconds", help, self.waits.clone());
    }
}

impl Default for MailboxesMetrics {
    fn default() -> MailboxesMetrics {
        MailboxesMetrics::new(system_clock())
    }
}
