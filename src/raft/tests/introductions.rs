//! Heartbeats, the acknowledgements that travel with them, and the lines that come back
//! (docs/adr/0024).

use super::cluster::{Cluster, HEARTBEAT_TICKS};
use crate::types::NodeId;

impl Cluster {
    /// Every node connects to every other that it can reach.
    pub(super) fn introduce_all(&mut self) {
        for of in self.ids() {
            for to in self.ids() {
                if of != to && self.is_up(of) && !self.is_cut(of, to) {
                    self.introduce(of, to);
                }
            }
        }
    }

    /// Every peer of a leader hears what all have acknowledged to it.
    pub(super) fn share_acknowledgements(&mut self, leader: NodeId) {
        let term = self.raft(leader).term();
        let table = self.raft_mut(leader).acknowledged_table();
        for id in self.ids() {
            if self.is_up(id) && !self.is_cut(leader, id) && self.raft(id).term() == term {
                self.raft_mut(id).on_acknowledged_table(&table);
            }
        }
    }

    /// Lets the leader send a heartbeat to all peers.
    pub(super) fn send_heartbeat(&mut self, id: NodeId) {
        for _ in 0..HEARTBEAT_TICKS {
            self.tick(id);
        }
    }

    /// Lets the leader send a heartbeat, and delivers it.
    pub(super) fn heartbeat(&mut self, id: NodeId) {
        self.send_heartbeat(id);
        self.deliver_all();
    }
}
