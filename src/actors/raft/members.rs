//! The commands of operators about the members that wait (docs/adr/0026): a change until the entry
//! that begins it is applied here, one who waits for a change until this node knows that it has
//! ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::actors::messages::clients::{ClientReply, ReplyHandle};
use crate::actors::messages::replies::Replies;
use crate::protocol::Refusal;
use crate::types::{EndedChange, LogIndex, Membership, NodeId};

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
    /// The membership in force here, as it was announced last.
    newest: Arc<Membership>,
    /// The newest membership that this node knows to be committed.
    committed: Option<Arc<Membership>>,
}

/// A change whose entry is not applied yet.
pub(super) struct Begun {
    pub(super) number: LogIndex,
    /// The member that it is about.
    pub(super) id: NodeId,
    pub(super) reply_handle: ReplyHandle,
    pub(super) expires_at_tick: u64,
}

/// A client that waits for a change.
pub(super) struct Wait {
    pub(super) number: LogIndex,
    pub(super) reply_handle: ReplyHandle,
    pub(super) expires_at_tick: u64,
}

impl PendingMembers {
    /// True when no further change is accepted.
    pub(super) fn has_most_changes(&self) -> bool {
        self.begun.values().map(Vec::len).sum::<usize>() >= COMMANDS_MAX
    }

    /// True when nobody more may wait for a change.
    pub(super) fn has_most_waits(&self) -> bool {
        self.waits.len() >= COMMANDS_MAX
    }

    /// Adds a change whose entry has this index.
    pub(super) fn add_change(&mut self, index: LogIndex, change: Begun) {
        self.begun.entry(index).or_default().push(change);
    }

    /// Adds a client that waits for a change.
    pub(super) fn add_wait(&mut self, wait: Wait) {
        self.waits.push(wait);
    }

    /// Takes all clients that wait for a change.
    pub(super) fn take_waits(&mut self) -> Vec<Wait> {
        std::mem::take(&mut self.waits)
    }

    /// Takes the clients that wait for a change and whose time is over at `tick`.
    pub(super) fn take_expired_waits(&mut self, tick: u64) -> Vec<Wait> {
        self.waits.extract_if(.., |wait| wait.expires_at_tick <= tick).collect()
    }

    /// Notes the memberships of an announcement.
    pub(super) fn on_announced(
        &mut self,
        newest: &Arc<Membership>,
        committed: Option<&Arc<Membership>>,
    ) {
        self.newest = Arc::clone(newest);
        self.committed = committed.cloned();
    }

    /// The newest membership that this node knows to be committed.
    pub(super) fn committed(&self) -> Option<&Membership> {
        self.committed.as_deref()
    }

    /// The end of the change of this number, when it is committed.
    pub(super) fn committed_end(&self, number: LogIndex) -> Option<&EndedChange> {
        self.committed()?.ended.iter().find(|ended| ended.number == number)
    }

    /// True of a change that is under way, and of one that has ended by an entry which is not
    /// committed.
    pub(super) fn is_under_way(&self, number: LogIndex) -> bool {
        let is_it = |it: &Membership| it.change.as_ref().is_some_and(|it| it.number == number);
        self.committed().is_some_and(is_it)
            || is_it(&self.newest)
            || self.newest.ended.iter().any(|ended| ended.number == number)
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
    pub(super) fn time_out(&mut self, tick: u64) -> Replies {
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
