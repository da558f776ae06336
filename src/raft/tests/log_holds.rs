//! The bounds of what a leader keeps for a peer that is being sent a snapshot
//! (docs/adr/0017).

use super::cluster::n;
use super::solo::Solo;
use crate::raft::SnapshotRefusal::{NoRoom, Unusable};
use crate::raft::{CompactLog, Effect, Event, ReplicationReport, SnapshotProgress, TakeSnapshot};
use crate::types::{ENTRY_OVERHEAD_BYTES, LogIndex, LogPosition, Term};

/// A leader of three that takes a snapshot after every entry.
struct Leader {
    solo: Solo,
    term: Term,
    /// The size of the snapshots that it takes.
    snapshot_bytes: u64,
}

impl Leader {
    fn new() -> Leader {
        let mut solo = Solo::new(3, &[], 0);
        solo.raft.settings.snapshot_entries_max = 1;
        solo.win();
        let term = solo.raft.term();
        let mut leader = Leader { solo, term, snapshot_bytes: 0 };
        leader.commit();
        leader
    }

    /// Commits an entry with node 2, and saves and compacts what is due.
    fn commit(&mut self) {
        self.solo.propose(1);
        let match_index = self.solo.raft.last_log().index;
        let report = ReplicationReport { match_index, ..Default::default() };
        self.solo.raft.on_replicated(n(2), self.term, report);
        self.solo.settle();
        self.keep_up();
    }

    /// Completes the snapshots and the compactions that were asked for.
    fn keep_up(&mut self) {
        while !self.solo.effects.is_empty() {
            for effect in std::mem::take(&mut self.solo.effects) {
                match effect {
                    Effect::TakeSnapshot(TakeSnapshot { point }) => {
                        self.solo.raft.on_snapshot_taken(point.last, self.snapshot_bytes);
                    }
                    Effect::CompactLog(CompactLog { limit }) => {
                        let term = self.solo.raft.term_at(limit).expect("it is in the log");
                        self.solo.raft.on_compacted(LogPosition { term, index: limit });
                    }
                    _ => {}
                }
            }
            self.solo.settle();
        }
    }

    fn tick(&mut self) {
        self.solo.tick(1);
        self.keep_up();
    }

    fn report(&mut self, report: ReplicationReport) {
        self.solo.raft.on_replicated(n(3), self.term, report);
        self.solo.settle();
        self.keep_up();
    }

    fn kept_entries(&self) -> u64 {
        self.solo.raft.last_log().index.0 - self.solo.raft.log_base().index.0
    }
}

/// The report of a peer that has `acked_bytes` of the snapshot up to `last`.
fn sending(last: LogIndex, acked_bytes: u64) -> ReplicationReport {
    let snapshot_progress = Some(SnapshotProgress { acked_bytes, bytes: 1000 });
    ReplicationReport { keep_log_from: Some(last), snapshot_progress, ..Default::default() }
}

/// docs/bugs.md C1: a peer that answers and never has the snapshot, because it has no room
/// for it or cannot decode it.
#[test]
fn a_peer_that_answers_and_makes_no_progress_does_not_hold_the_log_for_ever() {
    let mut leader = Leader::new();
    let first = leader.solo.raft.snapshot_index();
    for _ in 0..100_000 {
        leader.report(sending(first, 0));
        leader.commit();
        leader.tick();
    }
    assert!(leader.kept_entries() < 1000, "{} entries", leader.kept_entries());
}

/// docs/bugs.md C1: the peer has installed its snapshot, its disk stalls, and it answers
/// heartbeats.
#[test]
fn a_peer_that_has_its_snapshot_and_stores_nothing_more_does_not_hold_the_log_for_ever() {
    let mut leader = Leader::new();
    let first = leader.solo.raft.snapshot_index();
    let report =
        ReplicationReport { match_index: first, keep_log_from: Some(first), ..Default::default() };
    for _ in 0..10_000 {
        leader.report(report);
        leader.commit();
        leader.tick();
    }
    assert!(leader.kept_entries() < 1000, "{} entries", leader.kept_entries());
}

/// docs/bugs.md C1: progress renews a hold, but the leader's disk has its bounds.
#[test]
fn a_peer_that_makes_progress_does_not_hold_more_log_than_the_bound() {
    let mut leader = Leader::new();
    let entry_bytes = ENTRY_OVERHEAD_BYTES + 1;
    leader.solo.raft.settings.snapshot_bytes_max = 100 * entry_bytes;
    let first = leader.solo.raft.snapshot_index();
    let mut most = 0;
    for round in 1..5_000 {
        leader.report(sending(first, round));
        leader.commit();
        leader.tick();
        most = most.max(leader.kept_entries());
    }
    assert!((395..=410).contains(&most), "four times the bound of a snapshot: {most}");
    assert!(leader.kept_entries() < 10, "{} entries", leader.kept_entries());
}

/// The peer that a hold was let go for begins again with the newest snapshot. The log is kept
/// for it only when it gets on with that one.
#[test]
fn the_next_snapshot_is_kept_for_a_peer_when_it_makes_progress_again() {
    let mut leader = Leader::new();
    let first = leader.solo.raft.snapshot_index();
    for _ in 0..4_000 {
        leader.report(sending(first, 7));
        leader.tick();
    }
    leader.commit();
    leader.commit();
    let newest = leader.solo.raft.snapshot_index();
    for _ in 0..10 {
        leader.report(ReplicationReport::default());
        leader.report(sending(newest, 0));
        leader.commit();
    }
    assert!(leader.kept_entries() < 10, "{} entries", leader.kept_entries());
    let newest = leader.solo.raft.snapshot_index();
    for acked_bytes in 1..100 {
        leader.report(sending(newest, acked_bytes));
        leader.commit();
    }
    assert!(leader.solo.raft.log_base().index <= newest);
}

/// A peer that receives a snapshot byte by byte holds up a backup, but not for ever.
#[test]
fn a_wanted_snapshot_does_not_wait_for_ever_behind_a_hold() {
    for step in [0, 1] {
        let mut leader = Leader::new();
        let first = leader.solo.raft.snapshot_index();
        leader.report(sending(first, 0));
        leader.commit();
        leader.commit();
        let wanted = leader.solo.raft.commit_index();
        leader.solo.raft.want_snapshot(wanted);
        assert!(leader.solo.raft.snapshot_index() < wanted, "the hold is in force");
        let mut ticks = 0;
        while leader.solo.raft.snapshot_index() < wanted {
            leader.report(sending(first, ticks / 2_000 * step));
            leader.tick();
            ticks += 1;
            assert!(ticks < 200_000, "it waits for ever");
        }
    }
}

/// A client that asks for a snapshot again and again does not get one each time: the disk
/// would write nothing else.
#[test]
fn wanted_snapshots_have_a_rate() {
    let mut leader = Leader::new();
    leader.solo.raft.settings.snapshot_entries_max = u64::MAX;
    let mut taken = 0;
    for _ in 0..1_000 {
        leader.commit();
        let before = leader.solo.raft.snapshot_index();
        leader.solo.raft.want_snapshot(leader.solo.raft.commit_index());
        leader.tick();
        taken += u64::from(leader.solo.raft.snapshot_index() > before);
    }
    assert!((9..=11).contains(&taken), "{taken} in ten seconds");
    leader.solo.raft.want_snapshot(leader.solo.raft.commit_index());
    for _ in 0..100 {
        leader.tick();
    }
    assert_eq!(leader.solo.raft.snapshot_index(), leader.solo.raft.commit_index(), "the last");
}

/// The larger the snapshots, the longer is the pause between those that clients want.
#[test]
fn a_large_wanted_snapshot_has_a_longer_pause() {
    let mut leader = Leader::new();
    leader.solo.raft.settings.snapshot_entries_max = u64::MAX;
    leader.commit();
    leader.snapshot_bytes = 160 << 20;
    for waited in [100, 1_100] {
        leader.commit();
        let wanted = leader.solo.raft.commit_index();
        leader.solo.raft.want_snapshot(wanted);
        let mut ticks = 0;
        while leader.solo.raft.snapshot_index() < wanted {
            leader.report(ReplicationReport::default());
            leader.tick();
            ticks += 1;
        }
        assert_eq!(ticks, waited);
    }
}

#[test]
fn a_refusal_is_told_once_and_shown_until_the_peer_gets_further() {
    let mut leader = Leader::new();
    let first = leader.solo.raft.snapshot_index();
    let mut events = Vec::new();
    for refusal in [None, Some(NoRoom), Some(NoRoom), Some(Unusable), None, Some(NoRoom)] {
        let report = ReplicationReport { snapshot_refusal: refusal, ..sending(first, 0) };
        leader.solo.raft.on_replicated(n(3), leader.term, report);
        for effect in leader.solo.raft.take_effects() {
            if let Effect::Event(event) = effect {
                events.push(event);
            }
        }
        let shown: Vec<_> = refusal.into_iter().map(|refusal| (n(3), refusal)).collect();
        assert_eq!(leader.solo.raft.status().snapshot_refusals, shown);
    }
    let told = |refusal| Event::SnapshotRefused { peer: n(3), refusal };
    assert_eq!(events, [told(NoRoom), told(Unusable), told(NoRoom)]);
}

/// The peer's transfer fails and goes on from the beginning: nothing is kept meanwhile.
#[test]
fn a_refused_snapshot_holds_nothing() {
    let mut leader = Leader::new();
    let first = leader.solo.raft.snapshot_index();
    leader.report(sending(first, 5));
    leader.report(ReplicationReport { snapshot_refusal: Some(NoRoom), ..sending(first, 0) });
    for _ in 0..10 {
        leader.commit();
    }
    assert!(leader.kept_entries() < 10, "{} entries", leader.kept_entries());
}
