//! The words that every part shares: ids, positions in the log, entries, and
//! what is known of a log without reading it.
//!
//! Nothing here does anything; `raft`, `kv` and `storage` import only this
//! module, so that none of them needs to know another.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A node of the cluster, as in servers.toml. 0 is invalid; an id is never
/// given to another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

/// An election epoch (§5.1). 0 is before the first election.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Term(pub u64);

impl Term {
    /// The term after this one.
    #[must_use]
    pub fn next(self) -> Term {
        Term(self.0 + 1)
    }
}

/// A position in the log. The first entry has index 1; 0 is before the log.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct LogIndex(pub u64);

impl LogIndex {
    /// The index after this one.
    #[must_use]
    pub fn next(self) -> LogIndex {
        LogIndex(self.0 + 1)
    }

    /// The index before this one; 0 stays 0.
    #[must_use]
    pub fn prev(self) -> LogIndex {
        LogIndex(self.0.saturating_sub(1))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An entry's identity: by Log Matching (§5.3) two logs that both hold a
/// position are equal up to it. Ordered by term, then index, which is the
/// "more up-to-date" order of §5.4.1.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LogPosition {
    /// The entry's term.
    pub term: Term,
    /// The entry's index.
    pub index: LogIndex,
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// What a node must never forget (Figure 2, "persistent state"): kept in one
/// durable record, so that no crash can separate a term from its vote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term this node has seen.
    pub current_term: Term,
    /// Whom it voted for in that term.
    pub voted_for: Option<NodeId>,
    /// Its data directory was new, and it may have lived before, or its log was cut
    /// where it was damaged: it must not be counted until it is known to remember all
    /// that it could have promised (docs/adr/0005, docs/adr/0009, bugs.md B52).
    pub is_newcomer: bool,
}

/// One record of the replicated log. Cloning shares the payload's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the log.
    pub index: LogIndex,
    /// The term of the leader that created it.
    pub term: Term,
    /// That leader's wall clock when it did, in milliseconds since the Unix
    /// epoch, never below the stamp of the entry before: the only time that
    /// the state machine knows.
    pub stamp_ms: u64,
    /// What it says.
    pub payload: Payload,
}

impl Entry {
    /// Where it stands.
    pub fn position(&self) -> LogPosition {
        LogPosition { term: self.term, index: self.index }
    }

    /// What it weighs in windows, batches and budgets: the payload, and
    /// [`ENTRY_OVERHEAD_BYTES`] for the rest.
    pub fn weight_bytes(&self) -> u64 {
        let payload = match &self.payload {
            Payload::Noop => 0,
            Payload::Command(bytes) => bytes.len(),
            Payload::Membership(membership) => membership.voters.len() * 9,
        };
        payload as u64 + ENTRY_OVERHEAD_BYTES
    }
}

/// What an entry costs beside its payload, in memory, on the wire and on disk:
/// a round figure for budgets, not an exact size.
pub const ENTRY_OVERHEAD_BYTES: u64 = 64;

/// The content of an [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Nothing: the entry by which a new leader commits what it inherited (§8),
    /// or by which time passes in an idle store.
    Noop,
    /// A command of the state machine, encoded once, by the session that
    /// received it.
    Command(Bytes),
    /// The members from here on (dissertation §4.1: in force as soon as it is
    /// in the log).
    Membership(Membership),
}

/// Bytes that should be a [`Payload`] and are not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// A kind that this version does not know.
    #[error("entry of unknown kind {0}")]
    UnknownKind(u8),
    /// A no-op that carries bytes.
    #[error("a no-op entry carries {0} bytes")]
    NoopWithBytes(usize),
    /// The body of a membership does not decode, or names no voter.
    #[error("membership entry does not decode: {0}")]
    Membership(String),
}

impl Payload {
    /// The kind's number in log records and frames.
    pub fn kind(&self) -> u8 {
        match self {
            Payload::Noop => 0,
            Payload::Command(_) => 1,
            Payload::Membership(_) => 2,
        }
    }

    /// The body as it stands in log records and frames; a command's own bytes,
    /// not copied.
    ///
    /// # Panics
    /// Never: a membership always encodes.
    pub fn body(&self) -> Cow<'_, [u8]> {
        match self {
            Payload::Noop => Cow::default(),
            Payload::Command(bytes) => Cow::Borrowed(bytes),
            Payload::Membership(membership) => rmp_serde::to_vec_named(membership)
                .expect("a set of numbers always encodes to MessagePack in memory")
                .into(),
        }
    }

    /// The inverse of [`Payload::kind`] and [`Payload::body`].
    ///
    /// # Errors
    /// When the kind is unknown or the body does not fit it. A command's bytes
    /// are not looked into.
    pub fn decode(kind: u8, body: Bytes) -> Result<Payload, PayloadError> {
        match kind {
            0 if body.is_empty() => Ok(Payload::Noop),
            0 => Err(PayloadError::NoopWithBytes(body.len())),
            1 => Ok(Payload::Command(body)),
            2 => {
                let membership: Membership = rmp_serde::from_slice(&body)
                    .map_err(|error| PayloadError::Membership(error.to_string()))?;
                if membership.voters.is_empty() || membership.voters.contains(&NodeId(0)) {
                    return Err(PayloadError::Membership("no voters, or an id of 0".into()));
                }
                Ok(Payload::Membership(membership))
            }
            kind => Err(PayloadError::UnknownKind(kind)),
        }
    }
}

/// Who has a vote. Encoded as a map, so that learners and joint memberships
/// can join it later without changing what is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The nodes whose votes and logs make a quorum; never empty.
    pub voters: BTreeSet<NodeId>,
}

impl Membership {
    /// How many voters make a majority.
    pub fn quorum_size(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}

/// The terms of a whole log, run-length encoded: a run for each term that has
/// entries. All that the rules of Raft ask of a log's past, in a few bytes.
///
/// A log begins behind its base, the position of the last entry that a snapshot
/// has taken the place of (docs/adr/0008); a new log's base is 0@0. Of what is
/// before the base nothing is known, but that it is committed.
///
/// Invariant: runs have rising first indexes and rising terms; the first begins
/// right behind the base, and its term is not below the base's; `last_index` lies
/// in the last run, or is the base's when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TermRuns {
    base: LogPosition,
    runs: Vec<LogPosition>,
    last_index: LogIndex,
}

impl TermRuns {
    /// A log without entries behind `base`.
    pub fn behind(base: LogPosition) -> TermRuns {
        TermRuns { base, runs: Vec::new(), last_index: base.index }
    }

    /// The position that the log begins behind.
    pub fn base(&self) -> LogPosition {
        self.base
    }

    /// The position of the last entry; the base when the log is empty.
    pub fn last(&self) -> LogPosition {
        LogPosition {
            term: self.runs.last().map_or(self.base.term, |run| run.term),
            index: self.last_index,
        }
    }

    /// Adds the position of a new last entry.
    ///
    /// # Panics
    /// When the index does not follow the last one, or the term is below the
    /// last one: no log of a Raft can look like that.
    pub fn push(&mut self, position: LogPosition) {
        let last = self.last();
        assert_eq!(position.index, last.index.next(), "a log has no gaps");
        assert!(position.term >= last.term, "terms never fall along a log");
        if position.term > last.term || self.runs.is_empty() {
            self.runs.push(position);
        }
        self.last_index = position.index;
    }

    /// Forgets `index` and all behind it.
    ///
    /// # Panics
    /// When that is at or before the base: what a snapshot stands for is committed.
    pub fn truncate_from(&mut self, index: LogIndex) {
        assert!(index > self.base.index, "nothing that is committed is truncated");
        if index > self.last_index {
            return;
        }
        self.last_index = index.prev();
        let keep = self.runs.partition_point(|run| run.index < index);
        self.runs.truncate(keep);
    }

    /// Forgets all entries up to `base`, which is in the log: it begins behind it
    /// from now on. Does nothing when it does already.
    ///
    /// # Panics
    /// When the log does not hold `base`.
    pub fn compact_to(&mut self, base: LogPosition) {
        if base.index <= self.base.index {
            return;
        }
        assert!(self.contains(base), "a log is compacted to an entry that it holds");
        let gone = self.runs.partition_point(|run| run.index <= base.index);
        // The run that reaches over the base begins behind it from now on.
        let ends_at = self.runs.get(gone).map_or(self.last_index, |run| run.index.prev());
        self.runs.drain(..gone);
        if ends_at > base.index {
            self.runs.insert(0, LogPosition { index: base.index.next(), ..base });
        }
        self.base = base;
    }

    /// The term of the entry at `index`, or of the base; `None` before it and
    /// behind the log.
    pub fn term_at(&self, index: LogIndex) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.run_of(index).map(|run| run.term)
    }

    /// True when the log holds an entry (or its beginning) at `position`.
    pub fn contains(&self, position: LogPosition) -> bool {
        self.term_at(position.index) == Some(position.term)
    }

    /// The first index of the term of the entry at `index`, as far as the log
    /// reaches back.
    pub fn first_index_of_run(&self, index: LogIndex) -> Option<LogIndex> {
        self.run_of(index).map(|run| run.index)
    }

    /// The last index whose term is at most `term`: the base's, or 0, when no
    /// entry's is.
    pub fn last_index_up_to_term(&self, term: Term) -> LogIndex {
        if self.base.term > term {
            return LogIndex(0);
        }
        let behind = self.runs.partition_point(|run| run.term <= term);
        match self.runs.get(behind) {
            Some(run) => run.index.prev(),
            None => self.last_index,
        }
    }

    /// The runs, oldest first: each is the position of its first entry.
    pub fn runs(&self) -> &[LogPosition] {
        &self.runs
    }

    fn run_of(&self, index: LogIndex) -> Option<LogPosition> {
        if index <= self.base.index || index > self.last_index {
            return None;
        }
        let behind = self.runs.partition_point(|run| run.index <= index);
        Some(self.runs[behind - 1])
    }
}

/// Which snapshot: equal ones are the same bytes, whichever node wrote them
/// (docs/adr/0008).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotId {
    /// The last entry that is in it.
    pub last: LogPosition,
    /// The size of its file.
    pub bytes: u64,
    /// The digest of its file.
    pub digest: u128,
}

/// What recovery tells of a log without handing out its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// Its terms and its end.
    pub runs: TermRuns,
    /// The membership in force at the base, if any is, and every membership entry
    /// behind it, oldest first.
    pub memberships: Vec<(LogIndex, Membership)>,
    /// The stamp of its last entry, or of its base.
    pub last_stamp_ms: u64,
    /// Of a newcomer whose log was cut where it was damaged: the furthest position that
    /// is known to have been in it (docs/adr/0009); 0@0 otherwise.
    pub lost: LogPosition,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::byte_mutation::mutation;

    fn runs(terms: &[u64]) -> TermRuns {
        let mut runs = TermRuns::default();
        for (offset, term) in terms.iter().enumerate() {
            runs.push(LogPosition { term: Term(*term), index: LogIndex(offset as u64 + 1) });
        }
        runs
    }

    #[test]
    fn runs_answer_like_the_list_of_terms_that_they_stand_for() {
        let terms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
        let runs = runs(&terms);
        assert_eq!(runs.term_at(LogIndex(0)), Some(Term(0)));
        for (offset, term) in terms.iter().enumerate() {
            let index = LogIndex(offset as u64 + 1);
            assert_eq!(runs.term_at(index), Some(Term(*term)));
            let first = terms.iter().position(|t| t == term).map(|o| LogIndex(o as u64 + 1));
            assert_eq!(runs.first_index_of_run(index), first);
        }
        assert_eq!(runs.term_at(LogIndex(11)), None);
        for term in 0..8 {
            let expected = terms.iter().filter(|t| **t <= term).count() as u64;
            assert_eq!(runs.last_index_up_to_term(Term(term)), LogIndex(expected));
        }
    }

    /// The same log, without what is before each possible base.
    #[test]
    fn a_compacted_log_says_the_same_of_what_is_left() {
        let terms = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
        let whole = runs(&terms);
        for base in 0..=terms.len() as u64 {
            let position =
                LogPosition { index: LogIndex(base), term: whole.term_at(LogIndex(base)).unwrap() };
            let mut log = whole.clone();
            log.compact_to(position);
            assert_eq!((log.base(), log.last()), (position, whole.last()));
            for index in (0..12).map(LogIndex) {
                let is_known = index.0 >= base;
                assert_eq!(log.term_at(index), whole.term_at(index).filter(|_| is_known));
                let first = whole.first_index_of_run(index).filter(|_| index.0 > base);
                let first = first.map(|first| first.max(LogIndex(base + 1)));
                assert_eq!(log.first_index_of_run(index), first, "{index} behind {base}");
            }
            for term in (0..8).map(Term) {
                let expected = Some(whole.last_index_up_to_term(term)).filter(|i| i.0 >= base);
                assert_eq!(log.last_index_up_to_term(term), expected.unwrap_or_default());
            }
            let mut pushed = TermRuns::behind(position);
            for index in (base + 1)..=10 {
                let index = LogIndex(index);
                pushed.push(LogPosition { index, term: whole.term_at(index).unwrap() });
            }
            assert_eq!(pushed, log);
            for keep in base..=10 {
                let (mut cut, mut both) = (log.clone(), whole.clone());
                cut.truncate_from(LogIndex(keep + 1));
                both.truncate_from(LogIndex(keep + 1));
                both.compact_to(position);
                assert_eq!(cut, both);
            }
        }
    }

    #[test]
    #[should_panic(expected = "an entry that it holds")]
    fn a_log_is_not_compacted_to_what_it_does_not_hold() {
        runs(&[1, 1]).compact_to(LogPosition { term: Term(2), index: LogIndex(2) });
    }

    #[test]
    fn truncation_at_every_index_leaves_the_prefix() {
        let terms = [1, 1, 2, 5, 5];
        for keep in 0..=terms.len() {
            let mut cut = runs(&terms);
            cut.truncate_from(LogIndex(keep as u64 + 1));
            assert_eq!(cut, runs(&terms[..keep]));
        }
    }

    #[test]
    #[should_panic(expected = "no gaps")]
    fn a_gap_is_refused() {
        runs(&[1]).push(LogPosition { term: Term(1), index: LogIndex(3) });
    }

    #[test]
    fn payloads_survive_their_encoding_and_reject_what_they_are_not() {
        let membership = Membership { voters: [NodeId(1), NodeId(900)].into() };
        for payload in [
            Payload::Noop,
            Payload::Command(Bytes::from_static(b"\x00\xff")),
            Payload::Membership(membership),
        ] {
            assert_eq!(
                Payload::decode(payload.kind(), Bytes::copy_from_slice(&payload.body())),
                Ok(payload)
            );
        }
        assert_eq!(Payload::decode(9, Bytes::new()), Err(PayloadError::UnknownKind(9)));
        assert!(Payload::decode(0, Bytes::from_static(b"x")).is_err());
        assert!(Payload::decode(2, Bytes::from_static(b"\x80")).is_err());
    }

    fn any_payload() -> impl Strategy<Value = Payload> {
        prop_oneof![
            Just(Payload::Noop),
            prop::collection::vec(any::<u8>(), 0..40)
                .prop_map(|bytes| Payload::Command(bytes.into())),
            prop::collection::btree_set((1..=u64::MAX).prop_map(NodeId), 1..10)
                .prop_map(|voters| Payload::Membership(Membership { voters })),
        ]
    }

    proptest! {
        #[test]
        fn every_payload_survives_its_encoding(payload in any_payload()) {
            let body = Bytes::copy_from_slice(&payload.body());
            prop_assert_eq!(Payload::decode(payload.kind(), body), Ok(payload));
        }

        #[test]
        fn changed_payloads_are_refused_or_no_larger(
            payload in any_payload(),
            kind in prop_oneof![0..4_u8, any::<u8>()],
            mutation in mutation(),
        ) {
            let body = Bytes::from(mutation.of(&payload.body()));
            if let Ok(decoded) = Payload::decode(kind, body.clone()) {
                prop_assert_eq!(decoded.kind(), kind);
                prop_assert!(decoded.body().len() <= body.len());
            }
        }
    }
}
