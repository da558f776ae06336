//! The rules of the cluster's format and id (docs/adr/0023, docs/adr/0024): the leader raises
//! the format and names the cluster, every node announces what is committed, and a node that
//! cannot read the cluster's format stops.

use std::sync::Arc;

use super::effect::{Announcement, Effect};
use super::event::Event;
use super::format_gate::{AnnouncedKey, MemberWait, RaiseWait};
use super::introduction::Introduction;
use super::leadership::Leadership;
use super::role::RoleState;
use super::state::{NotLeader, Raft};
use super::stop_reason::StopReason;
use crate::types::{Entry, Format, FormatInForce, LogIndex, NodeId, Payload};

/// The format that lets a log name its cluster.
const NAMED_SINCE: Format = Format(2);

/// The outcome of a request to raise the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Raise {
    /// Nothing is to be done: this is the highest format that the leader reads.
    InForce(Format),
    /// An entry puts the format in force, when it is committed.
    Begun {
        /// The format.
        format: Format,
        /// The entry.
        index: LogIndex,
    },
}

/// The reason why a request to raise the format is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RaiseRefusal {
    /// Another node leads.
    #[error("{0}")]
    NotLeader(NotLeader),
    /// The format cannot be raised yet.
    #[error("format {format} is in force; {wait}")]
    Waits {
        /// The format in force.
        format: Format,
        /// The reason.
        wait: RaiseWait,
    },
}

impl Raft {
    // Connections and people.

    /// A peer has opened a connection to this node, and introduced itself on it, unless it is a
    /// server from before format 2.
    pub fn on_peer_attached(&mut self, peer: NodeId, introduction: Option<Introduction>) {
        self.gate.on_attached(peer, introduction.as_ref());
        if let Some(introduction) = &introduction {
            self.meet(peer, introduction);
        }
    }

    /// The last connection that a peer has opened to this node has ended.
    pub fn on_peer_detached(&mut self, peer: NodeId) {
        let is_member = self.membership().is_member(peer);
        self.gate.on_detached(peer, is_member);
        self.on_successor_gone(peer);
    }

    /// A person has asked this node to hold the format, or to hold it no longer. It is durable.
    pub fn set_held(&mut self, is_held: bool) {
        self.settings.gate.is_held = is_held;
    }

    /// Raises the format at once, if every member can read the next one and nobody holds it,
    /// however short the time for which they have been able to. A raise that is under way is
    /// the answer, too.
    ///
    /// # Errors
    /// When this node does not lead, and when the format cannot be raised.
    pub fn request_raise(&mut self) -> Result<Raise, RaiseRefusal> {
        let RoleState::Leader(leadership) = &self.role else {
            let leader_id = self.leader_id();
            return Err(RaiseRefusal::NotLeader(NotLeader { leader_id }));
        };
        match self.next_raise(leadership, true) {
            None => Ok(Raise::InForce(self.log.cluster().newest().format.format)),
            Some(Ok(format)) => {
                let index = self.raise_to(format);
                Ok(Raise::Begun { format, index })
            }
            Some(Err(RaiseWait::UnderWay)) => {
                let newest = self.log.cluster().newest_format();
                let (index, format) = newest.expect("a raise that is under way is in the log");
                Ok(Raise::Begun { format, index })
            }
            Some(Err(wait)) => {
                let format = self.log.cluster().at(self.commit_index).format.format;
                Err(RaiseRefusal::Waits { format, wait })
            }
        }
    }

    // The leader.

    /// Counts for how long each peer has been able to read the next format. Every node does:
    /// a new leader must know it, and so must a leader that has removed the last one that was not
    /// able.
    pub(super) fn tick_gate(&mut self) {
        let next = self.log.cluster().newest().format.format.next();
        self.gate.tick(next);
    }

    /// As the leader, raises the format if that is due, and names the cluster if it has no name.
    pub(super) fn tick_raising(&mut self) {
        let RoleState::Leader(leadership) = &self.role else { return };
        if self.is_transferring() {
            return; // the log must not grow until the office is handed over
        }
        // The name comes first, because members with addresses are known by it.
        if self.may_name_cluster(leadership) {
            self.append_own(Payload::ClusterId(self.settings.gate.new_cluster_id));
        } else if let Some(Ok(format)) = self.next_raise(leadership, false) {
            self.raise_to(format);
        }
    }

    fn raise_to(&mut self, format: Format) -> LogIndex {
        self.tell(Event::RaisesFormat { format });
        let raised = match self.log.is_unwritten() && format >= Format::REVISIONS {
            true => FormatInForce::of(format).in_unwritten_log(),
            false => FormatInForce::of(format),
        };
        self.append_own(Payload::Format(raised))
    }

    /// The format in force at the last entry that the store of this node was given. Nothing of a
    /// higher one is appended (docs/adr/0023).
    pub fn store_format(&self) -> Format {
        self.log.cluster().at(self.apply.submitted_index()).format.format
    }

    /// The next format, if it may be put in force now, or the reason why it may not. `None` when
    /// this node does not read a higher format. A leader that `is_asked` by a person does not
    /// wait until all have been able for long enough.
    fn next_raise(
        &self,
        leadership: &Leadership,
        is_asked: bool,
    ) -> Option<Result<Format, RaiseWait>> {
        if self.is_raising() {
            return Some(Err(RaiseWait::UnderWay));
        }
        let next = self.store_format().next();
        if !self.settings.gate.formats.contains(next) {
            return None;
        }
        let is_early = !is_asked && !leadership.has_founded;
        Some(self.judge_raise(leadership, next, is_early))
    }

    /// Judges the raise to `next`. A leader that would be `early` waits.
    fn judge_raise(
        &self,
        leadership: &Leadership,
        next: Format,
        is_early: bool,
    ) -> Result<Format, RaiseWait> {
        if self.commit_index < leadership.reads.first_index() {
            return Err(RaiseWait::NothingCommitted);
        }
        if self.is_transferring() {
            return Err(RaiseWait::HandsOver);
        }
        // A raise that does not look at a member which is just being added would be one that the
        // member cannot read.
        if let Some(wait) = self.members_wait() {
            return Err(wait);
        }
        let members = self.other_members();
        let mut waits = self.gate.waits(&members, next);
        let ticks_max = self.settings.election_timeout_ticks_max;
        if waits.is_empty() {
            let silent = members.iter().filter(|id| !leadership.has_answered(**id, ticks_max));
            waits.extend(silent.map(|id| MemberWait::Silent(*id)));
        }
        if self.settings.gate.is_held {
            waits.push(MemberWait::Holds(self.settings.id));
        }
        if !waits.is_empty() {
            return Err(RaiseWait::Members(waits));
        }
        let able = self.gate.able_ticks(&members, next);
        let needed = self.settings.gate.raise_after_ticks;
        if is_early && able < needed {
            let per_second = self.settings.ticks_per_second.max(1);
            let (able_s, needed_s) = (able / per_second, needed / per_second);
            return Err(RaiseWait::Young { able_s, needed_s });
        }
        Ok(next)
    }

    /// As the leader: a clause that says what the next raise waits for.
    pub(super) fn raise_waits_for(&self) -> Option<String> {
        let RoleState::Leader(leadership) = &self.role else { return None };
        self.next_raise(leadership, false)?.err().map(|wait| wait.to_string())
    }

    /// True of a leader that finds a cluster without an id, in a format that has one. Nothing of
    /// a format is appended before the store of the leader has the entry that puts it in force.
    fn may_name_cluster(&self, leadership: &Leadership) -> bool {
        let cluster = self.log.cluster();
        let in_force = self.store_format();
        !self.is_transferring()
            && cluster.newest().cluster_id.is_none()
            && in_force >= NAMED_SINCE
            && self.commit_index >= leadership.reads.first_index()
    }

    // Every node.

    /// Announces the facts about the cluster, if they are not those that were announced last.
    pub(super) fn announce_changes(&mut self) {
        self.note_departing_leader();
        let facts = self.log.cluster().at(self.commit_index);
        let newest = self.log.cluster().newest().membership.as_ref();
        let key = AnnouncedKey {
            newest: newest.map(|(index, _)| (*index, self.log.term_at(*index))),
            committed: self.committed_entry().map(|(index, _)| *index),
            leaving: self.leaving_version(),
            format: facts.format.format,
            cluster_id: facts.cluster_id,
            is_held: self.settings.gate.is_held,
            is_draining: self.announces_draining(),
        };
        if self.gate.announced_key == Some(key) {
            return;
        }
        self.gate.announced_key = Some(key);
        let news = Announcement {
            format: facts.format.clone(),
            cluster_id: facts.cluster_id,
            is_held: key.is_held,
            is_draining: key.is_draining,
            membership: Arc::new(self.membership().clone()),
            membership_at: self.log.cluster().newest().members_at(),
            committed: self.committed_membership().map(|newest| Arc::new(newest.clone())),
            peers: self.wanted_peers(),
            departing: self.members.departing(),
        };
        self.note_own_removal();
        if self.gate.announced.as_ref() == Some(&news) {
            return; // the log says what the settings said before
        }
        if let Some(before) = self.gate.announced.replace(news.clone()) {
            self.tell_members(before.committed.as_deref(), news.committed.as_deref());
            if before.format != news.format {
                self.tell(Event::FormatInForce { format: news.format.format });
            }
            if let Some(cluster_id) = news.cluster_id
                && before.cluster_id != news.cluster_id
            {
                self.tell(Event::ClusterNamed { cluster_id });
            }
        }
        self.effects.push(Effect::Announce(news));
    }

    /// The first format among these entries that this node does not read.
    pub(super) fn first_unreadable(&self, entries: &[Entry]) -> Option<FormatInForce> {
        entries.iter().find_map(|entry| match &entry.payload {
            Payload::Format(format) if !self.reads(format) => Some(format.clone()),
            _ => None,
        })
    }

    pub(super) fn reads(&self, format: &FormatInForce) -> bool {
        self.settings.gate.formats.contains(format.format)
    }

    /// Stops this node because the cluster has a format that it does not read.
    pub(super) fn stop_at(&mut self, needed: FormatInForce) {
        let reads = self.settings.gate.formats;
        self.stop(StopReason::Unreadable { needed, reads });
    }

    /// Ends the work of this node. From here on it changes no role, and `Raft::take_effects`
    /// gives no effect after the stop: nothing is written, sent or applied.
    pub(super) fn stop(&mut self, reason: StopReason) {
        if self.has_stopped {
            return;
        }
        self.become_follower(None, "this server stops");
        self.has_stopped = true;
        self.effects.push(Effect::Stop(reason));
    }

    /// True when this node has given [`Effect::Stop`], or is about to.
    pub fn has_stopped(&self) -> bool {
        self.has_stopped
    }
}
