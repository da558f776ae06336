//! The terms that a node has seen since its process started, for people who want to know why there
//! was an election.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::raft::{Event, Role};
use crate::types::{NodeId, Term};

/// Maximum number of terms that are kept.
pub const TERMS_MAX: usize = 256;

/// The reason why a term began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermCause {
    /// It is the first that the process knew.
    Start,
    /// A server did not hear the leader.
    Timeout,
    /// The leadership was handed over.
    Transfer,
    /// The leader heard too few voters.
    QuorumLost,
    /// The leader's disk stalled.
    Disk,
    /// The term before had no winner.
    SplitVote,
    /// This node saw only the new term.
    Unknown,
}

impl TermCause {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            TermCause::Start => "start",
            TermCause::Timeout => "timeout",
            TermCause::Transfer => "transfer",
            TermCause::QuorumLost => "quorum_lost",
            TermCause::Disk => "disk",
            TermCause::SplitVote => "split_vote",
            TermCause::Unknown => "unknown",
        }
    }
}

/// One term. Its times are those of the wall clock, in milliseconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermRecord {
    /// The term.
    pub term: Term,
    /// Its leader; `None` when nobody is known to have won.
    pub leader: Option<NodeId>,
    /// The time at which this node came into the term.
    pub began_at_ms: u64,
    /// The time at which this node knew the leader.
    pub elected_at_ms: Option<u64>,
    /// The time at which the next term began.
    pub ended_at_ms: Option<u64>,
    /// The reason why it began.
    pub cause: TermCause,
    /// A sentence about the reason.
    pub cause_text: String,
}

/// The terms of a node. Clones share them.
#[derive(Clone, Default)]
pub struct TermHistory(Arc<Mutex<Terms>>);

#[derive(Default)]
struct Terms {
    /// The oldest first.
    records: VecDeque<TermRecord>,
    /// The reason for the next term, when it is known before that begins.
    next: Option<(TermCause, String)>,
    /// The number of changes so far.
    version: u64,
}

impl TermHistory {
    /// Takes an event of the core of node `own` at this time.
    pub fn on_event(&self, event: &Event, own: NodeId, now_ms: u64) {
        let mut terms = self.lock();
        match event {
            Event::StartedPreVote { .. } => {
                // Its term begins when it is granted.
                let sentence = format!("Server {own} did not hear a leader.");
                terms.next.get_or_insert((TermCause::Timeout, sentence));
            }
            Event::StartedElection { term } => {
                let asked =
                    || (TermCause::Transfer, format!("Server {own} was asked to take over."));
                let cause = terms.next.take().unwrap_or_else(asked);
                terms.begin(*term, cause, now_ms);
            }
            Event::GrantedVote { candidate, term } => {
                let unknown =
                    || (TermCause::Unknown, format!("Server {candidate} asked for votes."));
                let own = terms.next.take().filter(|(cause, _)| *cause != TermCause::Timeout);
                terms.begin(*term, own.unwrap_or_else(unknown), now_ms);
            }
            Event::BecameLeader { term } => terms.elect(*term, own, now_ms),
            Event::FollowsLeader { leader_id, term } => terms.elect(*term, *leader_id, now_ms),
            Event::HandsOver { to, .. } => {
                terms.next =
                    Some((TermCause::Transfer, format!("Server {own} handed over to {to}.")));
            }
            Event::SteppedDown { reason, .. } => terms.step_down(own, reason),
            _ => {}
        }
    }

    /// Takes the state at a tick.
    pub fn on_tick(&self, role: Role, term: Term, leader: Option<NodeId>, now_ms: u64) {
        let mut terms = self.lock();
        let known = terms.records.back().map(|record| record.term);
        if known.is_none_or(|known| known < term) && term > Term(0) {
            let cause = terms.next.take().filter(|(cause, _)| *cause != TermCause::Timeout);
            let cause = cause.unwrap_or_else(|| {
                (TermCause::Unknown, "This server saw only the new term.".to_owned())
            });
            terms.begin(term, cause, now_ms);
        }
        if let Some(leader) = leader {
            terms.elect(term, leader, now_ms);
            // A pre-vote that came to nothing is no reason for a later term.
            if role != Role::Leader
                && terms.next.as_ref().is_some_and(|(cause, _)| *cause == TermCause::Timeout)
            {
                terms.next = None;
            }
        }
    }

    /// The terms, the newest first.
    pub fn newest_first(&self) -> Vec<TermRecord> {
        self.lock().records.iter().rev().cloned().collect()
    }

    /// A number that is another one after each change.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    fn lock(&self) -> MutexGuard<'_, Terms> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Terms {
    fn begin(&mut self, term: Term, (cause, cause_text): (TermCause, String), now_ms: u64) {
        let last = self.records.back_mut();
        if last.as_ref().is_some_and(|last| last.term >= term) {
            return;
        }
        let (cause, cause_text) = match &last {
            None => (TermCause::Start, "It is the first term that this process knew.".to_owned()),
            Some(last) if last.leader.is_none() && last.term.0 + 1 == term.0 => {
                (TermCause::SplitVote, format!("Term {} had no winner.", last.term))
            }
            Some(_) => (cause, cause_text),
        };
        if let Some(last) = last {
            last.ended_at_ms = Some(now_ms);
        }
        if self.records.len() == TERMS_MAX {
            self.records.pop_front();
        }
        self.records.push_back(TermRecord {
            term,
            leader: None,
            began_at_ms: now_ms,
            elected_at_ms: None,
            ended_at_ms: None,
            cause,
            cause_text,
        });
        self.version += 1;
    }

    fn elect(&mut self, term: Term, leader: NodeId, now_ms: u64) {
        let seen = format!("Server {leader} was elected.");
        self.begin(term, (TermCause::Unknown, seen), now_ms);
        if let Some(last) = self.records.back_mut()
            && last.term == term
            && last.leader.is_none()
        {
            (last.leader, last.elected_at_ms) = (Some(leader), Some(now_ms));
            self.version += 1;
        }
    }

    fn step_down(&mut self, own: NodeId, reason: &str) {
        let sentence = format!("Server {own} led no longer: {reason}.");
        let cause = match reason {
            "heard no quorum within the election timeout" => TermCause::QuorumLost,
            "the disk does not answer" => TermCause::Disk,
            _ => return,
        };
        self.next.get_or_insert((cause, sentence));
    }
}

#[cfg(test)]
mod tests;
