//! The runs of nodes, as they introduce themselves to each other, and the acknowledgements that
//! leaders tell their followers of (docs/adr/0024).

use super::cluster::Cluster;
use crate::raft::Introduction;
use crate::types::{BootId, FormatRange, Incarnation, NodeId};

impl Cluster {
    /// The run that begins with the next start of this node.
    pub(super) fn boot_after(&self, id: NodeId) -> BootId {
        BootId(1000 * id.0 + self.nodes[&id].lives + 1)
    }

    /// Every node connects to every other that it can reach.
    pub(super) fn introduce_all(&mut self) {
        for id in self.ids() {
            for peer in self.ids() {
                if id != peer && self.is_up(peer) && !self.is_cut(peer, id) {
                    self.introduce(id, peer);
                }
            }
        }
    }

    /// `peer` connects to `id`.
    pub(super) fn introduce(&mut self, id: NodeId, peer: NodeId) {
        if !self.has_introductions {
            return;
        }
        let introduction = Introduction {
            formats: FormatRange::OWN,
            binary: "0.2.0".to_string(),
            incarnation: Incarnation(u128::from(peer.0)),
            boot: BootId(1000 * peer.0 + self.nodes[&peer].lives),
            cluster_id: None,
            is_held: false,
        };
        self.raft_mut(id).on_peer_attached(peer, Some(introduction));
        self.settle(id);
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
}
