//! The rules of changes that operators may ask for now, and the reasons why not (docs/adr/0026).
//!
//! [`Raft::request_change`] is the one place where a change of the members begins. A refusal is a
//! sentence for people, on one line: first the reason, then what to do, parted by `; `.

use std::collections::BTreeSet;

use super::member_change::{ChangePlan, ChangeRefusal, MemberOutcome};
use super::membership::{MEMBERS_SINCE, listed};
use super::quorum::Quorum;
use super::role::RoleState;
use super::state::{NotLeader, Raft};
use super::transitions;
use crate::types::{
    ChangeKind, EndedChange, LogIndex, MEMBERS_MAX, Member, MemberOperation, MemberRequest,
    Membership, NodeId, Tolerance,
};

/// The number of servers whose loss a cluster is to survive, when nobody says another.
const CAN_LOSE: usize = 1;

/// A change that may begin, with the addresses that it brings.
struct Wish {
    what: ChangeKind,
    member: Option<Member>,
}

impl Raft {
    /// Begins a change of the members, takes one back, or says what it would do. The change that
    /// is asked for twice is begun once, and both requests get its number.
    ///
    /// # Errors
    /// When this node does not lead, and when the change is not safe now.
    pub fn request_change(
        &mut self,
        request: &MemberRequest,
    ) -> Result<MemberOutcome, ChangeRefusal> {
        let (index, membership) = self.check_readiness()?;
        let operation = &request.operation;
        if let MemberOperation::Cancel { number } = operation {
            return self.request_cancel(&membership, index, *number, request.is_dry_run);
        }
        if let Some(outcome) = self.begun_before(&membership, index, operation) {
            return Ok(outcome);
        }
        self.check_freedom(&membership, index)?;
        let wish = self.wish(&membership, operation)?;
        let plan = self.plan(&membership, wish.what, request.can_lose)?;
        if request.is_dry_run {
            return Ok(MemberOutcome::Plan(plan));
        }
        let what = wish.what;
        let number = self.log.last().index.next();
        let next = transitions::begin(&membership, number, what, wish.member.as_ref());
        self.append_membership(next);
        Ok(MemberOutcome::Begun { number, index: number, what })
    }

    // Readiness for any change.

    /// The newest membership with its entry, if this leader may change members at all.
    fn check_readiness(&self) -> Result<(LogIndex, Membership), ChangeRefusal> {
        let RoleState::Leader(leadership) = &self.role else {
            return Err(ChangeRefusal::NotLeader(NotLeader { leader_id: self.leader_id() }));
        };
        if self.commit_index < leadership.reads.first_index() {
            return Err(ChangeRefusal::NothingCommitted);
        }
        let in_force = self.store_format();
        if in_force < MEMBERS_SINCE {
            let wait = self.raise_waits_for();
            let waits = wait.unwrap_or_else(|| "this server does not read it".to_owned());
            return Err(ChangeRefusal::NotYet { in_force, needed: MEMBERS_SINCE, waits });
        }
        match self.logged_membership() {
            Some((index, membership)) if !membership.is_seed() => Ok((*index, membership.clone())),
            _ => Err(refused(self.seed_reason())),
        }
    }

    fn seed_reason(&self) -> String {
        let silent = self.without_addresses();
        if silent.is_empty() {
            return "the addresses of the members are just being written to the log; try again in \
                    a second"
                .to_owned();
        }
        let silent = listed(&silent);
        format!(
            "the addresses of server {silent} are not known, and members change only when the log \
             has all; start {silent} with this version, or list it in the leader's servers.toml"
        )
    }

    /// Refuses a change beside another one, beside a raise, or beside a transfer.
    fn check_freedom(&self, membership: &Membership, index: LogIndex) -> Result<(), ChangeRefusal> {
        if let Some(change) = &membership.change {
            return Err(ChangeRefusal::Busy { number: change.number, what: change.what });
        }
        if index > self.commit_index {
            return Err(match self.just_ended(membership) {
                Some(ended) => ChangeRefusal::Busy { number: ended.number, what: ended.what },
                None => refused(
                    "an entry about the members is not committed yet; try again in a \
                                 second",
                ),
            });
        }
        if self.is_raising() {
            return Err(refused("the format is just being raised; try again in a second"));
        }
        if self.is_transferring() {
            return Err(refused("the leadership is just being handed over; try again in a second"));
        }
        Ok(())
    }

    /// The change that the newest membership has ended, if that is not committed yet.
    fn just_ended(&self, membership: &Membership) -> Option<EndedChange> {
        let before = self.committed_membership()?;
        let last = membership.ended.last().filter(|last| before.ended.last() != Some(*last));
        last.cloned()
    }

    // Requests that come again.

    /// The outcome of a request that is fulfilled already, or is being fulfilled.
    fn begun_before(
        &self,
        membership: &Membership,
        index: LogIndex,
        operation: &MemberOperation,
    ) -> Option<MemberOutcome> {
        let begun = |number, index, what| Some(MemberOutcome::Begun { number, index, what });
        if let Some(change) = &membership.change {
            if is_same(membership, operation, change.what) {
                return begun(change.number, change.number, change.what);
            }
        } else if index > self.commit_index {
            let ended = self.just_ended(membership)?;
            if ended.is_done && is_same(membership, operation, ended.what) {
                return begun(ended.number, index, ended.what);
            }
            return None;
        }
        is_fulfilled(membership, operation).then_some(MemberOutcome::Already)
    }

    /// Takes a change back.
    fn request_cancel(
        &mut self,
        membership: &Membership,
        newest: LogIndex,
        number: LogIndex,
        is_dry_run: bool,
    ) -> Result<MemberOutcome, ChangeRefusal> {
        let change = membership.change.as_ref().filter(|change| change.number == number);
        let Some(what) = change.map(|change| change.what) else {
            return cancel_ended(membership, newest, number, self.commit_index);
        };
        if membership.is_joint() {
            return Err(refused(format!(
                "change {number} ({what}) has come to its joint membership, and ends by itself; \
                 wait for it: coracle member wait {number}"
            )));
        }
        if newest > self.commit_index || self.is_transferring() {
            return Err(refused(format!(
                "change {number} ({what}) is just being written; try again in a second"
            )));
        }
        if is_dry_run {
            let tolerance = self.quorum().tolerance(|id| self.is_here(id));
            let plan = ChangePlan { what, before: tolerance, after: tolerance };
            return Ok(MemberOutcome::Plan(plan));
        }
        let index = self.log.last().index.next();
        self.append_membership(transitions::cancel(membership, index));
        Ok(MemberOutcome::Begun { number, index, what })
    }

    // The sense of the wish.

    fn wish(
        &self,
        membership: &Membership,
        operation: &MemberOperation,
    ) -> Result<Wish, ChangeRefusal> {
        let (what, member) = match operation {
            MemberOperation::Add { id, member, is_learner } => {
                let id = self.new_id(membership, *id)?;
                check_room(membership)?;
                self.check_addresses(membership, None, member)?;
                let learner = ChangeKind::AddLearner { id };
                (if *is_learner { learner } else { ChangeKind::Add { id } }, Some(member.clone()))
            }
            MemberOperation::Replace { old, id, member } => {
                check_member(membership, *old)?;
                if membership.is_learner(*old) {
                    return Err(refused(format!(
                        "server {old} is a learner, and only a voter is replaced; remove it, and \
                         add the new server: coracle member remove {old}"
                    )));
                }
                let new = self.new_id(membership, *id)?;
                check_room(membership)?;
                // The machine may have been rebuilt, and have the addresses that it had.
                self.check_addresses(membership, Some(*old), member)?;
                (ChangeKind::Replace { old: *old, new }, Some(member.clone()))
            }
            MemberOperation::Remove { id } => {
                check_member(membership, *id)?;
                (ChangeKind::Remove { id: *id }, None)
            }
            MemberOperation::Promote { id } => {
                check_member(membership, *id)?;
                (ChangeKind::Promote { id: *id }, None)
            }
            MemberOperation::Demote { id } => {
                check_member(membership, *id)?;
                (ChangeKind::Demote { id: *id }, None)
            }
            MemberOperation::Update { id, peer, client } => {
                let before = check_member(membership, *id)?;
                let peer = peer.as_ref().unwrap_or(&before.peer).clone();
                let client = client.as_ref().unwrap_or(&before.client).clone();
                let member = Member { peer, client };
                self.check_update(membership, *id, &member)?;
                (ChangeKind::Update { id: *id }, Some(member))
            }
            // `request_change` does not ask about it.
            MemberOperation::Cancel { number } => {
                return Err(refused(format!("change {number} is not under way")));
            }
        };
        Ok(Wish { what, member })
    }

    /// The id of a new member: the one that is wished, or the next.
    fn new_id(
        &self,
        membership: &Membership,
        wished: Option<NodeId>,
    ) -> Result<NodeId, ChangeRefusal> {
        let Some(next) = membership.last_id.0.checked_add(1).map(NodeId) else {
            return Err(refused(
                "there is no id above that of all members; no server can be added",
            ));
        };
        match wished {
            None => Ok(next),
            Some(id) if id > membership.last_id => Ok(id),
            Some(id) if membership.is_member(id) => {
                Err(refused(format!("server {id} is a member already; the next free id is {next}")))
            }
            Some(id) => Err(refused(format!(
                "{}, and no id is used again; the next free id is {next}",
                gone_clause(membership, id)
            ))),
        }
    }

    /// Checks the addresses that a member is to have: only `holder` may have them already.
    fn check_addresses(
        &self,
        membership: &Membership,
        holder: Option<NodeId>,
        member: &Member,
    ) -> Result<(), ChangeRefusal> {
        if member.peer == member.client {
            return Err(refused(format!(
                "{} cannot be the address for servers and for clients; name two ports",
                member.peer
            )));
        }
        for address in [&member.peer, &member.client] {
            if !address.is_valid() {
                return Err(refused(format!(
                    "{:?} is no address that others could dial; name a host and a port",
                    address.to_string()
                )));
            }
            let others = membership.members.iter().filter(|(other, _)| Some(**other) != holder);
            let has_it = |member: &Member| &member.peer == address || &member.client == address;
            let taken = others.map(|(other, member)| {
                (*other, has_it(member) || self.member(*other).is_some_and(has_it))
            });
            if let Some((other, _)) = taken.into_iter().find(|(_, is_taken)| *is_taken) {
                return Err(refused(self.taken_reason(membership, other, &address.to_string())));
            }
        }
        Ok(())
    }

    fn taken_reason(&self, membership: &Membership, other: NodeId, address: &str) -> String {
        if membership.is_learner(other) {
            format!(
                "{address} is the address of server {other}, which is a learner; to make it a \
                 voter: coracle member promote {other}"
            )
        } else {
            format!(
                "{address} is the address of server {other}; name another one, or replace {other}: \
                 coracle member list"
            )
        }
    }

    /// A server that is connected knows best where it is reached.
    fn check_update(
        &self,
        membership: &Membership,
        id: NodeId,
        member: &Member,
    ) -> Result<(), ChangeRefusal> {
        self.check_addresses(membership, Some(id), member)?;
        let said = if id == self.id() {
            self.settings.own_member.as_ref()
        } else {
            self.gate.peer(id).and_then(|peer| peer.member.as_ref())
        };
        match said.filter(|said| *said != member) {
            None => Ok(()),
            Some(Member { peer, client }) => Err(refused(format!(
                "server {id} is connected, and says that it is reached at {peer} and {client}; \
                 change that in its own settings"
            ))),
        }
    }

    // The number of servers that can be lost.

    /// The effect of a change on the number of servers that can be lost.
    fn plan(
        &self,
        membership: &Membership,
        what: ChangeKind,
        can_lose: Option<u32>,
    ) -> Result<ChangePlan, ChangeRefusal> {
        let candidate = what.candidate();
        let voters = transitions::voters_after(membership, what);
        let before = Quorum::of(membership).tolerance(|id| self.is_here(id));
        if voters.is_empty() {
            return Err(refused(
                "it is the only voter, and a cluster needs one; add another server before: coracle \
                 member add ADDRESS",
            ));
        }
        let changed = Membership { voters, ..Membership::default() };
        let after = Quorum::of(&changed).tolerance(|id| Some(id) == candidate || self.is_here(id));
        let plan = ChangePlan { what, before, after };
        if changed.voters == membership.voters {
            return Ok(plan);
        }
        let wished = can_lose.map(|wished| usize::try_from(wished).unwrap_or(usize::MAX));
        let is_enough = match (after.can_lose, wished) {
            (None, _) => false,
            (Some(after), Some(wished)) => after >= wished,
            // Nobody misses a server that is not here. But the loss of one that is here leaves
            // too few, whether there were more before or not.
            (Some(after), None) => {
                let is_missed =
                    subject_of(what).is_some_and(|id| self.is_here(id) || self.may_hear(id));
                after >= CAN_LOSE || !is_missed && Some(after) >= before.can_lose
            }
        };
        if is_enough {
            return Ok(plan);
        }
        let counted = changed.voters.iter().copied().chain(subject_of(what));
        if counted.filter(|id| Some(*id) != candidate).any(|id| self.may_hear(id)) {
            return Err(refused(
                "this leader was elected just now, and has not heard all voters; try again in a \
                 second",
            ));
        }
        Err(refused(self.tolerance_reason(&plan, &changed.voters, wished)))
    }

    /// True of a leader that is so new that this voter may be there, and was not heard yet.
    fn may_hear(&self, id: NodeId) -> bool {
        let RoleState::Leader(leadership) = &self.role else { return false };
        id != self.id()
            && leadership.unheard_ticks(id).is_none()
            && leadership.has_heard(id, self.settings.election_timeout_ticks_min)
    }

    fn tolerance_reason(
        &self,
        plan: &ChangePlan,
        voters: &BTreeSet<NodeId>,
        wished: Option<usize>,
    ) -> String {
        let ChangePlan { what, after, .. } = *plan;
        let Tolerance { needed, here, can_lose, .. } = after;
        let ids: Vec<NodeId> = voters.iter().copied().collect();
        let is_missing = |id: &NodeId| Some(*id) != what.candidate() && !self.is_here(*id);
        let missing: Vec<NodeId> = ids.iter().copied().filter(is_missing).collect();
        let because: String =
            missing.iter().map(|id| format!(", and {id} {}", self.absence(*id))).collect();
        let so = match (can_lose, wished) {
            (None, _) => format!("only {here} of them would be here, so it could not be committed"),
            (Some(0), _) => "one more failure stops all writes".to_owned(),
            (Some(left), wished) => {
                let wished = wished.unwrap_or(CAN_LOSE);
                format!("{left} of them could be lost, and {wished} are asked for")
            }
        };
        let voter = if ids.len() == 1 { "voter" } else { "voters" };
        let mut text = format!("the {voter} {} would need {needed}{because}: {so}", listed(&ids));
        let first = missing.first().filter(|first| what.leaver() != Some(**first));
        text += &match first {
            Some(id) => format!(
                "; bring {id} back, or: coracle member replace {id} ADDRESS, or: coracle member \
                 remove {id}"
            ),
            None => "; add a server before: coracle member add ADDRESS".to_owned(),
        };
        if let Some(left) = can_lose {
            text += &format!("; anyway: coracle member {} --can-lose {left}", command(what));
        }
        text
    }

    /// A clause that says since when a voter is not here.
    fn absence(&self, id: NodeId) -> String {
        let RoleState::Leader(leadership) = &self.role else { return "is unseen".to_owned() };
        if leadership.is_rejoining(id) {
            return "has lost its data and is not counted".to_owned();
        }
        match leadership.unheard_ticks(id) {
            Some(ticks) => format!("is unseen for {}", duration(self.ms_of(ticks))),
            None => "is unseen since this leader was elected".to_owned(),
        }
    }
}

fn refused(reason: impl Into<String>) -> ChangeRefusal {
    ChangeRefusal::Refused(reason.into())
}

/// The voter that a change takes away, without another in its place.
fn subject_of(what: ChangeKind) -> Option<NodeId> {
    match what {
        ChangeKind::Remove { id } | ChangeKind::Demote { id } => Some(id),
        _ => None,
    }
}

/// The addresses of a member, or the reason why it is none.
fn check_member(membership: &Membership, id: NodeId) -> Result<&Member, ChangeRefusal> {
    if let Some(member) = membership.members.get(&id) {
        return Ok(member);
    }
    let ids: Vec<NodeId> = membership.members.keys().copied().collect();
    let clause = if membership.is_removed(id) {
        gone_clause(membership, id)
    } else {
        format!("server {id} is no member")
    };
    Err(refused(format!("{clause}; the members are {}", listed(&ids))))
}

/// Refuses a new member beside the most that there may be.
fn check_room(membership: &Membership) -> Result<(), ChangeRefusal> {
    if membership.ids().len() < MEMBERS_MAX {
        return Ok(());
    }
    Err(refused(format!(
        "there are {MEMBERS_MAX} members, and no more are possible; remove one before"
    )))
}

/// A clause about an id that was given before.
fn gone_clause(membership: &Membership, id: NodeId) -> String {
    match membership.removed.get(&id) {
        Some(at) => format!("server {id} was removed by entry {at}"),
        None => format!("an id up to {} was given before", membership.last_id),
    }
}

/// True when the operation is the beginning of the change `what`, which has led to `membership`.
fn is_same(membership: &Membership, operation: &MemberOperation, what: ChangeKind) -> bool {
    let has = |id: NodeId, wished: Option<NodeId>, member: &Member| {
        wished.is_none_or(|wished| wished == id) && membership.members.get(&id) == Some(member)
    };
    match (operation, what) {
        (MemberOperation::Add { id, member, is_learner: false }, ChangeKind::Add { id: new })
        | (
            MemberOperation::Add { id, member, is_learner: true },
            ChangeKind::AddLearner { id: new },
        ) => has(new, *id, member),
        (MemberOperation::Replace { old, id, member }, ChangeKind::Replace { old: left, new }) => {
            *old == left && has(new, *id, member)
        }
        (MemberOperation::Remove { id }, ChangeKind::Remove { id: same })
        | (MemberOperation::Promote { id }, ChangeKind::Promote { id: same })
        | (MemberOperation::Demote { id }, ChangeKind::Demote { id: same }) => *id == same,
        (MemberOperation::Update { id, .. }, ChangeKind::Update { id: same }) => {
            *id == same && is_fulfilled(membership, operation)
        }
        _ => false,
    }
}

/// True when the membership is as the operation wishes it.
fn is_fulfilled(membership: &Membership, operation: &MemberOperation) -> bool {
    let found = |wished: Option<NodeId>, member: &Member| {
        let is_it = |(id, known): &(&NodeId, &Member)| {
            *known == member && wished.is_none_or(|wished| wished == **id)
        };
        membership.members.iter().find(is_it).map(|(id, _)| *id)
    };
    match operation {
        MemberOperation::Add { id, member, is_learner } => found(*id, member).is_some_and(|id| {
            if *is_learner { membership.is_learner(id) } else { membership.voters.contains(&id) }
        }),
        MemberOperation::Replace { old, id, member } => {
            membership.is_removed(*old)
                && found(*id, member).is_some_and(|id| membership.voters.contains(&id))
        }
        MemberOperation::Remove { id } => membership.is_removed(*id),
        MemberOperation::Promote { id } => membership.voters.contains(id),
        MemberOperation::Demote { id } => membership.is_learner(*id),
        MemberOperation::Update { id, peer, client } => {
            membership.members.get(id).is_some_and(|known| {
                peer.as_ref().is_none_or(|peer| *peer == known.peer)
                    && client.as_ref().is_none_or(|client| *client == known.client)
            })
        }
        MemberOperation::Cancel { .. } => false,
    }
}

/// The outcome of taking back a change that is not under way.
fn cancel_ended(
    membership: &Membership,
    newest: LogIndex,
    number: LogIndex,
    commit_index: LogIndex,
) -> Result<MemberOutcome, ChangeRefusal> {
    match membership.ended.iter().find(|ended| ended.number == number) {
        Some(ended) if ended.is_done => Err(refused(format!(
            "change {number} ({}) is done; see the members: coracle member list",
            ended.what
        ))),
        Some(ended) if newest > commit_index => {
            Ok(MemberOutcome::Begun { number, index: newest, what: ended.what })
        }
        Some(_) => Ok(MemberOutcome::Already),
        None => Err(refused(format!(
            "change {number} is not known; see what is under way: coracle member list"
        ))),
    }
}

/// The command that asks for a change, without its addresses.
fn command(what: ChangeKind) -> String {
    match what {
        ChangeKind::Add { .. } => "add ADDRESS".to_owned(),
        ChangeKind::AddLearner { .. } => "add ADDRESS --learner".to_owned(),
        ChangeKind::Remove { id } => format!("remove {id}"),
        ChangeKind::Replace { old, .. } => format!("replace {old} ADDRESS"),
        ChangeKind::Promote { id } => format!("promote {id}"),
        ChangeKind::Demote { id } => format!("demote {id}"),
        ChangeKind::Update { id } => format!("update {id}"),
    }
}

/// A duration for people.
fn duration(ms: u64) -> String {
    match ms / 1000 {
        0 => format!("{ms} ms"),
        s if s < 120 => format!("{s} s"),
        s if s < 120 * 60 => format!("{} min", s / 60),
        s => format!("{} h", s / 3600),
    }
}

#[cfg(test)]
mod tests;
