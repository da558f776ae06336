//! The refusals of commands.
//!
//! A node that does not lead redirects, so that the client asks the leader. A client that asked for
//! any server is never redirected (docs/adr/0031): it may not know redirects, or not reach the
//! leader. When its command was not executed for want of a leader it is told so, and nothing
//! about another address. Before the format in which any server takes commands it is redirected as
//! every client is.

use std::sync::Arc;

use super::RaftActor;
use crate::protocol::Refusal;
use crate::raft::Role;

impl RaftActor {
    /// A node that does not lead says so even when it is busy, so that the client asks the
    /// leader instead.
    pub(super) fn busy_or_not_leader(&mut self) -> Refusal {
        if self.raft.role() == Role::Leader { Refusal::Busy } else { self.not_leader() }
    }

    /// The refusal by a node that does not lead: with the address of the leader, when both are
    /// known.
    pub(super) fn not_leader(&mut self) -> Refusal {
        let member = self.raft.leader_id().and_then(|id| self.raft.member(id));
        let Some(address) = member.map(|member| &member.client) else {
            return Refusal::NotLeader { leader: None };
        };
        if self.leader_address.as_deref() != Some(address) {
            self.leader_address = Some(Arc::new(address.clone()));
        }
        Refusal::NotLeader { leader: self.leader_address.clone() }
    }

    /// The refusal of a command that finds no room.
    pub(super) fn busy(&mut self, is_anywhere: bool) -> Refusal {
        if is_anywhere && self.raft.takes_commands_anywhere() {
            return Refusal::Busy;
        }
        self.busy_or_not_leader()
    }

    /// The refusal of a command that has waited here for as long as a command may. It was not
    /// executed. At any server it is told that the time is over when there is a leader, and
    /// otherwise that there is none.
    pub(super) fn waited_too_long(&mut self, is_anywhere: bool) -> Refusal {
        if !is_anywhere || !self.raft.takes_commands_anywhere() {
            return self.busy_or_not_leader();
        }
        match self.raft.leader_id() {
            Some(_) => Refusal::Timeout,
            None => Refusal::NotLeader { leader: None },
        }
    }

    /// The refusal as the client of a command is told it.
    pub(super) fn refusal_to(&self, is_anywhere: bool, refusal: Refusal) -> Refusal {
        match refusal {
            Refusal::NotLeader { .. } if is_anywhere && self.raft.takes_commands_anywhere() => {
                Refusal::NotLeader { leader: None }
            }
            refusal => refusal,
        }
    }
}
