//! What is durable, what is on its way to the disk, and the messages that wait
//! for it.
//!
//! A node may say nothing that depends on what its disk could still forget
//! (Figure 2: "Updated on stable storage before responding to RPCs"). Messages
//! are therefore handed in here with the number of the write that they wait for.

use std::collections::VecDeque;

use super::effect::PersistSeq;
use super::rpc::Envelope;
use crate::types::{LogIndex, Term};

struct InFlight {
    seq: PersistSeq,
    /// The end of the log as of this write, lowered when a later truncation
    /// makes what it writes worthless (bugs.md B20).
    last_index: LogIndex,
    age_ticks: u32,
}

pub(super) struct Persistence {
    /// Up to here the log is durable.
    persisted_index: LogIndex,
    last_seq: PersistSeq,
    in_flight: VecDeque<InFlight>,
    deferred: VecDeque<(PersistSeq, Envelope)>,
}

impl Persistence {
    pub(super) fn new(persisted_index: LogIndex) -> Persistence {
        Persistence {
            persisted_index,
            last_seq: PersistSeq::default(),
            in_flight: VecDeque::new(),
            deferred: VecDeque::new(),
        }
    }

    pub(super) fn persisted_index(&self) -> LogIndex {
        self.persisted_index
    }

    /// The number that the next write will have.
    pub(super) fn next_seq(&self) -> PersistSeq {
        PersistSeq(self.last_seq.0 + 1)
    }

    /// The number of the last write that was started.
    pub(super) fn last_seq(&self) -> PersistSeq {
        self.last_seq
    }

    /// Starts a write that brings the log to `last_index`.
    pub(super) fn start(&mut self, last_index: LogIndex) -> PersistSeq {
        self.last_seq = self.next_seq();
        self.in_flight.push_back(InFlight { seq: self.last_seq, last_index, age_ticks: 0 });
        self.last_seq
    }

    /// True when everything up to `seq` is durable.
    pub(super) fn is_done(&self, seq: PersistSeq) -> bool {
        self.in_flight.front().map_or(self.last_seq >= seq, |first| first.seq > seq)
    }

    /// Holds a message back until `seq` is durable. Of answers to the leader that say
    /// the same, only the last is kept: a silent disk does not stop its heartbeats.
    pub(super) fn defer(&mut self, seq: PersistSeq, envelope: Envelope) {
        if let Some((waits_for, last)) = self.deferred.back_mut()
            && *waits_for == seq
            && last.is_superseded_by(&envelope)
        {
            *last = envelope;
        } else {
            self.deferred.push_back((seq, envelope));
        }
    }

    /// The entries from `index` on are no longer part of the log: neither what is
    /// durable nor what is on its way counts from there.
    pub(super) fn truncate_from(&mut self, index: LogIndex) {
        self.persisted_index = self.persisted_index.min(index.prev());
        if !mutant!(B20) {
            for write in &mut self.in_flight {
                write.last_index = write.last_index.min(index.prev());
            }
        }
    }

    /// A durable snapshot has taken the place of the whole log: it ends at `index`,
    /// and what is on its way to the disk is no longer part of it (bugs.md B54).
    pub(super) fn reset(&mut self, index: LogIndex) {
        self.persisted_index = index;
        if !mutant!(B54) {
            for write in &mut self.in_flight {
                write.last_index = LogIndex(0);
            }
        }
    }

    /// A write is durable, and with it all before: returns the messages that may
    /// go now. One of an older term is dropped: its promise was overtaken.
    pub(super) fn complete(&mut self, seq: PersistSeq, current_term: Term) -> Vec<Envelope> {
        assert!(seq <= self.last_seq, "the disk reports write {seq}, which was never started");
        let is_done =
            |write: &InFlight| if mutant!(B33) { write.seq == seq } else { write.seq <= seq };
        while self.in_flight.front().is_some_and(is_done) {
            if let Some(write) = self.in_flight.pop_front() {
                self.persisted_index = self.persisted_index.max(write.last_index);
            }
        }
        let mut released = Vec::new();
        while self.deferred.front().is_some_and(|(waits_for, _)| *waits_for <= seq) {
            if let Some((_, envelope)) = self.deferred.pop_front()
                && envelope.term == current_term
            {
                released.push(envelope);
            }
        }
        released
    }

    pub(super) fn tick(&mut self) {
        // Writes complete in order: the oldest tells how long the disk has been silent.
        if let Some(oldest) = self.in_flight.front_mut() {
            oldest.age_ticks += 1;
        }
    }

    /// How long the oldest write has been the oldest.
    pub(super) fn stalled_ticks(&self) -> u32 {
        self.in_flight.front().map_or(0, |oldest| oldest.age_ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::{AppendEntriesResponse, AppendResult, Rpc};
    use crate::types::NodeId;

    fn success(request_seq: u64, match_index: u64) -> Envelope {
        let result = AppendResult::Success { match_index: LogIndex(match_index) };
        let response =
            AppendEntriesResponse { request_seq, read_seq: 0, is_rejoining: false, result };
        let rpc = Rpc::AppendEntriesResponse(response);
        Envelope { from: NodeId(2), to: NodeId(1), term: Term(3), rpc }
    }

    /// A silent disk does not stop the leader's heartbeats.
    #[test]
    fn of_answers_that_say_the_same_the_last_is_kept() {
        let mut persistence = Persistence::new(LogIndex(0));
        let seq = persistence.start(LogIndex(5));
        (1..=1000).for_each(|request_seq| persistence.defer(seq, success(request_seq, 4)));
        persistence.defer(seq, success(1001, 5));
        assert_eq!(persistence.deferred.len(), 2);
        assert_eq!(persistence.complete(seq, Term(3)), [success(1000, 4), success(1001, 5)]);
    }
}
