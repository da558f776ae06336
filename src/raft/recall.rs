//! The rules of what peers acknowledged: heard of, told to those that start again, and judged by
//! them (docs/adr/0024).

use super::effect::{Effect, RefusePeer};
use super::event::Event;
use super::introduction::Introduction;
use super::peer_fault::PeerFault;
use super::rejoin::Rejoining;
use super::role::RoleState;
use super::rpc::{Remembered, Rpc};
use super::state::Raft;
use crate::types::{Format, HardState, LogIndex, LogPosition, NodeId, Term};

/// The first format that has the message [`Rpc::Remembered`].
const WORDS_SINCE: Format = Format(2);

impl Raft {
    // Hearing.

    /// As the leader: the peer holds everything up to `match_index` durably, and has
    /// acknowledged that in our term.
    pub(super) fn remember_report(&mut self, peer: NodeId, match_index: LogIndex) {
        // The terms of what is compacted away are not known any more.
        let Some(term) = self.log.term_at(match_index) else { return };
        let leader_term = self.term();
        self.recall.peers.learn(peer, leader_term, LogPosition { term, index: match_index });
    }

    /// As the leader: the last entry that each member has acknowledged in our term, as far as
    /// that is known. This node is among them: it counts its own log, and its disk may lose that
    /// as any other may.
    pub(super) fn acknowledged_table(&mut self) -> Vec<(NodeId, LogPosition)> {
        if !matches!(self.role, RoleState::Leader(_)) {
            return Vec::new();
        }
        let (leader_term, index) = (self.term(), self.persistence.persisted_index());
        let mut table = self.recall.peers.acknowledged_to(leader_term);
        // Nobody speaks for a server that was removed (docs/bugs.md B50).
        table.retain(|(peer, _)| self.membership().is_member(*peer));
        if let Some(term) = self.log.term_at(index).filter(|_| index > LogIndex(0)) {
            self.recall.start.on_acknowledged(leader_term, index);
            table.push((self.settings.id, LogPosition { term, index }));
        }
        table
    }

    /// The leader of our term says what each member has acknowledged to it.
    pub(super) fn on_acknowledged_table(&mut self, table: &[(NodeId, LogPosition)]) {
        let (leader_term, peers) = (self.term(), self.other_members());
        for (peer, acknowledged) in table {
            if peers.contains(peer) && acknowledged.term <= leader_term {
                self.recall.peers.learn(*peer, leader_term, *acknowledged);
            }
        }
    }

    // Telling.

    /// The peer has connected. If it is another run than the one that acknowledged what this node
    /// remembers, it is told, on the connection on which it has introduced itself: so the word
    /// cannot reach an earlier run, and comes right behind the answer to its hello.
    pub(super) fn meet(&mut self, peer: NodeId, introduction: &Introduction) {
        let word = self.recall.peers.on_attached(peer, introduction.boot);
        // No server from before that format reads the message.
        let is_read = self.log.cluster().at(self.commit_index).format.format >= WORDS_SINCE;
        if let Some(word) = word.filter(|_| is_read) {
            self.send(peer, Rpc::Remembered(word));
        }
    }

    // Judging.

    /// A peer says what this node acknowledged before it started. Whoever says it, and whenever:
    /// this node judges by the state with which it started.
    pub(super) fn on_remembered(&mut self, from: NodeId, term: Term, word: Remembered) {
        let Remembered { boot, leader_term, acknowledged } = word;
        if leader_term > term || acknowledged.term > leader_term {
            let fault = PeerFault::Remembered { leader_term, acknowledged, term };
            self.effects.push(Effect::RefusePeer(RefusePeer {
                peer: from,
                is_response: true,
                fault,
            }));
            return;
        }
        let is_own = boot == self.settings.gate.boot;
        if is_own || self.recall.start.explains(leader_term, acknowledged) || !self.can_be_spared()
        {
            return;
        }
        if leader_term > self.term() {
            // The term was lost, too. This node votes in none up to there.
            self.adopt_term(leader_term, "it has lost what it acknowledged");
        } else if !matches!(self.role, RoleState::Follower { .. }) {
            self.become_follower(None, "it has lost what it acknowledged");
        }
        let last = self.recall.start.last();
        self.forget(from, acknowledged, last);
    }

    /// This node has lost what it acknowledged: `from` has told it, and its log ended with
    /// `last`. It rejoins, as after the repair of a damaged log (docs/adr/0009), and its end is
    /// not known, because the log may have reached further.
    pub(super) fn forget(&mut self, from: NodeId, acknowledged: LogPosition, last: LogPosition) {
        let before = self.hard_state();
        if before.is_rejoining && before.lost >= acknowledged && !before.is_end_known {
            return;
        }
        let lost = before.lost.max(acknowledged);
        let hard_state = HardState { is_rejoining: true, lost, is_end_known: false, ..before };
        self.persistence.set_hard_state(hard_state);
        if !before.is_rejoining {
            // The messages that wait for the disk are those of a voter.
            self.persistence.drop_deferred();
            self.rejoining = Rejoining::default();
            self.tell(Event::Forgot { told_by: from, acknowledged, last });
        }
    }
}
