//! The times of a session's commands: when each was sent to RaftActor, and by which name it is
//! counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::actors::messages::clients::ClientReply;
use crate::kv::Outcome;
use crate::metrics::ClientMetrics;
use crate::protocol::{ClientRequest, Refusal};

/// The commands of a session that are under way. Its window bounds their number.
pub(super) struct RequestTimes {
    metrics: ClientMetrics,
    begun: BTreeMap<u64, (&'static str, Duration)>,
}

impl RequestTimes {
    pub(super) fn new(metrics: ClientMetrics) -> RequestTimes {
        RequestTimes { metrics, begun: BTreeMap::new() }
    }

    /// Commands are sent to RaftActor. Returns the time.
    pub(super) fn begin(&mut self, requests: &[(u64, ClientRequest)]) -> Duration {
        let now = self.metrics.now();
        let begun = requests.iter().map(|(slot, request)| (*slot, (request.name(), now)));
        self.begun.extend(begun);
        now
    }

    /// Commands are answered, or refused.
    pub(super) fn end(&mut self, slots: impl Iterator<Item = u64>) {
        let now = self.metrics.now();
        for slot in slots {
            if let Some((name, began)) = self.begun.remove(&slot) {
                self.metrics.on_answered(name, now.saturating_sub(began));
            }
        }
    }

    /// Counts the commands that came to nothing, or to nothing that is known.
    pub(super) fn count_failures<'a>(&self, replies: impl Iterator<Item = &'a ClientReply>) {
        self.metrics.on_failed(replies.filter(|reply| is_failure(reply)).count());
    }
}

/// True of a reply that says that the server did not execute a command, or not as far as is known.
/// A client that is sent on to the leader has lost nothing.
fn is_failure(reply: &ClientReply) -> bool {
    match reply {
        ClientReply::Refused(Refusal::NotLeader { leader: Some(_) }) => false,
        ClientReply::Refused(_) | ClientReply::TimedOut => true,
        ClientReply::Outcome(outcome) => matches!(outcome, Outcome::Full | Outcome::Busy),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
