//! The commands of operators about the members (docs/adr/0026). A change is answered when the entry
//! that begins it is applied here; one who waits for a change, when this node knows that it has
//! ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::RaftActor;
use crate::actors::messages::clients::{ClientReply, ReplyHandle};
use crate::actors::messages::replies::{Replies, reply};
use crate::protocol::{ChangeWaited, MembersReport, Refusal, outcome};
use crate::raft::{ChangeRefusal, MemberOutcome, MemberRequest, Role};
use crate::types::{ChangeKind, LogIndex, Membership, NodeId};

/// Maximum number of changes that wait for their entry, and of clients that wait for a change;
/// beyond, `ERR_BUSY`.
const COMMANDS_MAX: usize = 64;

/// The commands that wait.
#[derive(Default)]
pub(super) struct PendingMembers {
    /// The changes, each by the entry that begins it or takes it back.
    begun: BTreeMap<LogIndex, Vec<Begun>>,
    /// The clients that wait for a change.
    waits: Vec<Wait>,
    /// The newest membership that this node knows to be committed.
    pub(super) committed: Option<Arc<Membership>>,
}

/// A change whose entry is not applied yet.
struct Begun {
    number: LogIndex,
    id: NodeId,
    reply_handle: ReplyHandle,
    expires_at_tick: u64,
}

/// A client that waits for a change.
struct Wait {
    number: LogIndex,
    reply_handle: ReplyHandle,
    expires_at_tick: u64,
}

impl PendingMembers {
    fn has_most_changes(&self) -> bool {
        self.begun.values().map(Vec::len).sum::<usize>() >= COMMANDS_MAX
    }

    /// Everything up to `last_applied` is applied. Returns the replies to the changes among it.
    pub(super) fn on_applied(&mut self, last_applied: LogIndex) -> Replies {
        let mut replies = Replies::default();
        while let Some(first) = self.begun.first_entry()
            && *first.key() <= last_applied
        {
            for Begun { number, id, reply_handle, .. } in first.remove() {
                replies.add(reply_handle, ClientReply::Change { number, id });
            }
        }
        replies
    }

    /// The leadership is over: this node will not learn whether the entries of the changes are
    /// committed. Returns the replies.
    pub(super) fn lose_changes(&mut self) -> Replies {
        let mut replies = Replies::default();
        for change in std::mem::take(&mut self.begun).into_values().flatten() {
            let refusal = ClientReply::Refused(Refusal::LeadershipLost);
            replies.add(change.reply_handle, refusal);
        }
        replies
    }

    /// Returns the refusals of the changes whose time is over at `tick`. They may yet be executed.
    fn time_out(&mut self, tick: u64) -> Replies {
        let mut replies = Replies::default();
        for changes in self.begun.values_mut() {
            for expired in changes.extract_if(.., |change| change.expires_at_tick <= tick) {
                replies.add(expired.reply_handle, ClientReply::Refused(Refusal::Timeout));
            }
        }
        self.begun.retain(|_, changes| !changes.is_empty());
        replies
    }
}

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
                self.members.begun.entry(index).or_default().push(begun);
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
        if self.members.waits.len() >= COMMANDS_MAX {
            return Err(Refusal::Busy);
        }
        let (reply_handle, expires_at_tick) = (reply_handle.clone(), self.expires_at_tick());
        self.members.waits.push(Wait { number, reply_handle, expires_at_tick });
        Ok(())
    }

    /// Ends the waiting of the commands whose time is over.
    pub(super) fn time_out_members(&mut self) {
        let mut replies = self.members.time_out(self.ticks);
        let is_over = |wait: &mut Wait| wait.expires_at_tick <= self.ticks;
        let expired: Vec<Wait> = self.members.waits.extract_if(.., is_over).collect();
        for Wait { number, reply_handle, .. } in expired {
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
        let committed = self.members.committed.as_deref();
        let ended = committed.and_then(|it| it.ended.iter().find(|ended| ended.number == number));
        if let Some(ended) = ended {
            let is_done = ended.is_done;
            return self.is_led_by_a_voter().then_some(ChangeWaited::Ended { is_done });
        }
        // This node may have to catch up first. A leader has every entry that is committed.
        let may_come = self.raft.role() != Role::Leader && number > self.raft.commit_index();
        let is_under_way = || {
            let newest = self.raft.members_status().membership;
            let is_it = |it: &Membership| it.change.as_ref().is_some_and(|it| it.number == number);
            is_it(&newest)
                || committed.is_some_and(is_it)
                || newest.ended.iter().any(|ended| ended.number == number)
        };
        (!may_come && !is_under_way()).then_some(ChangeWaited::NotFound)
    }

    /// True when the leader that this node knows is a voter, and has committed in its own term.
    fn is_led_by_a_voter(&self) -> bool {
        let committed = self.members.committed.as_deref();
        let is_voter = |id| committed.is_some_and(|it| it.is_voter(id));
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
        if self.members.waits.is_empty() {
            return;
        }
        let mut waits = std::mem::take(&mut self.members.waits);
        let mut replies = Replies::default();
        waits.retain(|Wait { number, reply_handle, .. }| {
            let Some(end) = self.what_became_of(*number) else { return true };
            replies.add(reply_handle.clone(), ClientReply::ChangeWaited(*number, end));
            false
        });
        self.members.waits = waits;
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
