//! The times of a session's commands: when each was sent to RaftActor, and by which name it is
//! counted.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kv::{self, Query};
use crate::metrics::ClientMetrics;
use crate::protocol::ClientRequest;

/// The commands of a session that are under way. Its window bounds their number.
pub(super) struct RequestTimes {
    metrics: ClientMetrics,
    begun: BTreeMap<u64, (&'static str, Duration)>,
}

impl RequestTimes {
    pub(super) fn new(metrics: ClientMetrics) -> RequestTimes {
        RequestTimes { metrics, begun: BTreeMap::new() }
    }

    /// Commands are sent to RaftActor.
    pub(super) fn begin(&mut self, requests: &[(u64, ClientRequest)]) {
        let now = self.metrics.now();
        let begun = requests.iter().map(|(slot, request)| (*slot, (name_of(request), now)));
        self.begun.extend(begun);
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
}

/// The name of a command, as docs/protocol.md has it.
fn name_of(request: &ClientRequest) -> &'static str {
    match request {
        ClientRequest::Write(command) | ClientRequest::WriteAnywhere(command) => {
            command.first().map_or("other", |operation| kv::operation_name(*operation))
        }
        ClientRequest::Read(query)
        | ClientRequest::ReadAnywhere(query)
        | ClientRequest::ReadApplied(query) => match query {
            Query::Get { .. } => "get",
            Query::GetMeta { .. } => "getm",
            Query::Scan { .. } => "scan",
            Query::Range(_) => "range",
            Query::Transaction(_) => "commit",
            _ => "lease",
        },
        ClientRequest::Renew { .. } => "renew",
        _ => "other",
    }
}
