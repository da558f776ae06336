//! The answers that a slow node still owes: those of its store and of its log, and the
//! ends of pauses between requests.

use super::cluster::Cluster;
use crate::types::{Entry, LogIndex, NodeId, Term};

/// Maximum number of entries in one page of the log.
const PAGE_ENTRIES_MAX: u64 = 3;

/// An answer that a slow store or log still owes, or a pause that is not over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    Page { from: LogIndex, to: LogIndex },
    Fetch { peer: NodeId, term: Term, ticket: u64, from: LogIndex, to: LogIndex },
    Applied(LogIndex),
    Digest(LogIndex),
    Pause { peer: NodeId, term: Term },
}

/// The digest of the store that has applied these entries.
fn digest_of(applied: &[Entry]) -> u64 {
    applied.iter().map(|entry| (entry.index.0 << 8 | entry.term.0).wrapping_mul(0x9e37_79b9)).sum()
}

impl Cluster {
    /// Reads the digest that the core waits for, if the store has applied its entry.
    pub(super) fn read_wanted_digest(&mut self, id: NodeId) {
        let node = self.node_mut(id);
        let last_applied = LogIndex(node.applied.len() as u64);
        if let Some(index) = node.wanted_digest.take_if(|index| *index <= last_applied) {
            node.pending.push_back(Pending::Digest(index));
        }
    }

    /// Gives the oldest answer; false when there is none.
    pub(super) fn complete_pending(&mut self, id: NodeId) -> bool {
        let node = self.node_mut(id);
        let Some(pending) = node.pending.pop_front() else { return false };
        let page = |from, to| node.disk.log().page(from, to, PAGE_ENTRIES_MAX);
        match pending {
            Pending::Page { from, to } => {
                let entries = page(from, to);
                self.raft_mut(id).on_entries_read(entries);
            }
            Pending::Fetch { peer, term, ticket, from, to } => {
                let is_current = node.progress.get(&peer).is_some_and(|p| p.term() == term);
                if is_current {
                    let entries = page(from, to);
                    if let Some(progress) = node.progress.get_mut(&peer) {
                        progress.on_entries_read(ticket, entries);
                    }
                }
            }
            Pending::Applied(last_applied) => {
                let digest = digest_of(&node.applied[..last_applied.0 as usize]);
                self.raft_mut(id).on_applied(last_applied, digest);
            }
            Pending::Digest(index) => {
                let digest = digest_of(&node.applied[..index.0 as usize]);
                self.raft_mut(id).on_digest_read(index, digest);
            }
            Pending::Pause { peer, term } => {
                let progress = node.progress.get_mut(&peer).filter(|p| p.term() == term);
                if let Some(progress) = progress {
                    progress.on_pause_over();
                }
            }
        }
        true
    }
}
