//! Snapshots on their way: what is sent is what the sender's disk has, and how many
//! transfers came to what end.

use std::collections::BTreeMap;

use super::{Check, Disks, Finding, ensure};
use crate::raft::{InstallSnapshot, InstallSnapshotResponse};
use crate::types::{NodeId, SnapshotId};

/// How many transfers there were of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferCounts {
    /// A leader has sent a first piece of a snapshot.
    pub begun: u64,
    /// Those whose first piece was not the first of the file: another transfer, perhaps
    /// of another leader or to an earlier life, had brought those before.
    pub resumed: u64,
    /// The receiver has said that it has all of it.
    pub installed: u64,
    /// Another snapshot was sent before that.
    pub abandoned: u64,
}

/// By leader and receiver.
#[derive(Default)]
pub(super) struct Transfers {
    under_way: BTreeMap<(NodeId, NodeId), SnapshotId>,
    pub counts: TransferCounts,
}

impl Transfers {
    pub fn on_piece(
        &mut self,
        from: NodeId,
        to: NodeId,
        piece: &InstallSnapshot,
        disks: &mut Disks,
    ) -> Finding {
        if piece.bytes.is_empty() {
            return Ok(()); // it only asks
        }
        match self.under_way.insert((from, to), piece.snapshot) {
            Some(known) if known == piece.snapshot => {}
            known => {
                self.counts.begun += 1;
                self.counts.abandoned += u64::from(known.is_some());
                self.counts.resumed += u64::from(piece.offset > 0);
            }
        }
        // The two newest are kept: one that is not there any more may yet be on its way.
        let is_there = disks.of(from).has_snapshot(piece.snapshot);
        let is_right = disks.of(from).has_piece(piece.snapshot, piece.offset, &piece.bytes);
        ensure(!is_there || is_right, Check::Snapshot, || {
            format!(
                "n{from} sends {} bytes of {:?} that are not those at {}",
                piece.bytes.len(),
                piece.snapshot,
                piece.offset
            )
        })
    }

    pub fn on_response(&mut self, to: NodeId, from: NodeId, response: InstallSnapshotResponse) {
        let known = self.under_way.get(&(to, from)).map(|snapshot| snapshot.last);
        if response.is_installed && known == Some(response.last) {
            self.under_way.remove(&(to, from));
            self.counts.installed += 1;
        }
    }
}
