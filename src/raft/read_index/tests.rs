//! The reads of a leader by themselves, against a simple reference of the rules.

use proptest::prelude::*;

use super::*;

const FIRST: LogIndex = LogIndex(5);

fn add(reads: &mut ReadIndex, token: u64, commit: u64, last: u64) {
    reads.add(ReadToken(token), LogIndex(0), LogIndex(commit), LogIndex(last), false);
}

fn ready(reads: &mut ReadIndex, submitted: u64) -> Vec<u64> {
    std::iter::from_fn(|| reads.pop_ready(LogIndex(submitted))).map(|(token, _)| token.0).collect()
}

#[test]
fn a_read_waits_for_its_round_and_for_what_was_committed() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 7, 9);
    assert!(reads.maybe_start_round());
    assert!(ready(&mut reads, 7).is_empty(), "no quorum has answered");
    reads.confirm(1);
    assert!(ready(&mut reads, 6).is_empty(), "the store has not been given entry 7");
    assert_eq!(ready(&mut reads, 7), [1]);
}

/// docs/bugs.md B37: a new leader does not know all that is committed.
#[test]
fn a_read_waits_for_the_first_entry_of_the_term() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 2, 5);
    assert!(reads.maybe_start_round());
    reads.confirm(1);
    assert!(ready(&mut reads, 4).is_empty());
    assert_eq!(ready(&mut reads, 5), [1]);
}

/// docs/bugs.md B39: a read waits until the store has all the entries that it must see.
#[test]
fn a_read_waits_for_the_writes_of_its_session_that_are_in_the_log() {
    let mut reads = ReadIndex::new(FIRST);
    reads.add(ReadToken(1), LogIndex(8), LogIndex(6), LogIndex(9), false);
    reads.add(ReadToken(2), LogIndex(99), LogIndex(6), LogIndex(9), false);
    assert!(reads.maybe_start_round());
    reads.confirm(1);
    assert!(ready(&mut reads, 7).is_empty());
    assert_eq!(ready(&mut reads, 8), [1]);
    assert_eq!(ready(&mut reads, 9), [2], "no entry past the end is waited for");
}

/// docs/bugs.md C9: a read holds up no read that needs less.
#[test]
fn a_read_does_not_wait_for_the_write_of_another_session() {
    let mut reads = ReadIndex::new(FIRST);
    reads.add(ReadToken(1), LogIndex(8), LogIndex(6), LogIndex(9), false);
    add(&mut reads, 2, 6, 9);
    assert!(reads.maybe_start_round());
    reads.confirm(1);
    assert_eq!(ready(&mut reads, 6), [2]);
    assert_eq!(reads.first_stop(), Some(LogIndex(8)), "the store may be given no more");
}

#[test]
fn an_entry_that_is_committed_confirms_the_reads_before_it() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 7, 9);
    add(&mut reads, 2, 7, 12);
    reads.on_committed(LogIndex(9));
    assert!(ready(&mut reads, 9).is_empty());
    reads.on_committed(LogIndex(10));
    assert_eq!(ready(&mut reads, 9), [1]);
    assert_eq!(reads.first_stop(), Some(LogIndex(12)));
}

/// A lease confirms all reads that have arrived, and no later one.
#[test]
fn a_lease_confirms_the_reads_before_it_as_well() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 7, 9);
    reads.add(ReadToken(2), LogIndex(0), LogIndex(7), LogIndex(9), true);
    add(&mut reads, 3, 7, 9);
    assert_eq!(ready(&mut reads, 9), [1, 2]);
    assert_eq!(reads.waiting(), 1);
}

#[test]
fn cancelled_reads_are_gone_wherever_they_wait() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 7, 9);
    assert!(reads.maybe_start_round());
    reads.confirm(1);
    add(&mut reads, 2, 7, 9);
    add(&mut reads, 3, 7, 9);
    for token in [1, 2, 2, 99] {
        reads.cancel(ReadToken(token));
    }
    assert_eq!(reads.waiting(), 1);
    assert!(reads.maybe_start_round());
    reads.confirm(2);
    assert_eq!(ready(&mut reads, 9), [3]);
}

#[test]
fn reads_that_fail_come_out_by_arrival() {
    let mut reads = ReadIndex::new(FIRST);
    for (token, after) in [(1, 9), (2, 7)] {
        reads.add(ReadToken(token), LogIndex(after), LogIndex(7), LogIndex(9), false);
    }
    assert!(reads.maybe_start_round());
    reads.confirm(1);
    add(&mut reads, 3, 7, 9);
    assert_eq!(reads.into_tokens(), [1, 2, 3].map(ReadToken));
}

#[test]
#[should_panic(expected = "the tokens of reads rise")]
fn a_token_names_one_read() {
    let mut reads = ReadIndex::new(FIRST);
    add(&mut reads, 1, 7, 9);
    add(&mut reads, 1, 7, 9);
}

/// One event of a leader.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A session writes.
    Write { session: usize },
    /// A session reads, while there is a lease or is none.
    Read { session: usize, has_lease: bool },
    /// The effects are taken: a round may start.
    Flush,
    /// A quorum answers one more round.
    Confirm,
    /// A quorum has one more part of the log.
    Commit { entries: u64 },
    /// The disk of the leader has one more part of the log.
    Persist { entries: u64 },
    /// The client of a read that waits has gone.
    Cancel { nth: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..3_usize;
    prop_oneof![
        3 => session.clone().prop_map(|session| Step::Write { session }),
        6 => (session, prop::bool::weighted(0.2))
            .prop_map(|(session, has_lease)| Step::Read { session, has_lease }),
        4 => Just(Step::Flush),
        3 => Just(Step::Confirm),
        2 => (1..4_u64).prop_map(|entries| Step::Commit { entries }),
        2 => (1..4_u64).prop_map(|entries| Step::Persist { entries }),
        1 => (0..8_usize).prop_map(|nth| Step::Cancel { nth }),
    ]
}

/// A read by the reference, which keeps all reads in one list and asks each of them.
struct Waiting {
    token: u64,
    session: usize,
    read_index: u64,
    place: u64,
    /// The rounds that had begun when it arrived: it needs a later one.
    begun: u64,
    is_confirmed: bool,
}

/// A leader whose log has only entries of its own term after `FIRST`.
struct Reference {
    reads: ReadIndex,
    waiting: Vec<Waiting>,
    /// The session of each entry after `FIRST`.
    writers: Vec<usize>,
    last_write: [u64; 3],
    /// The highest entry that an answered read of the session saw.
    seen: [u64; 3],
    last_token: u64,
    commit: u64,
    durable: u64,
    submitted: u64,
    confirmed_seq: u64,
}

impl Reference {
    fn new() -> Reference {
        Reference {
            reads: ReadIndex::new(FIRST),
            waiting: Vec::new(),
            writers: Vec::new(),
            last_write: [0; 3],
            seen: [0; 3],
            last_token: 0,
            commit: FIRST.0,
            durable: FIRST.0,
            submitted: FIRST.0,
            confirmed_seq: 0,
        }
    }

    fn last(&self) -> u64 {
        FIRST.0 + self.writers.len() as u64
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Write { session } => {
                self.writers.push(session);
                self.last_write[session] = self.last();
            }
            Step::Read { session, has_lease } => self.read(session, has_lease),
            Step::Flush => {
                self.reads.maybe_start_round();
            }
            Step::Confirm => {
                self.confirmed_seq = self.reads.started_seq().min(self.confirmed_seq + 1);
                self.reads.confirm(self.confirmed_seq);
                let seq = self.confirmed_seq;
                self.confirm_if(|read| read.begun < seq);
            }
            Step::Commit { entries } => {
                let commit = self.last().min(self.commit + entries);
                if commit > self.commit {
                    self.commit = commit;
                    self.reads.on_committed(LogIndex(commit));
                    self.confirm_if(|read| read.place < commit);
                }
            }
            Step::Persist { entries } => self.durable = self.last().min(self.durable + entries),
            Step::Cancel { nth } => {
                if nth < self.waiting.len() {
                    let read = self.waiting.remove(nth);
                    self.reads.cancel(ReadToken(read.token));
                }
            }
        }
        self.submit();
    }

    fn read(&mut self, session: usize, has_lease: bool) {
        self.last_token += 1;
        let (token, after, last) = (self.last_token, self.last_write[session], self.last());
        let begun = self.reads.started_seq();
        let (commit, place) = (LogIndex(self.commit), LogIndex(last));
        self.reads.add(ReadToken(token), LogIndex(after), commit, place, has_lease);
        let read_index = self.commit.max(after);
        let read = Waiting { token, session, read_index, place: last, begun, is_confirmed: false };
        self.waiting.push(read);
        if has_lease {
            self.confirm_if(|_| true);
        }
    }

    fn confirm_if(&mut self, is_due: impl Fn(&Waiting) -> bool) {
        for read in &mut self.waiting {
            read.is_confirmed |= is_due(read);
        }
    }

    /// Gives the store what it may have, as `Raft::submit` does.
    fn submit(&mut self) {
        let limit = self.commit.min(self.durable);
        loop {
            self.release();
            if self.submitted >= limit {
                break;
            }
            let stop = self.reads.first_stop().map_or(limit, |stop| stop.0.min(limit));
            assert!(stop > self.submitted, "a read is in the way of entries for ever");
            self.submitted = stop;
        }
        assert_eq!(self.reads.waiting(), self.waiting.len());
    }

    fn release(&mut self) {
        while let Some((token, read_index)) = self.reads.pop_ready(LogIndex(self.submitted)) {
            let at = self.waiting.iter().position(|read| read.token == token.0);
            let read = self.waiting.remove(at.expect("a read is answered once"));
            assert!(read.is_confirmed, "read {token:?} is answered before it is confirmed");
            assert_eq!(read.read_index, read_index.0, "what it must see");
            assert!(read.read_index <= self.submitted, "it misses an entry");
            assert!(self.submitted <= read.place, "it sees an entry that came after it");
            let session = read.session;
            assert!(
                self.waiting.iter().all(|r| r.session != session || r.token > read.token),
                "an earlier read of its session waits"
            );
            assert!(self.seen[session] <= self.submitted, "an earlier read has seen more");
            self.seen[session] = self.submitted;
        }
        // No read waits for another: whatever is due was answered.
        for read in &self.waiting {
            assert!(!(read.is_confirmed && read.read_index <= self.submitted), "it is due");
        }
    }
}

proptest! {
    /// Linearizable, in the order of its session, and as early as it may be.
    #[test]
    fn each_read_is_answered_when_the_rules_allow_it(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut reference = Reference::new();
        for step in steps {
            reference.take(step);
        }
        // At the end everything is confirmed, committed and durable.
        for _ in 0..3 {
            reference.take(Step::Flush);
            reference.take(Step::Confirm);
        }
        reference.take(Step::Commit { entries: 1000 });
        reference.take(Step::Persist { entries: 1000 });
        prop_assert_eq!(reference.waiting.len(), 0);
    }
}
