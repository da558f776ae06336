//! The entries that a leader sends to a peer before their acknowledgement stay within the window.

use std::collections::{BTreeMap, VecDeque};

use super::disks::{Finding, ensure};
use crate::config::Limits;
use crate::raft::{AppendEntries, AppendEntriesResponse, AppendResult};
use crate::testing::simulation::checks::violation::Check;
use crate::types::{Entry, LogIndex, Term};

/// The window of each connection.
pub(super) struct Windows {
    entries_max: usize,
    bytes_max: u64,
    connections: BTreeMap<u64, Window>,
}

/// The requests that were sent in a term over one connection since the leader last probed, and
/// that the peer has not acknowledged. The leader learns of an acknowledgement later than this
/// check, so it never counts fewer than these.
#[derive(Default)]
struct Window {
    term: Term,
    next_index: LogIndex,
    /// The peer has acknowledged all entries up to this index, including those that are sent
    /// again.
    acknowledged: LogIndex,
    requests: VecDeque<Request>,
}

struct Request {
    last_index: LogIndex,
    entries: usize,
    bytes: u64,
}

impl Windows {
    pub fn new(limits: &Limits) -> Windows {
        Windows {
            entries_max: limits.peer_inflight_entries_max,
            bytes_max: limits.peer_inflight_bytes_max,
            connections: BTreeMap::new(),
        }
    }

    /// One request may go beyond the window; none is sent while the window is full. A probe does
    /// not count: its entries are sent again after its answer. A log that is compacted to the
    /// probe's end meanwhile goes on from there.
    pub fn on_request(&mut self, connection: u64, term: Term, request: &AppendEntries) -> Finding {
        let window = self.connections.entry(connection).or_default();
        if window.term != term {
            *window = Window { term, ..Window::default() };
        }
        if window.next_index != request.prev.index.next() {
            window.requests.clear();
        }
        window.next_index = LogIndex(request.prev.index.0 + request.entries.len() as u64).next();
        let Some(last) = request.entries.last() else { return Ok(()) };
        window.requests.retain(|request| request.last_index > window.acknowledged);
        let counted = || window.requests.iter().skip(1);
        let entries: usize = counted().map(|request| request.entries).sum();
        let bytes: u64 = counted().map(|request| request.bytes).sum();
        window.requests.push_back(Request {
            last_index: last.index,
            entries: request.entries.len(),
            bytes: request.entries.iter().map(Entry::weight_bytes).sum(),
        });
        let has_room = entries < self.entries_max && bytes < self.bytes_max;
        ensure(has_room, Check::Bounds, || {
            format!(
                "entries up to {} are sent in term {term} while {entries} of {bytes} bytes are \
                 under way",
                last.index
            )
        })
    }

    pub fn on_response(&mut self, connection: u64, term: Term, response: AppendEntriesResponse) {
        let Some(window) = self.connections.get_mut(&connection) else { return };
        if let AppendResult::Success { match_index } = response.result
            && window.term == term
        {
            window.acknowledged = window.acknowledged.max(match_index);
        }
    }
}
