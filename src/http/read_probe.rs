//! The linearizable read that shows that a server is ready.
//!
//! One read is under way at a time, and all who ask meanwhile, or shortly after it, share its
//! outcome: so a flood of probes costs the node ten reads a second.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::Door;
use crate::actors::messages::clients::ClientReply;
use crate::actors::messages::door::Ask;
use crate::kv::Query;
use crate::metrics::RaftMetrics;
use crate::protocol::{ClientRequest, Refusal};
use crate::types::Format;

/// The time in which the read of a ready server is answered.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(1);
/// The time for which the outcome of a read stands.
const OUTCOME_AGE_MAX: Duration = Duration::from_millis(100);
/// The key that is read. It need not be there.
const KEY: &[u8] = b"readyz";

/// The outcome of the last read, and when it came.
type LastRead = Option<(Instant, Result<(), String>)>;

/// Reads through the door of a node.
pub(super) struct ReadProbe {
    door: Arc<OnceLock<Door>>,
    raft: RaftMetrics,
    last: Mutex<LastRead>,
}

impl ReadProbe {
    pub(super) fn new(door: Arc<OnceLock<Door>>, raft: RaftMetrics) -> ReadProbe {
        ReadProbe { door, raft, last: Mutex::new(None) }
    }

    /// Returns when the read of this moment is answered.
    ///
    /// # Errors
    /// The reason why there is no answer, as a clause.
    pub(super) async fn check(&self) -> Result<(), String> {
        let mut last = self.last.lock().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < OUTCOME_AGE_MAX
        {
            return outcome.clone();
        }
        let outcome = self.read().await;
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }

    async fn read(&self) -> Result<(), String> {
        let Some(door) = self.door.get() else {
            return Err("this server still reads its files".to_owned());
        };
        let query = Query::Get { key: Bytes::from_static(KEY), at: 0 };
        let ask = door.asks.send(Ask { request: ClientRequest::ReadAnywhere(query) });
        match timeout(READ_TIMEOUT, ask).await {
            Ok(Ok(Ok(reply))) => self.judge(reply),
            Ok(Ok(Err(error))) => Err(error.to_string()),
            Ok(Err(error)) => Err(format!("this server stops ({error})")),
            Err(_) => {
                Err(format!("no answer within {} ms: {}", READ_TIMEOUT.as_millis(), self.facts()))
            }
        }
    }

    fn judge(&self, reply: ClientReply) -> Result<(), String> {
        match reply {
            ClientReply::Answer(_) | ClientReply::Scan(..) => Ok(()),
            // Before that format a server that does not lead redirects its clients, and can do no
            // more for them.
            ClientReply::Refused(Refusal::NotLeader { leader: Some(_) })
                if self.raft.format() < u64::from(Format::REVISIONS.0) =>
            {
                Ok(())
            }
            ClientReply::Refused(Refusal::Busy) => Err("too many commands wait".to_owned()),
            _ => Err(format!("no leader has confirmed it: {}", self.facts())),
        }
    }

    /// The facts by which a person sees what is wrong.
    fn facts(&self) -> String {
        let (commit_index, last_applied) = self.raft.positions();
        let leader = self.raft.leader_id().map_or("none".to_owned(), |id| id.to_string());
        format!("leader={leader} commit_index={commit_index} last_applied={last_applied}")
    }
}
