//! The moments of commands on their way through RaftActor, and the judgement of those that end here
//! without having been executed. KvActor judges the others (docs/adr/0036).

use std::time::Duration;

use super::batches::Batches;
use crate::actors::io::operation_times::OperationTimes;
use crate::actors::io::slow_operations::{OperationEnd, SlowOperations, Subject};
use crate::actors::messages::clients::{ClientReply, ReplyHandle};
use crate::actors::messages::waiters::Waiters;
use crate::kv::Query;
use crate::protocol::{ClientRequest, Refusal};
use crate::types::LogIndex;

/// The batches under way, and the time.
#[derive(Default)]
pub(super) struct Moments {
    pub(super) slow: SlowOperations,
    /// The time of the last event: no moment needs a look at the clock of its own.
    pub(super) now: Duration,
    pub(super) batches: Batches,
}

impl Moments {
    /// Notes the way of the entry at `index` so far.
    pub(super) fn note_batch(&self, index: LogIndex, times: &mut OperationTimes) {
        let batch = self.batches.find(index);
        let handed_over_at = batch.map(|batch| batch.handed_over_at);
        times.propose(handed_over_at, batch.and_then(|batch| batch.durable_at));
    }

    /// The commands of this entry end here.
    pub(super) fn end_write(&self, waiters: &Waiters, end: OperationEnd, subject: Subject<'_>) {
        for times in waiters.times() {
            self.slow.judge(times, self.now, end, subject);
        }
    }

    /// A read ends here.
    pub(super) fn end_read(&self, reply_handle: &ReplyHandle, end: OperationEnd, query: &Query) {
        self.slow.judge(&reply_handle.times, self.now, end, Subject::Read(query));
    }

    /// A command that waited is refused with this. Its content is gone.
    pub(super) fn end_refused(&self, reply_handle: &ReplyHandle, refusal: &ClientReply) {
        self.slow.judge(&reply_handle.times, self.now, end_of(refusal), Subject::Unknown);
    }

    /// A command that had not begun its way has waited for as long as it may.
    pub(super) fn end_request(&self, reply_handle: &ReplyHandle, request: &ClientRequest) {
        let subject = match request {
            ClientRequest::Write(command) | ClientRequest::WriteAnywhere(command) => {
                Subject::Write(command)
            }
            ClientRequest::Read(query)
            | ClientRequest::ReadAnywhere(query)
            | ClientRequest::ReadApplied(query) => Subject::Read(query),
            _ => Subject::Unknown,
        };
        self.slow.judge(&reply_handle.times, self.now, OperationEnd::TimedOut, subject);
    }
}

/// The end of a command that is answered with this, and was not executed as far as is known.
pub(super) fn end_of(reply: &ClientReply) -> OperationEnd {
    match reply {
        ClientReply::TimedOut | ClientReply::Refused(Refusal::Timeout) => OperationEnd::TimedOut,
        ClientReply::Refused(Refusal::LeadershipLost) => OperationEnd::Lost,
        _ => OperationEnd::Refused,
    }
}
