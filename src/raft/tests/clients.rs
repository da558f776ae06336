//! The clients of a cluster: each node has one session that writes and reads, and one that only
//! reads.

use super::cluster::{Cluster, command};
use crate::raft::{NotLeader, ReadToken};
use crate::types::{LogIndex, LogPosition, NodeId};

/// A session of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Session {
    Writer,
    Reader,
}

impl Cluster {
    pub(super) fn propose(&mut self, id: NodeId, text: &str) -> Result<LogIndex, NotLeader> {
        let index = self.propose_unsettled(id, text);
        self.settle(id);
        index
    }

    /// A proposal in the same batch as the next event.
    pub(super) fn propose_unsettled(
        &mut self,
        id: NodeId,
        text: &str,
    ) -> Result<LogIndex, NotLeader> {
        self.update_clock(id);
        let index = self.raft_mut(id).propose(command(text))?;
        let term = self.raft(id).term();
        let node = self.node_mut(id);
        node.last_write = index;
        node.waiting.insert(LogPosition { term, index });
        Ok(index)
    }

    /// A read of the session that writes, after its last write.
    pub(super) fn read(&mut self, id: NodeId) -> Result<ReadToken, NotLeader> {
        let token = self.read_unsettled(id);
        self.settle(id);
        token
    }

    /// A read of the session that writes, in the same batch as the next event.
    pub(super) fn read_unsettled(&mut self, id: NodeId) -> Result<ReadToken, NotLeader> {
        let after = self.nodes[&id].last_write;
        self.read_after(id, Session::Writer, after)
    }

    /// A read of the session that only reads, in the same batch as the next event.
    pub(super) fn read_only_unsettled(&mut self, id: NodeId) -> Result<ReadToken, NotLeader> {
        self.read_after(id, Session::Reader, LogIndex(0))
    }

    fn read_after(
        &mut self,
        id: NodeId,
        session: Session,
        after: LogIndex,
    ) -> Result<ReadToken, NotLeader> {
        self.next_token += 1;
        let token = ReadToken(self.next_token);
        self.update_clock(id);
        self.raft_mut(id).read(token, after)?;
        let place = self.raft(id).last_log().index;
        self.oracle.on_read(token, (id, session), place, after);
        Ok(token)
    }

    /// The time limit of one of the reads that wait at a node is over.
    pub(super) fn time_out_read(&mut self, id: NodeId, choice: usize) {
        let Some(token) = self.oracle.time_out_read(id, choice) else { return };
        self.raft_mut(id).cancel_read(token);
        self.say(|| format!("n{id} read #{} timed out", token.0));
        self.settle(id);
    }
}
