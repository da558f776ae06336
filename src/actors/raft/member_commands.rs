//! The commands of operators about the members: RaftActor accepts and answers them here.

use super::RaftActor;
use super::members::{Begun, Wait};
use crate::actors::messages::clients::{ClientReply, ReplyHandle};
use crate::actors::messages::replies::{Replies, reply};
use crate::protocol::{ChangeWaited, MembersReport, Refusal, outcome};
use crate::raft::{ChangeRefusal, MemberOutcome, Role};
use crate::types::{ChangeKind, EndedChange, LogIndex, MemberRequest, NodeId};

impl RaftActor {
    /// Changes the members. The answer waits until the entry that begins the change is applied
    /// here.
    pub(super) fn change_members(
        &mut self,
        request: &MemberRequest,
        reply_handle: &ReplyHandle,
    ) -> Result<(), Refusal> {
        if self.members.has_most_changes() {
            return Err(self.busy_or_not_leader());
        }
        let answer = match self.raft.request_change(request) {
            // The same request once more, whose change goes on.
            Ok(MemberOutcome::Begun { number, index, what })
                if index <= self.raft.last_applied() =>
            {
                ClientReply::Change { number, id: subject(what) }
            }
            Ok(MemberOutcome::Begun { number, index, what }) => {
                let (reply_handle, id) = (reply_handle.clone(), subject(what));
                let expires_at_tick = self.expires_at_tick();
                let begun = Begun { number, id, reply_handle, expires_at_tick };
                self.members.add_change(index, begun);
                return Ok(());
            }
            Ok(MemberOutcome::Already) => ClientReply::Already,
            Ok(MemberOutcome::Plan(plan)) => ClientReply::Plan(plan),
            Err(ChangeRefusal::NotLeader(_)) => return Err(self.not_leader()),
            Err(refusal @ ChangeRefusal::NotYet { .. }) => ClientReply::NotYet(refusal.to_string()),
            Err(refusal) => ClientReply::RefusedBecause(refusal.to_string()),
        };
        reply(reply_handle.clone(), answer);
        Ok(())
    }

    /// The members as this node knows them.
    pub(super) fn members_report(&self) -> MembersReport {
        let status = self.raft.members_status();
        let addresses = |id| self.raft.member(id).cloned();
        let unseen_ms = self.settings.unseen_ms;
        outcome::members(&status, &self.raft.status(), unseen_ms, addresses)
    }

    /// The answer waits until this node knows that the change has ended.
    pub(super) fn wait_for_change(
        &mut self,
        number: LogIndex,
        reply_handle: &ReplyHandle,
    ) -> Result<(), Refusal> {
        if self.members.has_most_waits() {
            return Err(Refusal::Busy);
        }
        let (reply_handle, expires_at_tick) = (reply_handle.clone(), self.expires_at_tick());
        self.members.add_wait(Wait { number, reply_handle, expires_at_tick });
        Ok(())
    }

    /// Ends the waiting of the commands whose time is over.
    pub(super) fn time_out_members(&mut self) {
        let mut replies = self.members.time_out(self.ticks);
        for Wait { number, reply_handle, .. } in self.members.take_expired_waits(self.ticks) {
            let end = self.what_it_waits_for(number);
            replies.add(reply_handle, ClientReply::ChangeWaited(number, end));
        }
        replies.send();
    }

    /// The end of the change of this number, as this node knows it; `None` while it is under way,
    /// or may be.
    ///
    /// A change that has removed the leader has ended when a leader of the new voters has
    /// committed in its own term: until then the one that leaves serves, and must not be stopped.
    fn what_became_of(&self, number: LogIndex) -> Option<ChangeWaited> {
        let ended = self.members.committed_end(number);
        if let Some(EndedChange { is_done, .. }) = ended {
            let is_done = *is_done;
            return self.is_led_by_a_voter().then_some(ChangeWaited::Ended { is_done });
        }
        // This node may have to catch up first. A leader has every entry that is committed.
        let may_come = self.raft.role() != Role::Leader && number > self.raft.commit_index();
        let is_known = may_come || self.members.is_under_way(number);
        (!is_known).then_some(ChangeWaited::NotFound)
    }

    /// True when the leader that this node knows is a voter, and has committed in its own term.
    fn is_led_by_a_voter(&self) -> bool {
        let is_voter = |id| self.members.committed().is_some_and(|it| it.is_voter(id));
        self.raft.leader_id().is_some_and(is_voter)
            && self.raft.term_at(self.raft.commit_index()) == Some(self.raft.term())
    }

    /// The answer to one whose time to wait for a change is over.
    fn what_it_waits_for(&self, number: LogIndex) -> ChangeWaited {
        let status = self.raft.members_status();
        let has_ended = status.membership.ended.iter().find(|ended| ended.number == number);
        let sentence = match (status.membership.change.filter(|it| it.number == number), has_ended)
        {
            (Some(change), _) => match (status.waits_for, status.leader_id) {
                (Some(clause), _) => format!("{}; waits for: {clause}", change.what),
                (None, _) if status.is_leader => change.what.to_string(),
                (None, Some(id)) => format!("{}; server {id} leads, ask it what for", change.what),
                (None, None) => format!("{}; waits for: a leader", change.what),
            },
            (None, Some(ended)) => {
                format!("{}; waits for: a leader of the new voters that has committed", ended.what)
            }
            (None, None) => return ChangeWaited::NotFound,
        };
        ChangeWaited::Running { sentence }
    }

    /// Answers those who wait for a change that has ended, or that is none. Called after each batch
    /// of effects: it may have been committed, or another node may lead.
    pub(super) fn answer_waits(&mut self) {
        let mut replies = Replies::default();
        for wait in self.members.take_waits() {
            match self.what_became_of(wait.number) {
                None => self.members.add_wait(wait),
                Some(end) => {
                    let answer = ClientReply::ChangeWaited(wait.number, end);
                    replies.add(wait.reply_handle, answer);
                }
            }
        }
        replies.send();
    }
}

/// The member that a change is about; the new one, when a server takes the place of another.
fn subject(what: ChangeKind) -> NodeId {
    match what {
        ChangeKind::Add { id }
        | ChangeKind::AddLearner { id }
        | ChangeKind::Remove { id }
        | ChangeKind::Replace { new: id, .. }
        | ChangeKind::Promote { id }
        | ChangeKind::Demote { id }
        | ChangeKind::Update { id } => id,
    }
}
