//! The members of the cluster: who has a vote, where each is reached, and the change that is under
//! way (dissertation §4, docs/adr/0026).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::ids::{LogIndex, NodeId};

/// Maximum number of members.
pub const MEMBERS_MAX: usize = 64;

/// Maximum number of removals that a membership remembers, the newest.
pub const REMOVED_MAX: usize = 64;

/// Maximum number of ended changes that a membership remembers, the newest.
pub const ENDED_CHANGES_MAX: usize = 16;

/// The members of the cluster at one point of its log. It is in force as soon as it is in the log
/// (dissertation §4.1).
///
/// Up to format 2 a membership names voters only, and servers.toml their addresses: it is a *seed*
/// ([`Membership::is_seed`]). From format 3 on it has everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The nodes whose votes and logs make a quorum. Empty only of a server that has not joined
    /// its cluster yet.
    pub voters: BTreeSet<NodeId>,
    /// In a joint membership the voters before the change: a quorum needs a majority of them as
    /// well (dissertation §4.3). Empty in any other.
    pub outgoing: BTreeSet<NodeId>,
    /// Every member with its addresses: the voters, the outgoing ones, and the learners. Empty in
    /// a seed.
    pub members: BTreeMap<NodeId, Member>,
    /// The change that is under way.
    pub change: Option<Change>,
    /// The changes that have ended, the newest last; at most [`ENDED_CHANGES_MAX`].
    pub ended: Vec<EndedChange>,
    /// The highest id that any member has ever had. No id up to it is given to a new member.
    pub last_id: NodeId,
    /// The members that were removed last, each with the entry that removed it; at most
    /// [`REMOVED_MAX`].
    pub removed: BTreeMap<NodeId, LogIndex>,
}

/// The addresses of one member, as others reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The address for other servers.
    pub peer: Address,
    /// The address for clients.
    pub client: Address,
}

/// A change that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Its number: the index of the entry that began it.
    pub number: LogIndex,
    /// The thing that it does.
    pub what: ChangeKind,
}

/// A change that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndedChange {
    /// Its number: the index of the entry that began it.
    pub number: LogIndex,
    /// The thing that it did, or was to do.
    pub what: ChangeKind,
    /// True when it was done, false when a person cancelled it.
    pub is_done: bool,
}

/// The thing that a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ChangeKind {
    /// A new server becomes a learner, catches up, and becomes a voter.
    Add {
        /// The server.
        id: NodeId,
    },
    /// A new server becomes a learner, and stays one.
    AddLearner {
        /// The server.
        id: NodeId,
    },
    /// A member is removed.
    Remove {
        /// The member.
        id: NodeId,
    },
    /// A new server takes the place of a member, which is removed.
    Replace {
        /// The member.
        old: NodeId,
        /// The server.
        new: NodeId,
    },
    /// A learner catches up and becomes a voter.
    Promote {
        /// The learner.
        id: NodeId,
    },
    /// A voter becomes a learner.
    Demote {
        /// The voter.
        id: NodeId,
    },
    /// A member gets other addresses.
    Update {
        /// The member.
        id: NodeId,
    },
}

impl ChangeKind {
    /// The node that has to catch up before it can be a voter.
    pub fn candidate(self) -> Option<NodeId> {
        match self {
            ChangeKind::Add { id } | ChangeKind::Promote { id } => Some(id),
            ChangeKind::Replace { new, .. } => Some(new),
            _ => None,
        }
    }

    /// The member that is removed.
    pub fn leaver(self) -> Option<NodeId> {
        match self {
            ChangeKind::Remove { id } => Some(id),
            ChangeKind::Replace { old, .. } => Some(old),
            _ => None,
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ChangeKind::Add { id } => write!(f, "add {id} as a voter"),
            ChangeKind::AddLearner { id } => write!(f, "add {id} as a learner"),
            ChangeKind::Remove { id } => write!(f, "remove {id}"),
            ChangeKind::Replace { old, new } => write!(f, "replace {old} by {new}"),
            ChangeKind::Promote { id } => write!(f, "promote {id}"),
            ChangeKind::Demote { id } => write!(f, "demote {id}"),
            ChangeKind::Update { id } => write!(f, "update {id}"),
        }
    }
}

impl Membership {
    /// The membership of voters without addresses, as logs up to format 2 have it.
    pub fn seed(voters: impl IntoIterator<Item = NodeId>) -> Membership {
        let voters: BTreeSet<NodeId> = voters.into_iter().collect();
        let last_id = voters.last().copied().unwrap_or(NodeId(0));
        Membership { voters, last_id, ..Membership::default() }
    }

    /// The membership of these voters, which are all members.
    pub fn of_voters(members: BTreeMap<NodeId, Member>) -> Membership {
        Membership { members: members.clone(), ..Membership::seed(members.into_keys()) }
    }

    /// The same membership without addresses, as logs up to format 2 have it.
    #[must_use]
    pub fn to_seed(&self) -> Membership {
        Membership::seed(self.voters.iter().copied())
    }

    /// True of a membership without addresses.
    pub fn is_seed(&self) -> bool {
        self.members.is_empty()
    }

    /// True while a change of voters is between its two halves (dissertation §4.3).
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// True of a node that has a vote, in either half of a joint membership.
    pub fn is_voter(&self, id: NodeId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    /// True of a node that has a place in the membership, with a vote or without.
    pub fn is_member(&self, id: NodeId) -> bool {
        self.is_voter(id) || self.members.contains_key(&id)
    }

    /// True of a member without a vote.
    pub fn is_learner(&self, id: NodeId) -> bool {
        self.is_member(id) && !self.is_voter(id)
    }

    /// True of a node that was a member once and is none any more.
    pub fn is_removed(&self, id: NodeId) -> bool {
        !self.is_seed() && id <= self.last_id && !self.is_member(id)
    }

    /// All voters, of both halves of a joint membership.
    pub fn all_voters(&self) -> BTreeSet<NodeId> {
        self.voters.union(&self.outgoing).copied().collect()
    }

    /// All members.
    pub fn ids(&self) -> BTreeSet<NodeId> {
        let mut ids = self.all_voters();
        ids.extend(self.members.keys());
        ids
    }

    /// True when the voters for which `includes` holds are a majority of each half. It is for
    /// servers that do not run: the rules of Raft count in raft/quorum.rs.
    pub fn is_quorum(&self, includes: impl Fn(NodeId) -> bool) -> bool {
        let is_majority = |half: &BTreeSet<NodeId>| {
            half.iter().filter(|voter| includes(**voter)).count() > half.len() / 2
        };
        is_majority(&self.voters) && (self.outgoing.is_empty() || is_majority(&self.outgoing))
    }

    /// True when the others are a quorum without `id`. Then they have all that was acknowledged,
    /// and can send it again.
    pub fn is_quorum_without(&self, id: NodeId) -> bool {
        self.is_quorum(|voter| voter != id)
    }

    /// The reason why this is no membership that a log may have, if it is none.
    pub fn fault(&self) -> Option<&'static str> {
        let ids = self.ids();
        if self.voters.is_empty() {
            Some("it has no voters")
        } else if ids.contains(&NodeId(0)) {
            Some("it has a member with the id 0")
        } else if ids.len() > MEMBERS_MAX {
            Some("it has too many members")
        } else if !self.is_seed() && self.members.len() != ids.len() {
            Some("a voter has no addresses")
        } else if ids.last().is_some_and(|id| *id > self.last_id) {
            Some("a member has a higher id than any member has ever had")
        } else if self.is_joint() && self.change.is_none() {
            Some("it is joint, and no change is under way")
        } else if self.is_seed() && *self != self.to_seed() {
            Some("its members have no addresses")
        } else if self.removed.len() > REMOVED_MAX || self.ended.len() > ENDED_CHANGES_MAX {
            Some("it remembers too much")
        } else if !self
            .members
            .values()
            .all(|member| member.peer.is_valid() && member.client.is_valid())
        {
            Some("an address is empty, too long, or not printable")
        } else {
            None
        }
    }
}

/// One line for people and scripts: `voters=1,2,3`, and, of a membership with addresses, further
/// words of that form.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "voters={}", listed(&self.voters))?;
        if self.is_joint() {
            write!(f, " outgoing={}", listed(&self.outgoing))?;
        }
        if self.is_seed() {
            return Ok(());
        }
        let learners = self.members.keys().filter(|id| self.is_learner(**id));
        let learners = listed(learners);
        if !learners.is_empty() {
            write!(f, " learners={learners}")?;
        }
        let address =
            |(id, Member { peer, client }): (&NodeId, &Member)| format!("{id}={peer}/{client}");
        write!(
            f,
            " addresses={} last_id={}",
            listed(self.members.iter().map(address)),
            self.last_id
        )?;
        if let Some(Change { number, what }) = &self.change {
            write!(f, " change=\"{number}: {what}\"")?;
        }
        let ended = |EndedChange { number, what, is_done }: &EndedChange| {
            format!("{number}: {what}, {}", if *is_done { "done" } else { "cancelled" })
        };
        if !self.ended.is_empty() {
            let ended: Vec<String> = self.ended.iter().map(ended).collect();
            write!(f, " ended=\"{}\"", ended.join("; "))?;
        }
        if !self.removed.is_empty() {
            let removed = self.removed.iter().map(|(id, at)| format!("{id}@{at}"));
            write!(f, " removed={}", listed(removed))?;
        }
        Ok(())
    }
}

fn listed<T: fmt::Display>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}

/// The membership in the logs and snapshots of formats 1 and 2.
///
/// Its encoding has exactly this field: a field that is unknown or missing is an error. A node that
/// ignored the second half of a joint membership would count other quorums than its peers. So a
/// membership with more in it is another kind of payload, which an older node refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedMembership {
    /// The nodes that have a vote.
    pub voters: BTreeSet<NodeId>,
}

#[cfg(test)]
mod tests;
