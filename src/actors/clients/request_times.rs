//! The times of a session's commands: when each was sent to RaftActor, and by which name it is
//! counted.

use std::collections::VecDeque;
use std::time::Duration;

use crate::actors::messages::clients::ClientReply;
use crate::kv::Outcome;
use crate::metrics::ClientMetrics;
use crate::protocol::{ClientRequest, Refusal};

/// The number of commands for which a session keeps room while none is under way.
const KEPT_ROOM: usize = 16;

/// The commands of a session that are under way. Its window bounds their number.
pub(super) struct RequestTimes {
    metrics: ClientMetrics,
    /// In the order of their slots, which is mostly that of their answers: with a map each command
    /// of a client that sends one at a time took and freed memory.
    begun: VecDeque<Begun>,
}

struct Begun {
    slot: u64,
    name: &'static str,
    at: Duration,
}

impl RequestTimes {
    pub(super) fn new(metrics: ClientMetrics) -> RequestTimes {
        RequestTimes { metrics, begun: VecDeque::new() }
    }

    /// Commands are sent to RaftActor. Returns the time.
    pub(super) fn begin(&mut self, requests: &[(u64, ClientRequest)]) -> Duration {
        let at = self.metrics.now();
        for (slot, request) in requests {
            let place = self.begun.partition_point(|before| before.slot < *slot);
            self.begun.insert(place, Begun { slot: *slot, name: request.name(), at });
        }
        at
    }

    /// Commands are answered, or refused.
    pub(super) fn end(&mut self, slots: impl Iterator<Item = u64>) {
        let now = self.metrics.now();
        for slot in slots {
            let place = self.begun.binary_search_by_key(&slot, |begun| begun.slot);
            if let Some(Begun { name, at, .. }) = place.ok().and_then(|nth| self.begun.remove(nth))
            {
                self.metrics.on_answered(name, now.saturating_sub(at));
            }
        }
        if self.begun.is_empty() && self.begun.capacity() > KEPT_ROOM {
            self.begun = VecDeque::new();
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
