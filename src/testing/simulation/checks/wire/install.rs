//! Checks that each chunk of a snapshot that a leader sends is what its disk has, and counts the
//! snapshots that are sent.

use std::collections::{BTreeMap, BTreeSet};

use super::disks::{Disks, Finding, ensure};
use crate::raft::{InstallSnapshot, InstallSnapshotResponse};
use crate::testing::simulation::checks::violation::Check;
use crate::types::{NodeId, SnapshotId};

/// The numbers of snapshot installs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstallCounts {
    /// A leader has sent the first chunk of a snapshot to a follower.
    pub begun: u64,
    /// The first chunk was not the first of the file: an earlier install, perhaps by another
    /// leader or in an earlier life of the follower, had brought the chunks before it.
    pub resumed: u64,
    /// The follower has said that it has the whole snapshot.
    pub installed: u64,
    /// The leader has begun to send another snapshot before that.
    pub abandoned: u64,
    /// Bytes that followers have said to have of snapshots, each byte of a snapshot once for each
    /// follower, however often it was sent.
    pub bytes: u64,
}

/// The installs that are under way, by leader and follower.
#[derive(Default)]
pub(super) struct Installs {
    under_way: BTreeMap<(NodeId, NodeId), SnapshotId>,
    /// The bytes of each snapshot that a follower has ever said to have.
    received: BTreeMap<(NodeId, SnapshotId), u64>,
    pub counts: InstallCounts,
    /// The nodes that were sent a snapshot by one whose store may differ from that of all others:
    /// so may theirs.
    pub misled: BTreeSet<NodeId>,
}

impl Installs {
    pub fn on_chunk(
        &mut self,
        from: NodeId,
        to: NodeId,
        chunk: &InstallSnapshot,
        disks: &mut Disks,
    ) -> Finding {
        if chunk.bytes.is_empty() {
            return Ok(()); // it only asks how far the follower is
        }
        if disks.of(from).may_differ() {
            disks.of(to).on_divergence(true);
            self.misled.insert(to);
        }
        match self.under_way.insert((from, to), chunk.snapshot) {
            Some(known) if known == chunk.snapshot => {}
            known => {
                self.counts.begun += 1;
                self.counts.abandoned += u64::from(known.is_some());
                self.counts.resumed += u64::from(chunk.offset > 0);
            }
        }
        // A node keeps its two newest snapshots; chunks of an older one may still be sent.
        let is_there = disks.of(from).has_snapshot(chunk.snapshot);
        let is_right = disks.of(from).has_chunk(chunk.snapshot, chunk.offset, &chunk.bytes);
        ensure(!is_there || is_right, Check::Snapshot, || {
            format!(
                "n{from} sends {} bytes of {:?} that are not those at {}",
                chunk.bytes.len(),
                chunk.snapshot,
                chunk.offset
            )
        })
    }

    pub fn on_response(&mut self, to: NodeId, from: NodeId, response: InstallSnapshotResponse) {
        let known = self.under_way.get(&(to, from)).copied();
        let Some(snapshot) = known.filter(|snapshot| snapshot.last == response.last) else {
            return;
        };
        let received = self.received.entry((from, snapshot)).or_default();
        self.counts.bytes += response.received.saturating_sub(*received);
        *received = response.received.max(*received);
        if response.is_installed {
            self.under_way.remove(&(to, from));
            self.counts.installed += 1;
        }
    }
}

#[cfg(test)]
mod tests;
