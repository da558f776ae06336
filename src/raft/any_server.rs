//! Reads and writes at a node that does not lead (docs/adr/0031): it asks its leader for an index
//! that its reads must see, and passes its clients' commands on.
//!
//! | step | of | what happens |
//! |---|---|---|
//! | ask | the follower | `ReadIndex`, one at a time; all reads that came before share it |
//! | confirm | the leader | as a read of its own: by a round, by an entry, or by its lease |
//! | answer | the leader | `ReadIndexResponse`; and at once the commit index that the reads need |
//! | read | the follower | when its own store has applied that entry |
//! | forward | the follower | `Forward`, as many as the shell lets under way |
//! | append | the leader | like a command of its own; `Forwarded` says where, before the entry |
//! | tell | the leader | the commit index at once, when the entry is committed |
//! | answer | the follower | its client, when its own store has applied the entry |

use bytes::Bytes;

use super::effect::{Effect, ReadToken, SetSendMode, TellCommit};
use super::forwards::{ForwardAnswer, ForwardOrigin, ForwardedCommand};
use super::peer_questions::PeerQuestion;
use super::role::RoleState;
use super::rpc::{Forward, ForwardOutcome, Forwarded, ReadIndexRequest, ReadIndexResponse, Rpc};
use super::state::{NotLeader, Raft};
use crate::types::{Format, LogIndex, NodeId, Term};

/// The first format that has the messages of this file.
const ANY_SERVER_SINCE: Format = Format(4);

impl Raft {
    // A node that does not lead.

    /// Adds a linearizable read at any node. On the leader it is a [`Raft::read`] after `after`.
    /// On any other it is answered by the same effects; it sees all that its session was answered,
    /// and the caller keeps it apart from what the session has under way.
    ///
    /// # Errors
    /// When no leader was heard for long, and while the format in force lacks the question.
    pub fn read_anywhere(&mut self, token: ReadToken, after: LogIndex) -> Result<(), NotLeader> {
        if matches!(self.role, RoleState::Leader(_)) {
            return self.read(token, after);
        }
        if !self.hopes_for_leader() {
            return Err(NotLeader { leader_id: self.leader_id() });
        }
        self.inquiry.add(token);
        Ok(())
    }

    /// True of a node that does not lead and can let a command wait for a leader: it has heard one
    /// lately, or has just started, and the log has the format of the messages.
    pub fn hopes_for_leader(&self) -> bool {
        !matches!(self.role, RoleState::Leader(_))
            && !self.has_stopped
            && self.removed_at().is_none()
            && self.takes_commands_anywhere()
            && self.inquiry.leaderless_ticks <= 2 * self.settings.election_timeout_ticks_max
    }

    /// True when the log has the format in which every node takes commands.
    pub fn takes_commands_anywhere(&self) -> bool {
        self.log.cluster().newest().format.format >= ANY_SERVER_SINCE
    }

    /// The leader that commands can be forwarded to.
    pub fn forwards_to(&self) -> Option<NodeId> {
        let in_force = self.log.cluster().at(self.commit_index).format.format;
        // The log of a server that was removed does not go on: no answer would come.
        let is_part = !matches!(self.role, RoleState::Leader(_)) && self.removed_at().is_none();
        self.leader_id().filter(|_| is_part && in_force >= ANY_SERVER_SINCE)
    }

    /// Forwards a command to the leader. Returns its number, which [`Effect::ForwardAnswered`]
    /// repeats. The answer may be lost with a connection, and then nothing is known.
    ///
    /// # Errors
    /// When no leader is known, or this node is it, and while the format in force lacks the
    /// message: nothing was sent.
    pub fn forward(&mut self, command: Bytes) -> Result<u64, NotLeader> {
        let Some(leader) = self.forwards_to() else {
            return Err(NotLeader { leader_id: self.leader_id() });
        };
        let (boot, number) = (self.settings.gate.boot, self.forwards.next_number());
        let rpc = Rpc::Forward(Forward { boot, number, command });
        self.effects.push(Effect::Send(self.envelope(leader, rpc)));
        Ok(number)
    }

    /// Sends the question for the reads that wait, if one is due.
    pub(super) fn ask_leader(&mut self) {
        if !self.inquiry.is_asking() {
            return;
        }
        let (leader, term) = (self.forwards_to(), self.term());
        if let Some(leader) = leader
            && let Some(number) = self.inquiry.ask(leader, term)
        {
            let boot = self.settings.gate.boot;
            let rpc = Rpc::ReadIndex(ReadIndexRequest { boot, number });
            // A question promises nothing, so it does not wait for the disk.
            self.effects.push(Effect::Send(self.envelope(leader, rpc)));
        }
    }

    /// Time passes for the reads at a node that does not lead. When no leader was heard for long,
    /// they fail: another server may know one. So do all of a node that was removed.
    pub(super) fn tick_inquiry(&mut self) {
        let settings = &self.settings;
        self.inquiry.tick(settings.heartbeat_ticks);
        let is_led = match &self.role {
            RoleState::Leader(_) => true,
            RoleState::Follower { leader: Some(contact) } => {
                contact.silent_ticks() < settings.election_timeout_ticks_max
            }
            _ => false,
        };
        let ticks = self.inquiry.leaderless_ticks;
        self.inquiry.leaderless_ticks = if is_led { 0 } else { ticks.saturating_add(1) };
        let failed = if self.removed_at().is_some() {
            // The index that some of them wait for will not come.
            self.inquiry.take_all()
        } else if self.inquiry.is_asking() && !self.hopes_for_leader() {
            self.inquiry.give_up()
        } else {
            Vec::new()
        };
        self.fail_reads(failed);
    }

    /// Fails reads, by arrival.
    pub(super) fn fail_reads(&mut self, tokens: Vec<ReadToken>) {
        self.inquiry.has_failed_reads |= !tokens.is_empty();
        self.effects.extend(tokens.into_iter().map(|token| Effect::ReadFailed { token }));
    }

    /// True when reads have failed, and the caller has not taken the effects that say so. It may
    /// add them again, and has to do that before it adds a later command of their sessions.
    pub fn has_failed_reads(&self) -> bool {
        self.inquiry.has_failed_reads
    }

    /// The leader of our term answers a question.
    pub(super) fn on_read_index_response(&mut self, from: NodeId, response: ReadIndexResponse) {
        let ReadIndexResponse { boot, number, index } = response;
        if let Some(index) = index
            && boot == self.settings.gate.boot
            && self.leader_id() == Some(from)
        {
            self.inquiry.on_answer(from, self.term(), number, index);
            self.release_reads();
        }
    }

    /// A leader of this term or of an earlier one says what has become of a command. It is a fact
    /// in every term.
    pub(super) fn on_forwarded(&mut self, from: NodeId, term: Term, word: Forwarded) {
        let Forwarded { boot, number, outcome } = word;
        if boot == self.settings.gate.boot {
            let answer = ForwardAnswer { from, number, term, outcome };
            self.effects.push(Effect::ForwardAnswered(answer));
        }
    }

    /// As a leader that was just elected: the reads that waited for another leader wait for this
    /// one. No session's write is before them.
    pub(super) fn adopt_inquiry(&mut self) {
        for token in self.inquiry.take_all() {
            let added = self.read(token, LogIndex(0));
            assert!(added.is_ok(), "a leader takes reads");
        }
    }

    // The leader.

    /// A peer asks for an index that its reads must see.
    pub(super) fn on_read_index(&mut self, from: NodeId, request: ReadIndexRequest) {
        let ReadIndexRequest { boot, number } = request;
        let (commit_index, place) = (self.commit_index, self.log.last().index);
        let has_lease = self.holds_lease();
        let RoleState::Leader(leadership) = &mut self.role else {
            let response = ReadIndexResponse { boot, number, index: None };
            return self.send(from, Rpc::ReadIndexResponse(response));
        };
        if leadership.questions.has(from, boot, number) {
            return;
        }
        // More may be committed before our first entry than we know (docs/bugs.md B37).
        let index = commit_index.max(leadership.reads.first_index());
        // A lease confirms it at once, as a round that is over does.
        let seq = if has_lease { 0 } else { leadership.reads.want_round() };
        leadership.questions.add(from, PeerQuestion { boot, number, index, place, seq });
        self.on_asking(from);
        self.answer_questions();
    }

    /// Answers the questions of peers that are confirmed.
    pub(super) fn answer_questions(&mut self) {
        let commit_index = self.commit_index;
        let RoleState::Leader(leadership) = &mut self.role else { return };
        let confirmed_seq = leadership.reads.confirmed_seq();
        // An entry of an earlier term confirms nothing.
        let first_index = leadership.reads.first_index();
        let own_index = if commit_index >= first_index { commit_index } else { LogIndex(0) };
        let confirmed = leadership.questions.take_confirmed(confirmed_seq, own_index);
        for (peer, question) in &confirmed {
            leadership.await_commit(*peer, question.index);
        }
        for (peer, PeerQuestion { boot, number, index, .. }) in confirmed {
            let response = ReadIndexResponse { boot, number, index: Some(index) };
            self.send(peer, Rpc::ReadIndexResponse(response));
        }
    }

    /// A peer forwards a command. The shell takes it, because it knows what there is room for.
    pub(super) fn on_forward(&mut self, from: NodeId, forward: Forward) {
        let Forward { boot, number, command } = forward;
        let origin = ForwardOrigin { peer: from, boot, number };
        let RoleState::Leader(leadership) = &mut self.role else {
            return self.answer_forwarded(origin, ForwardOutcome::NotLeader);
        };
        if leadership.questions.is_new_command(from, boot, number) {
            self.forwards.add(ForwardedCommand { origin, command });
            self.on_asking(from);
        }
    }

    /// Takes the commands that peers have forwarded since the last call. The shell calls it after
    /// each [`Raft::step`], and answers each of them once by [`Raft::answer_forwarded`].
    pub fn take_forwarded(&mut self) -> Vec<ForwardedCommand> {
        self.forwards.take_arrived()
    }

    /// Tells a peer what has become of a command that it has forwarded. The word leaves before the
    /// entry does, and on the same connection: so the peer knows its entry when it comes.
    pub fn answer_forwarded(&mut self, origin: ForwardOrigin, outcome: ForwardOutcome) {
        let ForwardOrigin { peer, boot, number } = origin;
        if let RoleState::Leader(leadership) = &mut self.role
            && let ForwardOutcome::Appended(index) = outcome
        {
            leadership.await_commit(peer, index);
        }
        self.send(peer, Rpc::Forwarded(Forwarded { boot, number, outcome }));
    }

    /// A peer's clients wait: if it asks often, it is sent entries at once for a while, even if no
    /// quorum needs it (docs/adr/0014).
    fn on_asking(&mut self, peer: NodeId) {
        let (term, ticks) = (self.term(), self.settings.ticks_per_second);
        let RoleState::Leader(leadership) = &mut self.role else { return };
        if let Some(mode) = leadership.on_asking(peer, ticks) {
            self.effects.push(Effect::SetSendMode(SetSendMode { term, peer, mode }));
        }
    }

    /// Tells the commit index to the peers whose clients wait for it: an idle leader would say it
    /// with the next heartbeat only.
    pub(super) fn tell_commits(&mut self) {
        let (term, leader_commit) = (self.term(), self.commit_index);
        let RoleState::Leader(leadership) = &mut self.role else { return };
        for peer in leadership.take_awaited(leader_commit) {
            self.effects.push(Effect::TellCommit(TellCommit { term, peer, leader_commit }));
        }
    }
}
