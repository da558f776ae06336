//! The commands of operators about the cluster's format that wait: a hold until LogActor has saved
//! it, a raise until its entry is applied here.

use std::collections::{BTreeMap, VecDeque};

use crate::actors::messages::clients::{ClientReply, ReplyHandle};
use crate::actors::messages::replies::Replies;
use crate::protocol::Refusal;
use crate::types::{Format, LogIndex};

/// Maximum number of holds under way to LogActor, timed out or not, and of raises that wait;
/// beyond, `ERR_BUSY`.
const COMMANDS_MAX: usize = 64;

/// The commands that wait.
#[derive(Default)]
pub(super) struct PendingUpgrades {
    /// The holds that LogActor has not answered, in the order in which it was given them. `None`
    /// for one that has timed out.
    holds: VecDeque<Option<PendingUpgrade>>,
    /// The raises, by the entry that puts the format in force.
    raises: BTreeMap<LogIndex, (Format, Vec<PendingUpgrade>)>,
}

/// A command that waits.
pub(super) struct PendingUpgrade {
    pub(super) reply_handle: ReplyHandle,
    pub(super) expires_at_tick: u64,
}

impl PendingUpgrades {
    /// True when no further hold is accepted.
    pub(super) fn has_most_holds(&self) -> bool {
        self.holds.len() >= COMMANDS_MAX
    }

    /// True when no further raise is accepted.
    pub(super) fn has_most_raises(&self) -> bool {
        self.raises.values().map(|(_, raises)| raises.len()).sum::<usize>() >= COMMANDS_MAX
    }

    /// Adds a hold, or the end of one, that LogActor was just given.
    pub(super) fn add_hold(&mut self, hold: PendingUpgrade) {
        self.holds.push_back(Some(hold));
    }

    /// LogActor has saved the oldest hold. Returns the client that waits for it; `None` when it has
    /// timed out.
    pub(super) fn take_hold(&mut self) -> Option<ReplyHandle> {
        self.holds.pop_front().flatten().map(|hold| hold.reply_handle)
    }

    /// Adds a raise to this format, whose entry has this index.
    pub(super) fn add_raise(&mut self, index: LogIndex, format: Format, raise: PendingUpgrade) {
        self.raises.entry(index).or_insert((format, Vec::new())).1.push(raise);
    }

    /// Everything up to `last_applied` is applied. Returns the replies to the raises among it.
    pub(super) fn on_applied(&mut self, last_applied: LogIndex) -> Replies {
        let mut replies = Replies::default();
        while let Some(first) = self.raises.first_entry()
            && *first.key() <= last_applied
        {
            let (format, raises) = first.remove();
            for raise in raises {
                replies.add(raise.reply_handle, ClientReply::Raised(format));
            }
        }
        replies
    }

    /// The leadership is over: this node will not learn whether the entries of the raises are
    /// committed. Returns the replies.
    pub(super) fn lose_raises(&mut self) -> Replies {
        let mut replies = Replies::default();
        for (_, raises) in std::mem::take(&mut self.raises).into_values() {
            for raise in raises {
                let refusal = ClientReply::Refused(Refusal::LeadershipLost);
                replies.add(raise.reply_handle, refusal);
            }
        }
        replies
    }

    /// Returns the refusals of the commands whose time is over at `tick`. They may yet be executed.
    pub(super) fn time_out(&mut self, tick: u64) -> Replies {
        let mut replies = Replies::default();
        let mut refuse = |command: PendingUpgrade| {
            replies.add(command.reply_handle, ClientReply::Refused(Refusal::Timeout));
        };
        for hold in &mut self.holds {
            if let Some(expired) = hold.take_if(|hold| hold.expires_at_tick <= tick) {
                refuse(expired);
            }
        }
        for (_, raises) in self.raises.values_mut() {
            for expired in raises.extract_if(.., |raise| raise.expires_at_tick <= tick) {
                refuse(expired);
            }
        }
        self.raises.retain(|_, (_, raises)| !raises.is_empty());
        replies
    }
}
