//! The acknowledgements that nodes remember for each other (docs/adr/0024), as far as the messages
//! show it: a node that has answered a StateCheck has read the table in it.

use std::collections::BTreeMap;

use crate::raft::{StateCheck, StateCheckResponse};
use crate::types::{LogIndex, LogPosition, NodeId, Term};

/// All that the current lives of nodes remember.
#[derive(Default)]
pub(super) struct Memories {
    /// The tables that a leader has sent to a peer, by the term and the index of the request.
    sent: BTreeMap<(NodeId, Term, LogIndex), Vec<(NodeId, LogPosition)>>,
    /// The furthest acknowledgement of the second node that the first one remembers.
    remembered: BTreeMap<(NodeId, NodeId), LogPosition>,
}

impl Memories {
    /// A node starts, and remembers nothing.
    pub fn on_start(&mut self, node: NodeId) {
        self.remembered.retain(|(of, _), _| *of != node);
    }

    /// A leader sends a table to `to`. It knows by then what is in it.
    pub fn on_state_check(&mut self, leader: NodeId, to: NodeId, term: Term, check: &StateCheck) {
        self.learn(leader, &check.acknowledged);
        self.sent.insert((to, term, check.index), check.acknowledged.clone());
    }

    /// A node has answered the request, so that it has read the table.
    pub fn on_response(&mut self, from: NodeId, term: Term, response: StateCheckResponse) {
        if let Some(table) = self.sent.get(&(from, term, response.index)).cloned() {
            self.learn(from, &table);
        }
    }

    fn learn(&mut self, node: NodeId, table: &[(NodeId, LogPosition)]) {
        for (peer, acknowledged) in table.iter().filter(|(peer, _)| *peer != node) {
            let known = self.remembered.entry((node, *peer)).or_default();
            *known = (*known).max(*acknowledged);
        }
    }

    /// The furthest acknowledgement of `peer` that `node` remembers.
    pub fn of(&self, node: NodeId, peer: NodeId) -> LogPosition {
        self.remembered.get(&(node, peer)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
