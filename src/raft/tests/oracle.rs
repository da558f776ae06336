//! The properties that must hold over all nodes at all times: those of Figure 3, and those
//! that make them survive a crash.
//!
//! The oracle sees everything at once, which no node can, and trusts none of them: it knows
//! logs from the disks, not from the cores.

use std::collections::{BTreeMap, BTreeSet};

use super::clients::Session;
use super::disk::{Durable, Log};
use super::node::Node;
use super::random_any_server::AnyServer;
use crate::raft::{AppendResult, Envelope, ReadToken, Role, Rpc};
use crate::types::{Entry, HardState, LogIndex, LogPosition, Membership, NodeId, Payload, Term};

/// The memory of all that happened. Every method panics when its property does not hold.
#[derive(Default)]
pub(super) struct Oracle {
    leaders: BTreeMap<Term, NodeId>,
    /// Every entry ever written, with the term of the one before it.
    entries: BTreeMap<LogPosition, (Entry, Term)>,
    /// The votes that were sent: for each term and voter the candidate.
    votes: BTreeMap<(Term, NodeId), NodeId>,
    /// The term up to which the votes of a node were lost with its data directory. They
    /// still count: no node may vote twice, not even one that forgot.
    forgotten: BTreeMap<NodeId, Term>,
    /// All entries that were ever committed by any node's account, each with the term in
    /// which it was committed at the latest.
    committed: Vec<(Entry, Term)>,
    last_seen: BTreeMap<NodeId, LastSeen>,
    reads: BTreeMap<ReadToken, PendingRead>,
    pub(super) any_server: AnyServer,
}

#[derive(Clone, Default)]
struct LastSeen {
    hard_state: HardState,
    commit_index: LogIndex,
    /// The newest membership in its log.
    membership: Membership,
}

/// A read that is not answered, with the entries that it must see and must not see.
struct PendingRead {
    id: NodeId,
    session: Session,
    committed: u64,
    own_write: LogIndex,
    place: LogIndex,
}

impl Oracle {
    pub(super) fn committed(&self) -> u64 {
        self.committed.len() as u64
    }

    /// The number of terms that had a leader.
    pub(super) fn elections(&self) -> usize {
        self.leaders.len()
    }

    pub(super) fn leader_of(&self, term: Term) -> Option<NodeId> {
        self.leaders.get(&term).copied()
    }

    /// The number of reads that are not answered.
    pub(super) fn pending_reads(&self) -> usize {
        self.reads.len()
    }

    /// Election Safety: "at most one leader can be elected in a given term", by a majority of each
    /// half of the membership.
    /// Leader Completeness: the leader has every entry that was committed in earlier terms.
    pub(super) fn on_elected(
        &mut self,
        (id, term): (NodeId, Term),
        membership: &Membership,
        log: &Log,
    ) {
        let has_voted =
            |voter: &&NodeId| **voter == id || self.votes.get(&(term, **voter)) == Some(&id);
        for half in [&membership.voters, &membership.outgoing] {
            let votes = half.iter().filter(has_voted).count();
            let is_most = half.is_empty() || votes > half.len() / 2;
            assert!(is_most, "node {id} leads term {term} by {votes} votes of {half:?}");
        }
        let first = *self.leaders.entry(term).or_insert(id);
        assert_eq!(first, id, "Election Safety: two leaders in term {term}");
        for (entry, committed_in) in &self.committed {
            if *committed_in < term {
                assert_has(log, entry, id, term);
            }
        }
    }

    /// Log Matching: "if two logs contain an entry with the same index and term,
    /// then the logs are identical in all entries up through the given index":
    /// by induction, if equal positions mean equal entries after equal positions.
    /// Leader Append-Only: "a leader never overwrites or deletes".
    pub(super) fn on_write(&mut self, id: NodeId, role: Role, log: &Log, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        if role == Role::Leader {
            assert_eq!(
                first.index,
                log.end().index.next(),
                "Leader Append-Only: node {id} overwrites its log while it leads"
            );
        }
        let mut prev_term = log.position_at(first.index.prev()).map_or(Term(0), |p| p.term);
        for entry in entries {
            let known =
                self.entries.entry(entry.position()).or_insert_with(|| (entry.clone(), prev_term));
            assert_eq!(
                (&known.0, known.1),
                (entry, prev_term),
                "Log Matching: node {id} has another entry at {}",
                entry.position()
            );
            prev_term = entry.term;
        }
    }

    /// Nothing is said before it is durable (Figure 2), and no node votes twice.
    pub(super) fn on_send(
        &mut self,
        envelope: &Envelope,
        durable: &Durable,
        leader_log: Option<&Log>,
    ) {
        let Envelope { from, to, term, rpc } = envelope;
        let HardState { current_term, voted_for, is_rejoining, is_end_known, .. } =
            durable.hard_state;
        let has_voted_for =
            |candidate: &NodeId| current_term == *term && voted_for == Some(*candidate);
        match rpc {
            Rpc::RequestVoteResponse(response) if response.vote_granted => {
                assert!(has_voted_for(to), "node {from} tells its vote before it is durable");
                assert!(!is_rejoining || is_end_known, "node {from} votes and may have forgotten");
                self.note_vote(*term, *from, *to);
            }
            Rpc::RequestVote(_) | Rpc::TransferVote(_) => {
                assert!(has_voted_for(from), "node {from} campaigns before its vote is durable");
                assert!(!is_rejoining, "node {from} campaigns and has no vote");
                self.note_vote(*term, *from, *from);
            }
            Rpc::AppendEntries(_)
            | Rpc::RequestVoteResponse(_)
            | Rpc::Forgotten(_)
            | Rpc::TimeoutNow(_)
            | Rpc::TransferRefused
            | Rpc::Admitted(_) => {
                assert_eq!(durable.hard_state.current_term, *term, "the term is not durable");
            }
            Rpc::AppendEntriesResponse(response) => {
                assert_eq!(durable.hard_state.current_term, *term, "the term is not durable");
                if let AppendResult::Success { match_index } = response.result {
                    self.check_acknowledged(*from, match_index, durable, leader_log);
                }
            }
            Rpc::RejoinResponse(response) => {
                assert_eq!(durable.hard_state.current_term, *term, "the term is not durable");
                assert!(response.last.term <= *term, "an entry is above its node's term");
            }
            Rpc::InstallSnapshot(piece) => {
                assert_eq!(durable.hard_state.current_term, *term, "the term is not durable");
                let last = piece.snapshot.last;
                assert_eq!(self.committed_at(last.index), Some(last), "it is of committed state");
            }
            Rpc::InstallSnapshotResponse(response) => {
                assert_eq!(durable.hard_state.current_term, *term, "the term is not durable");
                if response.is_installed {
                    assert!(durable.contains(response.last), "node {from} has not what it says");
                }
            }
            Rpc::StateCheck(_)
            | Rpc::StateCheckResponse(_)
            | Rpc::StateDiverged(_)
            | Rpc::ReadIndexResponse(_)
            | Rpc::Forwarded(_) => {
                assert_eq!(durable.hard_state.current_term, *term, "the term is not durable");
            }
            // An acknowledgement is a fact, whatever becomes of the term of who says so.
            Rpc::Remembered(word) => assert!(word.leader_term <= *term, "a word of a term to come"),
            Rpc::PreVote(_)
            | Rpc::PreVoteResponse(_)
            | Rpc::RejoinRequest
            | Rpc::ReadIndex(_)
            | Rpc::Forward(_) => {}
        }
    }

    /// An entry that a node acknowledges is durable there, and its leader has the same entry.
    fn check_acknowledged(
        &self,
        from: NodeId,
        match_index: LogIndex,
        durable: &Durable,
        leader_log: Option<&Log>,
    ) {
        let position = durable.position_at(match_index);
        assert!(position.is_some(), "node {from} acknowledges {match_index}, not durable");
        if let Some(leader_log) = leader_log {
            assert_eq!(
                position,
                leader_log.position_at(match_index).or(self.committed_at(match_index)),
                "node {from} acknowledges an entry that the leader does not have"
            );
        }
    }

    /// The position of a committed entry.
    fn committed_at(&self, index: LogIndex) -> Option<LogPosition> {
        match index {
            LogIndex(0) => Some(LogPosition::default()),
            index => self.committed.get(index.prev().0 as usize).map(|(e, _)| e.position()),
        }
    }

    fn note_vote(&mut self, term: Term, voter: NodeId, candidate: NodeId) {
        let first = *self.votes.entry((term, voter)).or_insert(candidate);
        assert_eq!(first, candidate, "node {voter} votes twice in term {term}");
    }

    /// State Machine Safety: "if a server has applied a log entry at a given index
    /// to its state machine, no other server will ever apply a different one".
    /// An applied entry must not vanish in a crash, either (docs/bugs.md B34).
    pub(super) fn on_apply(
        &mut self,
        id: NodeId,
        applied: &[Entry],
        entry: &Entry,
        disk: &Durable,
    ) {
        assert_eq!(entry.index.0, applied.len() as u64 + 1, "node {id} skips or repeats an entry");
        let committed = self.committed.get(applied.len()).map(|(entry, _)| entry);
        if let Some(committed) = committed {
            assert_eq!(committed, entry, "State Machine Safety: at node {id}");
        }
        assert!(disk.contains(entry.position()), "node {id} applies what is not durable");
    }

    /// State Machine Safety of a store that comes from a snapshot: it equals the store that
    /// the entries would have made.
    pub(super) fn on_restore(&self, id: NodeId, applied: &[Entry]) {
        let committed = self.committed.iter().map(|(entry, _)| entry).take(applied.len());
        assert!(committed.eq(applied), "State Machine Safety: node {id} restores another history");
    }

    /// A read arrived. `place` is the end of the node's log, `own_write` the session's last
    /// write.
    pub(super) fn on_read(
        &mut self,
        token: ReadToken,
        (id, session): (NodeId, Session),
        place: LogIndex,
        own_write: LogIndex,
    ) {
        let (committed, own_write) = (self.committed(), own_write.min(place));
        let read = PendingRead { id, session, committed, own_write, place };
        assert!(self.reads.insert(token, read).is_none(), "a token names one read");
    }

    /// Linearizability: a read sees all that was committed anywhere before it arrived, and
    /// its session's earlier writes, but none of its later ones.
    pub(super) fn on_read_ready(&mut self, id: NodeId, token: ReadToken, applied: &[Entry]) {
        let read = self.reads.remove(&token).expect("a read is answered once");
        assert_eq!(read.id, id, "a read is answered by the node that was asked");
        let seen = applied.len() as u64;
        assert!(
            seen >= read.committed,
            "node {id} answers a read at {seen}, but {} was committed before",
            read.committed
        );
        assert!(seen >= read.own_write.0, "node {id}: a read misses its session's write");
        assert!(seen <= read.place.0, "node {id}: a read sees what came after it");
        // Since a store only grows, no earlier read of the session has seen more.
        let mut earlier = self.reads.range(..token);
        assert!(
            earlier.all(|(_, earlier)| (earlier.id, earlier.session) != (id, read.session)),
            "node {id}: a read overtakes an earlier one of its session"
        );
    }

    /// Forgets one of the reads that wait at a node, and returns it.
    pub(super) fn time_out_read(&mut self, id: NodeId, choice: usize) -> Option<ReadToken> {
        let waiting: Vec<ReadToken> =
            self.reads.iter().filter(|(_, read)| read.id == id).map(|(token, _)| *token).collect();
        let token = *waiting.get(choice % waiting.len().max(1))?;
        self.reads.remove(&token);
        Some(token)
    }

    pub(super) fn on_read_failed(&mut self, token: ReadToken) {
        self.reads.remove(&token).expect("a read is answered once");
    }

    /// A crash forgets the commit index and the reads, but no promise.
    pub(super) fn on_crash(&mut self, id: NodeId) {
        self.reads.retain(|_, read| read.id != id);
        self.any_server.on_crash(id);
        if let Some(seen) = self.last_seen.get_mut(&id) {
            seen.commit_index = LogIndex(0);
        }
    }

    /// A node lost its data directory.
    pub(super) fn on_wipe(&mut self, id: NodeId) {
        let voted = self.votes.keys().filter(|(_, voter)| *voter == id).map(|(term, _)| *term);
        self.forgotten.insert(id, voted.max().unwrap_or_default());
    }

    /// A node starts again with its durable state: a vote that it never sent may be gone, a
    /// vote that it sent must not be.
    pub(super) fn on_restart(&mut self, id: NodeId, hard_state: HardState) {
        self.last_seen.entry(id).or_default().hard_state = hard_state;
        let has_forgotten = self.forgotten.get(&id) >= Some(&hard_state.current_term);
        if let Some(candidate) = self.votes.get(&(hard_state.current_term, id))
            && !has_forgotten
        {
            assert_eq!(hard_state.voted_for, Some(*candidate), "node {id} forgot its vote");
        }
    }

    /// Checks everything after an event of node `id`.
    pub(super) fn check(&mut self, id: NodeId, nodes: &BTreeMap<NodeId, Node>) {
        let node = &nodes[&id];
        let Some(raft) = &node.raft else { return };
        raft.check_invariants();
        self.check_memory_of(node);
        if raft.role() == Role::Leader {
            let leader = self.leader_of(raft.term());
            assert_eq!(leader, Some(id), "Election Safety: a leader without an election");
        }
        let seen = self.last_seen.entry(id).or_default();
        let (before, now) = (seen.hard_state, raft.hard_state());
        assert!(now.current_term >= before.current_term, "node {id}: the term fell");
        assert!(
            now.current_term > before.current_term
                || before.voted_for.is_none()
                || now.voted_for == before.voted_for,
            "node {id}: the vote changed within a term"
        );
        assert!(
            !now.is_rejoining || before.is_rejoining || node.disk.durable().has_amnesia(),
            "node {id} is rejoining, and has lost nothing"
        );
        assert!(raft.commit_index() >= seen.commit_index, "node {id}: the commit index fell");
        let membership = raft.members_status().membership;
        let before = LastSeen { hard_state: now, commit_index: raft.commit_index(), membership };
        let before = std::mem::replace(seen, before).membership;
        self.check_commit(node, nodes, before);
        let base = node.disk.log().base();
        assert_eq!(self.committed_at(base.index), Some(base), "node {id}: the log has lost more");
    }

    /// The core's view of its log agrees with its disk.
    fn check_memory_of(&self, node: &Node) {
        let Some(raft) = &node.raft else { return };
        let log = node.disk.log();
        assert_eq!(raft.last_log(), log.end(), "node {}: the log ends elsewhere", node.id);
        assert_eq!(raft.log_base(), log.base(), "node {}: the log begins elsewhere", node.id);
        let persisted_index = raft.persisted_index();
        // When a snapshot was received that the core does not know yet, the part of the log
        // that conflicts with it does not count (a start would remove it). That breaks no
        // promise, because the snapshot is of committed entries.
        let durable = node.disk.durable();
        let is_durable = |position| durable.contains(position) || durable.log.contains(position);
        assert!(
            log.position_at(persisted_index).is_some_and(is_durable),
            "node {} takes {persisted_index} for durable, and it is not",
            node.id
        );
    }

    /// A committed entry is on a quorum's disks, never changes, and is in the log of every
    /// leader of a later term.
    /// `before` is the membership that was in force at the node before this event.
    fn check_commit(&mut self, node: &Node, nodes: &BTreeMap<NodeId, Node>, before: Membership) {
        let Some(raft) = &node.raft else { return };
        let commit_index = raft.commit_index().0;
        let log = node.disk.log();
        // The event may have appended a membership before the commit, or after it.
        let in_force = memberships_since(before, raft.members_status().membership, log);
        let index = LogIndex(commit_index.min(self.committed()));
        if let Some(entry) = log.entry(index) {
            assert_eq!(
                *entry,
                self.committed[index.prev().0 as usize].0,
                "node {} takes another entry for committed",
                node.id
            );
        }
        while self.committed() < commit_index {
            let next = LogIndex(self.committed() + 1);
            // The entry may have been applied, saved and compacted since the last check.
            let applied = node.applied.get(self.committed.len());
            let entry = log.entry(next).or(applied).expect("committed, so it is there").clone();
            let is_held = |membership: &Membership| {
                let mut halves = [&membership.voters, &membership.outgoing].into_iter();
                halves.all(|half| is_held_by_most(half, nodes, entry.position()))
            };
            let mut judges = in_force.iter().filter(|in_force| in_force.after < next);
            assert!(
                judges.any(|in_force| is_held(&in_force.membership)),
                "entry {} is committed, and not durable on a quorum of any of {in_force:?}",
                entry.position(),
            );
            for other in nodes.values() {
                if let Some(other_raft) = &other.raft
                    && other_raft.role() == Role::Leader
                    && other_raft.term() > raft.term()
                {
                    assert_has(other.disk.log(), &entry, other.id, other_raft.term());
                }
            }
            self.committed.push((entry, raft.term()));
        }
    }

    /// The committed entries are still on a quorum's disks.
    pub(super) fn check_durable(&self, nodes: &BTreeMap<NodeId, Node>) {
        let membership = self.committed.iter().rev().find_map(|(entry, _)| match &entry.payload {
            Payload::Membership(membership) => Some(membership.clone()),
            _ => None,
        });
        // Entries that are committed under the end of a change need not be on a majority of the
        // half that the change has left behind.
        let voters = membership.map_or_else(|| nodes.keys().copied().collect(), |m| m.voters);
        for (entry, _) in &self.committed {
            let position = entry.position();
            assert!(is_held_by_most(&voters, nodes, position), "committed {position} is gone");
        }
    }
}

/// A membership, and the index of the one before it in the log. A leader appends no membership
/// before the last one is committed, so that it commits only entries behind that one by the new
/// one: a joint membership needs both its halves.
#[derive(Debug)]
struct InForce {
    membership: Membership,
    after: LogIndex,
}

/// The membership that was in force before, and those of a log that are newer; `newest` may have
/// come with a snapshot.
fn memberships_since(before: Membership, newest: Membership, log: &Log) -> Vec<InForce> {
    let first = |membership| InForce { membership, after: LogIndex(0) };
    if before.voters.is_empty() || before == newest {
        return vec![first(newest)];
    }
    let mut all = Vec::new();
    let mut after = LogIndex(0);
    for entry in log.iter() {
        let Payload::Membership(membership) = &entry.payload else { continue };
        all.push(InForce { membership: membership.clone(), after });
        after = entry.index;
    }
    let known = all.iter().rposition(|in_force| in_force.membership == before);
    all.drain(..known.map_or(0, |place| place + 1));
    if all.last().is_none_or(|last| last.membership != newest) {
        all.push(first(newest));
    }
    all.push(first(before));
    all
}

/// True when a majority of the voters holds an entry durably; of no voters it is true.
fn is_held_by_most(
    voters: &BTreeSet<NodeId>,
    nodes: &BTreeMap<NodeId, Node>,
    position: LogPosition,
) -> bool {
    let durables = voters.iter().filter_map(|id| Some(nodes.get(id)?.disk.durable()));
    let holders = durables.filter(|durable| durable.stands_for(position)).count();
    voters.is_empty() || holders > voters.len() / 2
}

/// Asserts that a log has an entry. The entries before its base are in its snapshot, which
/// is of committed entries.
fn assert_has(log: &Log, entry: &Entry, leader: NodeId, term: Term) {
    if entry.index <= log.base().index {
        return;
    }
    assert_eq!(
        log.entry(entry.index),
        Some(entry),
        "Leader Completeness: node {leader}, which leads term {term}, lacks a committed entry"
    );
}
