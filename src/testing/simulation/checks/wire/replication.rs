//! The entries that leaders have sent, that followers have acknowledged, and that are committed
//! (§5.3, §5.4).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use super::disks::{Disks, Finding, ensure};
use super::durable::{Slot, newest};
use super::quorum::{is_quorum, second_half};
use crate::raft::{AppendEntries, AppendEntriesResponse, AppendResult};
use crate::testing::simulation::checks::violation::Check;
use crate::types::{LogIndex, LogPosition, Membership, NodeId, Term};

/// The state of replication, as the messages show it.
#[derive(Default)]
pub(super) struct Replication {
    /// The leader of each term.
    leaders: BTreeMap<Term, NodeId>,
    reigns: BTreeMap<Term, Reign>,
    /// Every entry that any leader has had, with the term of the entry before it.
    entries: BTreeMap<(LogIndex, Term), (Slot, Term)>,
    /// The entries that leaders have announced as committed, from index 1 on.
    committed: Vec<Committed>,
    /// The number of entries up to which each node's acknowledgements in a term are checked.
    acknowledged: BTreeMap<(NodeId, Term), usize>,
    /// The nodes that have lost a disk, or a part of their log, and have not taken part since.
    losses: BTreeMap<NodeId, Loss>,
}

/// The log of a term's leader: the entries that its disk had when it was elected, and those that
/// it has sent.
struct Reign {
    log: Vec<Slot>,
    /// The highest commit index that it has announced.
    announced: usize,
}

#[derive(Clone, Copy)]
struct Committed {
    slot: Slot,
    /// The first term whose leader has announced it.
    term: Term,
}

/// A loss of durable data.
struct Loss {
    /// The log before the loss.
    log: Vec<Slot>,
    /// The number of entries that were committed by then.
    committed: usize,
    /// False while the log may still turn out to be whole.
    is_certain: bool,
    /// True when nothing on the disk shows the loss: the node takes part until it is told.
    is_hidden: bool,
}

impl Replication {
    /// "at most one leader can be elected in a given term" (§5.2).
    pub fn check_leader(&mut self, node: NodeId, term: Term) -> Finding {
        let first = *self.leaders.entry(term).or_insert(node);
        ensure(first == node, Check::ElectionSafety, || {
            format!("n{node} leads term {term}, and so did n{first}")
        })
    }

    pub fn on_request(
        &mut self,
        leader: NodeId,
        term: Term,
        request: &AppendEntries,
        disks: &mut Disks,
    ) -> Finding {
        self.on_leader_message(leader, term, disks)?;
        if !self.is_known_up_to(leader, term, request.prev.index, disks) {
            return Ok(());
        }
        let mut prev_term = request.prev.term;
        for entry in &request.entries {
            disks.archive().add(entry.index, Slot::of(entry), prev_term);
            disks.archive().add_membership(entry);
            prev_term = entry.term;
        }
        self.check_prev(term, request.prev)?;
        for entry in &request.entries {
            self.check_entry(term, entry.index, Slot::of(entry))?;
        }
        self.check_commit(leader, term, request.leader_commit, disks)
    }

    /// A node that sends what only a leader sends is the leader of its term.
    fn on_leader_message(&mut self, leader: NodeId, term: Term, disks: &mut Disks) -> Finding {
        disks.check_vote(leader, term, leader)?;
        self.check_leader(leader, term)?;
        let hard_state = disks.of(leader).hard_state().unwrap_or_default();
        // If it was deposed before its first message, its log at the election is not known.
        if self.reigns.contains_key(&term) || hard_state.current_term > term {
            return Ok(());
        }
        self.begin_reign(leader, term, disks)
    }

    /// "the leader ... sends snapshots to followers" (§7): it has the entries that the snapshot
    /// contains, and they are committed, though it may not have announced that yet.
    pub fn on_snapshot(
        &mut self,
        leader: NodeId,
        term: Term,
        last: LogPosition,
        disks: &mut Disks,
    ) -> Finding {
        self.on_leader_message(leader, term, disks)?;
        let is_known = self.is_known_up_to(leader, term, last.index, disks);
        let Some(reign) = self.reigns.get(&term).filter(|_| is_known) else { return Ok(()) };
        let (to, known) = (last.index.0 as usize, self.committed.len());
        let own = to.checked_sub(1).and_then(|place| reign.log.get(place)).copied();
        ensure(own.is_some_and(|slot| slot.term == last.term), Check::Snapshot, || {
            format!("the leader of term {term} sends a snapshot of {last}, and had {own:?} there")
        })?;
        let is_known = self.committed.get(to - 1).is_some_and(|slot| Some(slot.slot) == own);
        if is_known {
            return Ok(());
        }
        // A follower that installs it knows the commit, and may announce it before this leader.
        let new = known.min(to)..to;
        self.check_quorum(leader, term, &new, disks)?;
        self.commit(term, &new)
    }

    /// A follower that confirms an install has everything up to `last` on its disk.
    pub fn on_installed(&self, node: NodeId, last: LogPosition, disks: &mut Disks) -> Finding {
        let log = disks.of(node).log();
        let place = (last.index.0 as usize).checked_sub(1);
        let own = place.and_then(|place| log.get(place)).copied();
        ensure(own.is_some_and(|own| own.term == last.term), Check::DurableAcknowledgement, || {
            format!("n{node} says that it has all up to {last}, and its disk has {own:?} there")
        })
    }

    /// All entries of earlier terms that a leader has are on its disk: otherwise it could not have
    /// voted for itself.
    fn begin_reign(&mut self, leader: NodeId, term: Term, disks: &mut Disks) -> Finding {
        let log = disks.of(leader).log().to_vec();
        for index in 0..log.len() {
            self.check_matching(&log, index)?;
        }
        self.check_complete(leader, term, &log)?;
        self.reigns.insert(term, Reign { log, announced: 0 });
        Ok(())
    }

    /// True when the leader's log is known up to an entry that it names. A server that has become a
    /// member is sent entries from the end of the leader's log on. The others may not have been
    /// sent them yet, and there may be no others. So a part of the log may be known only once it
    /// is on the leader's disk. As long as the members stay as they are, all is sent from the
    /// beginning of a term on.
    fn is_known_up_to(
        &mut self,
        leader: NodeId,
        term: Term,
        index: LogIndex,
        disks: &mut Disks,
    ) -> bool {
        let Some(reign) = self.reigns.get_mut(&term) else { return true };
        if reign.log.len() as u64 >= index.0 || !disks.has_spares() {
            return true;
        }
        let own = disks.of(leader).log();
        if own.len() > reign.log.len() && own.starts_with(&reign.log) {
            reign.log = own.to_vec();
        }
        reign.log.len() as u64 >= index.0
    }

    /// "if a log entry is committed in a given term, then that entry will be present
    /// in the logs of the leaders for all higher-numbered terms" (Figure 3).
    fn check_complete(&self, leader: NodeId, term: Term, log: &[Slot]) -> Finding {
        for (place, committed) in self.committed.iter().enumerate() {
            let is_there = log.get(place) == Some(&committed.slot);
            ensure(is_there || committed.term >= term, Check::LeaderCompleteness, || {
                format!(
                    "n{leader} leads term {term} without the entry {} that was committed in \
                     term {}: it has {:?}",
                    position(place, committed.slot),
                    committed.term,
                    log.get(place)
                )
            })?;
        }
        Ok(())
    }

    /// "if two logs contain an entry with the same index and term, then the logs are
    /// identical in all entries up through the given index" (Figure 3). It holds when
    /// both the entry and the term before it are the same.
    fn check_matching(&mut self, log: &[Slot], place: usize) -> Finding {
        let slot = log[place];
        let before = place.checked_sub(1).map_or(Term(0), |place| log[place].term);
        let position = position(place, slot);
        let known = self.entries.entry((position.index, position.term)).or_insert((slot, before));
        ensure(*known == (slot, before), Check::LogMatching, || {
            format!("there are two entries {position}: {known:?}, and {slot:?} behind {before}")
        })
    }

    /// "a leader never overwrites or deletes entries in its log; it only appends"
    /// (Figure 3), and a new entry is of its own term.
    fn check_entry(&mut self, term: Term, index: LogIndex, slot: Slot) -> Finding {
        let Some(reign) = self.reigns.get_mut(&term) else { return Ok(()) };
        let place = index.0 as usize - 1;
        if let Some(known) = reign.log.get(place) {
            return ensure(*known == slot, Check::LeaderAppendOnly, || {
                format!("the leader of term {term} sends {slot:?} at {index}, and had {known:?}")
            });
        }
        ensure(place == reign.log.len() && slot.term == term, Check::LeaderAppendOnly, || {
            format!("the leader of term {term} adds {}", position(place, slot))
        })?;
        reign.log.push(slot);
        let log = std::mem::take(&mut reign.log);
        let finding = self.check_matching(&log, place);
        if let Some(reign) = self.reigns.get_mut(&term) {
            reign.log = log;
        }
        finding
    }

    fn check_prev(&self, term: Term, prev: LogPosition) -> Finding {
        let Some(reign) = self.reigns.get(&term) else { return Ok(()) };
        let Some(place) = (prev.index.0 as usize).checked_sub(1) else { return Ok(()) };
        let known = reign.log.get(place).map(|slot| slot.term);
        ensure(known == Some(prev.term), Check::LeaderAppendOnly, || {
            format!("the leader of term {term} claims {prev}, and had term {known:?} there")
        })
    }

    fn check_commit(
        &mut self,
        leader: NodeId,
        term: Term,
        commit: LogIndex,
        disks: &mut Disks,
    ) -> Finding {
        let is_known = self.is_known_up_to(leader, term, commit, disks);
        let Some(reign) = self.reigns.get_mut(&term).filter(|_| is_known) else { return Ok(()) };
        let new = reign.announced..commit.0 as usize;
        if new.is_empty() {
            return Ok(());
        }
        reign.announced = new.end;
        self.check_quorum(leader, term, &new, disks)?;
        // It knew that the entries in its snapshot were committed when it took the snapshot.
        if disks.of(leader).newest_snapshot() < commit {
            self.check_own_term(leader, term, new.end - 1)?;
        }
        self.commit(term, &new)
    }

    /// "stored ... on a majority of the servers" (§5.3), and durably: on one of each half of a
    /// membership that was in force at the leader when it counted. A disk that was lost meanwhile
    /// counts with its former contents until its node takes part again.
    fn check_quorum(
        &self,
        leader: NodeId,
        term: Term,
        new: &Range<usize>,
        disks: &mut Disks,
    ) -> Finding {
        let known = self.reigns[&term].log.len();
        let committed = self.reigns[&term].log.get(new.clone());
        let holds = |log: &[Slot]| committed.is_some() && log.get(new.clone()) == committed;
        let holders = self.holders(holds, disks);
        let now = disks.in_force(leader, &self.reigns[&term].log[..new.end.min(known)]);
        if is_quorum(&now, |id| holders.contains(&id)) {
            return Ok(());
        }
        let in_force = self.counted_by(leader, term, new.end, disks);
        let is_held =
            |membership: &Arc<Membership>| is_quorum(membership, |id| holders.contains(&id));
        ensure(in_force.iter().any(is_held), Check::DurableQuorum, || {
            format!(
                "n{leader} says in term {term} that entries {}..={} are committed, and only \
                 {holders:?} hold them; it counts by one of {in_force:?}",
                new.start + 1,
                new.end
            )
        })
    }

    /// The nodes whose disks hold something. A disk that was lost counts with its former contents.
    fn holders(&self, holds: impl Fn(&[Slot]) -> bool, disks: &mut Disks) -> BTreeSet<NodeId> {
        let mut holders = BTreeSet::new();
        for (node, durable) in &mut disks.nodes {
            let has_lost = self.losses.get(node).is_some_and(|loss| holds(&loss.log));
            if has_lost || holds(durable.log()) {
                holders.insert(*node);
            }
        }
        holders
    }

    /// The memberships by which a leader may have counted that its first `length` entries are
    /// committed: the one in force after them, and all later ones of its log. The end of its log
    /// may not have been sent yet. When a joint membership is committed, the one that ends it
    /// follows at once, and may count before the leader has announced the commit of the first.
    fn counted_by(
        &self,
        leader: NodeId,
        term: Term,
        length: usize,
        disks: &mut Disks,
    ) -> Vec<Arc<Membership>> {
        let mut log = self.reigns[&term].log.clone();
        let own = disks.of(leader).log();
        if own.get(..log.len()) == Some(&log[..]) {
            log = own.to_vec();
        }
        let mut in_force = vec![disks.in_force(leader, &log[..length.min(log.len())])];
        for end in length..log.len() {
            if log[end].is_membership() {
                in_force.push(disks.in_force(leader, &log[..=end]));
            }
        }
        let last = newest(&log).zip(in_force.last().cloned());
        if let Some((at, joint)) = last
            && joint.is_joint()
            && (self.is_known_committed(at) || self.is_held(&log, at, &joint, disks))
        {
            in_force.push(Arc::new(second_half(&joint)));
        }
        in_force
    }

    /// True when a quorum of the membership holds the entry of a log at this position.
    fn is_held(
        &self,
        log: &[Slot],
        at: LogPosition,
        membership: &Membership,
        disks: &mut Disks,
    ) -> bool {
        let Some(place) = (at.index.0 as usize).checked_sub(1) else { return false };
        let holders = self.holders(|other| other.get(place) == log.get(place), disks);
        is_quorum(membership, |id| holders.contains(&id))
    }

    /// True when a leader has announced that the entry is committed.
    fn is_known_committed(&self, at: LogPosition) -> bool {
        let place = (at.index.0 as usize).checked_sub(1);
        let committed = place.and_then(|place| self.committed.get(place));
        committed.is_some_and(|committed| committed.slot.term == at.term)
    }

    /// "only log entries from the leader's current term are committed by counting
    /// replicas" (§5.4.2): the last entry of a new commit is of a term that this node leads, or has
    /// led.
    fn check_own_term(&self, leader: NodeId, term: Term, last: usize) -> Finding {
        let slot = self.reigns[&term].log[last];
        let is_new = last >= self.committed.len();
        let is_own = self.leaders.get(&slot.term) == Some(&leader);
        ensure(!is_new || is_own, Check::CommitRule, || {
            format!("n{leader} commits {} by counting, in term {term}", position(last, slot))
        })
    }

    /// A committed entry never changes, and is in the logs of the leaders of all later terms.
    fn commit(&mut self, term: Term, new: &Range<usize>) -> Finding {
        let log = &self.reigns[&term].log;
        for place in new.clone() {
            let slot = log[place];
            match self.committed.get(place) {
                Some(known) => ensure(known.slot == slot, Check::StateMachineSafety, || {
                    format!(
                        "{} is committed in term {term}, and {} was",
                        position(place, slot),
                        position(place, known.slot)
                    )
                })?,
                None => self.committed.push(Committed { slot, term }),
            }
        }
        for (later, reign) in self.reigns.range(term.next()..) {
            self.check_complete(self.leaders[later], *later, &reign.log)?;
        }
        Ok(())
    }

    /// "matchIndex: index of highest log entry known to be replicated" (Figure 2): up to it the
    /// node's disk holds the entries of the term's leader.
    pub fn on_response(
        &mut self,
        node: NodeId,
        term: Term,
        response: AppendEntriesResponse,
        disks: &mut Disks,
    ) -> Finding {
        disks.check_term(node, term)?;
        if response.is_rejoining {
            return Ok(()); // its acknowledgements do not count
        }
        self.check_return(node, disks)?;
        let AppendResult::Success { match_index } = response.result else { return Ok(()) };
        let hard_state = disks.of(node).hard_state().unwrap_or_default();
        let Some(reign) = self.reigns.get(&term) else { return Ok(()) };
        if hard_state.current_term > term || match_index == LogIndex(0) {
            return Ok(()); // it answered before it met a later leader
        }
        ensure(!hard_state.is_rejoining, Check::Rejoining, || {
            format!("n{node} acknowledges {match_index}, and its disk says that it may not")
        })?;
        let looked_at = self.acknowledged.entry((node, term)).or_default();
        let to = match_index.0 as usize;
        let from = (*looked_at).min(to - 1);
        let log = disks.of(node).log();
        let is_held = reign.log.get(from..to).is_some_and(|sent| log.get(from..to) == Some(sent));
        *looked_at = to.max(*looked_at);
        ensure(is_held, Check::DurableAcknowledgement, || {
            format!(
                "n{node} acknowledges {match_index} in term {term}, and its disk has {:?} behind \
                 {from}, not {:?}",
                log.get(from..),
                reign.log.get(from..to)
            )
        })
    }

    /// The log of a term's leader, as far as it is known.
    pub fn log_of(&self, term: Term) -> Option<&[Slot]> {
        self.reigns.get(&term).map(|reign| reign.log.as_slice())
    }

    /// True when a quorum of disks holds the entry at a position, by the membership in force there
    /// or by a later one in a log that has the entry.
    pub fn is_held_by_quorum(&self, at: LogPosition, disks: &mut Disks) -> bool {
        let holders = self.holders(|log| has(log, at), disks);
        let length = at.index.0 as usize;
        let mut in_force = Vec::new();
        for node in &holders {
            in_force.push(disks.in_force_on_disk(*node, length));
            in_force.push(disks.in_force_on_disk(*node, usize::MAX));
        }
        let is_held =
            |membership: Arc<Membership>| is_quorum(&membership, |id| holders.contains(&id));
        self.is_known_committed(at) || in_force.into_iter().any(is_held)
    }

    /// True when a quorum of a membership holds the entry at a position, or when it is known to be
    /// committed. A disk that was lost counts with its former contents.
    pub fn is_held_by(&self, at: LogPosition, membership: &Membership, disks: &mut Disks) -> bool {
        let holders = self.holders(|log| has(log, at), disks);
        self.is_known_committed(at) || is_quorum(membership, |id| holders.contains(&id))
    }

    /// A disk is about to lose everything.
    pub fn on_wipe(&mut self, node: NodeId, disks: &mut Disks) {
        self.on_damaged_start(node, disks);
        self.confirm_loss(node);
        disks.of(node).forget();
    }

    /// A disk may be about to lose a part of its log. If an earlier start has begun to lose it, the
    /// log before that start counts.
    pub fn on_damaged_start(&mut self, node: NodeId, disks: &mut Disks) {
        let committed = self.committed.len();
        self.losses.entry(node).or_insert_with(|| {
            let log = disks.of(node).log().to_vec();
            Loss { log, committed, is_certain: false, is_hidden: false }
        });
    }

    /// A node has started with a part of its log.
    pub fn on_repair(&mut self, node: NodeId, disks: &mut Disks) {
        self.confirm_loss(node);
        disks.of(node).read_again();
    }

    /// A disk forgets acknowledged entries without a trace. Others hold them.
    pub fn on_amnesia(&mut self, node: NodeId, disks: &mut Disks) {
        self.acknowledged.retain(|(of, _), _| *of != node);
        disks.of(node).forget();
    }

    /// A disk forgets acknowledged entries without a trace, and perhaps they are on one disk less
    /// than a quorum now. Somebody remembers the acknowledgements.
    pub fn on_aged(&mut self, node: NodeId, disks: &mut Disks) {
        self.on_damaged_start(node, disks);
        self.confirm_loss(node);
        if let Some(loss) = self.losses.get_mut(&node) {
            loss.is_hidden = true;
        }
        disks.of(node).forget();
    }

    /// A disk that was lost is back, with all that it had.
    pub fn on_return(&mut self, node: NodeId, disks: &mut Disks) {
        self.losses.remove(&node);
        disks.of(node).forget();
    }

    fn confirm_loss(&mut self, node: NodeId) {
        self.acknowledged.retain(|(of, _), _| *of != node);
        if let Some(loss) = self.losses.get_mut(&node) {
            loss.is_certain = true;
        }
    }

    /// A node has started with its whole log.
    pub fn on_whole_start(&mut self, node: NodeId) {
        self.losses.retain(|of, loss| *of != node || loss.is_certain);
    }

    /// A node takes part. If it has lost its disk, it has by now all entries that it could have
    /// helped to commit: a node that has lost data is not counted until it has caught up
    /// (docs/adr/0005). One that votes for others while it is rejoining has not come back yet.
    pub fn check_return(&mut self, node: NodeId, disks: &mut Disks) -> Finding {
        if disks.of(node).hard_state().is_some_and(|hard_state| hard_state.is_rejoining) {
            return Ok(());
        }
        let Some(loss) = self.losses.remove(&node) else { return Ok(()) };
        let log = disks.of(node).log();
        let lacks = |place| loss.log.get(place) != log.get(place);
        if loss.is_hidden && (0..loss.committed.min(loss.log.len())).any(lacks) {
            // It does no harm before it votes for a leader that lacks an entry, which the log of
            // that leader shows.
            self.losses.insert(node, loss);
            return Ok(());
        }
        if !self.is_voter(node, disks) {
            return self.check_admission(node, disks);
        }
        let log = disks.of(node).log();
        for (place, committed) in self.committed[..loss.committed].iter().enumerate() {
            let is_there = log.get(place) == Some(&committed.slot);
            let has_helped = loss.log.get(place) == Some(&committed.slot);
            ensure(is_there || !has_helped, Check::Rejoining, || {
                format!(
                    "n{node} has lost its disk, takes part again, and lacks {}, which was \
                     committed",
                    position(place, committed.slot)
                )
            })?;
        }
        Ok(())
    }
}

impl Replication {
    /// True when a node has a vote in the newest membership that is known to be committed.
    fn is_voter(&self, node: NodeId, disks: &Disks) -> bool {
        self.committed_membership(disks).is_none_or(|(_, membership)| membership.is_voter(node))
    }

    fn committed_membership(&self, disks: &Disks) -> Option<(LogPosition, Arc<Membership>)> {
        let place = self.committed.iter().rposition(|known| known.slot.is_membership())?;
        let at = position(place, self.committed[place].slot);
        Some((at, disks.membership(at)))
    }

    /// True of a server that a committed membership has removed: one that was announced, or one at
    /// the end of a log that a quorum holds.
    pub fn is_removed(&self, node: NodeId, disks: &mut Disks) -> bool {
        let announced = self.committed_membership(disks);
        if announced.is_some_and(|(_, membership)| membership.is_removed(node)) {
            return true;
        }
        let nodes: Vec<NodeId> = disks.nodes.keys().copied().collect();
        nodes.into_iter().any(|of| {
            let Some(at) = newest(disks.of(of).log()) else { return false };
            let membership = disks.membership(at);
            membership.is_removed(node) && self.is_held_by(at, &membership, disks)
        })
    }

    /// A leader says to a learner that it may take part: its newest membership is committed, and
    /// has that node as a learner (docs/adr/0026).
    pub fn on_admitted(
        &mut self,
        leader: NodeId,
        term: Term,
        to: NodeId,
        index: LogIndex,
        disks: &mut Disks,
    ) -> Finding {
        // It may be the first thing that a leader says which is the only voter.
        self.on_leader_message(leader, term, disks)?;
        self.is_known_up_to(leader, term, index, disks);
        let Some(reign) = self.reigns.get(&term) else { return Ok(()) };
        let place = (index.0 as usize).checked_sub(1);
        let slot = place.and_then(|place| reign.log.get(place));
        let at = LogPosition { term: slot.map_or(Term(0), |slot| slot.term), index };
        let membership = disks.archive().membership(at);
        let is_learner = membership.as_ref().is_some_and(|known| known.is_learner(to));
        let is_held = membership.is_some_and(|known| self.is_held_by(at, &known, disks));
        ensure(is_learner && is_held, Check::Rejoining, || {
            format!("n{leader} admits n{to} by {at}: it is a learner there: {is_learner}")
        })
    }

    /// A learner takes part again as soon as nothing depends on what it has lost: the voters hold
    /// all that is committed without it (docs/adr/0026).
    fn check_admission(&self, node: NodeId, disks: &mut Disks) -> Finding {
        let Some((_, membership)) = self.committed_membership(disks) else { return Ok(()) };
        let Some(last) = self.committed.last().copied() else { return Ok(()) };
        let at = position(self.committed.len() - 1, last.slot);
        let holders = self.holders(|log| has(log, at), disks);
        ensure(is_quorum(&membership, |id| holders.contains(&id)), Check::Rejoining, || {
            format!(
                "n{node} has lost its disk and learns again, and only {holders:?} hold {at}, which \
                 is committed by {membership:?}"
            )
        })
    }
}

/// True when a log has the entry at a position.
fn has(log: &[Slot], at: LogPosition) -> bool {
    let place = (at.index.0 as usize).checked_sub(1);
    place.is_none_or(|place| log.get(place).is_some_and(|slot| slot.term == at.term))
}

fn position(place: usize, slot: Slot) -> LogPosition {
    LogPosition { term: slot.term, index: LogIndex(place as u64 + 1) }
}
