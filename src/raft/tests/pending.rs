//! The answers that a slow node still owes: those of its store and of its log, and the
//! ends of pauses between requests.

use super::cluster::Cluster;
use crate::types::{LogIndex, NodeId, Term};

/// Maximum number of entries in one page of the log.
const PAGE_ENTRIES_MAX: u64 = 3;

/// An answer that a slow store or log still owes, or a pause that is not over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pending {
    Page { from: LogIndex, to: LogIndex },
    Fetch { peer: NodeId, term: Term, ticket: u64, from: LogIndex, to: LogIndex },
    Applied(LogIndex),
    Pause { peer: NodeId, term: Term },
}

impl Cluster {
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
            Pending::Applied(last_applied) => self.raft_mut(id).on_applied(last_applied, 0),
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
