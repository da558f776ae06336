//! The commands that go from a node that does not lead to its leader (docs/adr/0031): here those
//! of this node's clients, and those that peers have forwarded to this node.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeBounds;
use std::time::Duration;

use bytes::Bytes;

use crate::actors::messages::clients::SessionId;
use crate::actors::messages::waiters::Waiters;
use crate::raft::ForwardedCommand;
use crate::types::{LogIndex, LogPosition, NodeId, Term};

/// The commands of this node's clients that were forwarded.
#[derive(Default)]
pub(super) struct Forwards {
    /// The peers to which this node has a connection. A command is forwarded only over one.
    reached: BTreeSet<NodeId>,
    /// The commands whose place is not known, by their number.
    sent: BTreeMap<u64, SentCommand>,
    /// The number of those among them that a node which does not lead has refused.
    refused: usize,
    /// The commands whose entries are not applied here, by the entry. Leaders of several terms may
    /// have appended one at the same index.
    awaited: BTreeMap<(LogIndex, Term), AwaitedCommand>,
    /// Bytes of all these commands.
    bytes: u64,
    /// A tick at which no command has expired before.
    next_expiry: u64,
    /// The newest entry that was passed to the store.
    passed: LogIndex,
}

/// A command whose place is not known.
pub(super) struct SentCommand {
    pub(super) to: NodeId,
    pub(super) command: Bytes,
    pub(super) waiters: Waiters,
    pub(super) expires_at_tick: u64,
    /// True when the peer has answered that it does not lead: it has appended nothing.
    pub(super) is_refused: bool,
    /// True when a later command of its session is in a log: it is never forwarded once more.
    pub(super) is_overtaken: bool,
}

/// A command whose entry is not applied here.
struct AwaitedCommand {
    waiters: Waiters,
    bytes: u64,
    expires_at_tick: u64,
}

impl Forwards {
    /// The number of commands.
    pub(super) fn len(&self) -> usize {
        self.sent.len() + self.awaited.len()
    }

    /// Bytes of the commands.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A connection to the peer is up, or is lost.
    pub(super) fn set_reached(&mut self, peer: NodeId, is_reached: bool) {
        if is_reached {
            self.reached.insert(peer);
        } else {
            self.reached.remove(&peer);
        }
    }

    /// True when this node has a connection to the peer.
    pub(super) fn reaches(&self, peer: NodeId) -> bool {
        self.reached.contains(&peer)
    }

    /// True when a command is to be forwarded once more, and later ones wait for it.
    pub(super) fn has_refused(&self) -> bool {
        self.refused > 0
    }

    /// The newest entry that was passed to the store.
    pub(super) fn passed(&self) -> LogIndex {
        self.passed
    }

    /// Adds a command that was sent under this number.
    pub(super) fn add(&mut self, number: u64, command: SentCommand) {
        self.bytes += command.command.len() as u64;
        self.next_expiry = self.next_expiry.min(command.expires_at_tick);
        self.sent.insert(number, command);
    }

    /// Removes the command of this number, if it was sent to this peer and is not answered.
    pub(super) fn take(&mut self, number: u64, from: NodeId) -> Option<SentCommand> {
        let sent = self.sent.get(&number)?;
        if sent.to != from || sent.is_refused {
            return None;
        }
        let sent = self.sent.remove(&number)?;
        self.bytes -= sent.command.len() as u64;
        Some(sent)
    }

    /// The peer does not lead, and has not appended the command of this number. Returns the
    /// command if it can no longer be executed in its place.
    pub(super) fn refuse(&mut self, number: u64, from: NodeId) -> Option<SentCommand> {
        let sent = self.sent.get_mut(&number)?;
        if sent.to != from || sent.is_refused {
            return None;
        }
        if sent.is_overtaken {
            return self.take(number, from);
        }
        sent.is_refused = true;
        self.refused += 1;
        None
    }

    /// A command of these sessions is in a log. Those before it, which are the ones with lower
    /// numbers than `number`, must not be forwarded any more: they would be executed after it.
    /// Returns those among them that were refused. The others are told apart when their answers
    /// come.
    pub(super) fn overtake(
        &mut self,
        sessions: &BTreeSet<SessionId>,
        number: u64,
    ) -> Vec<SentCommand> {
        let is_of =
            |earlier: &SentCommand| earlier.waiters.sessions().any(|id| sessions.contains(&id));
        let is_over = |earlier: &SentCommand| earlier.is_refused && is_of(earlier);
        let refused = match self.refused {
            0 => Vec::new(),
            _ => take_where(&mut self.sent, ..number, is_over),
        };
        for earlier in &refused {
            self.refused -= 1;
            self.bytes -= earlier.command.len() as u64;
        }
        let left = self.sent.range_mut(..number).map(|(_, earlier)| earlier);
        left.filter(|earlier| is_of(earlier)).for_each(|earlier| earlier.is_overtaken = true);
        refused
    }

    /// The command of this number is the entry at `index` of the term. Returns the refused
    /// commands of the same sessions before it: they can no longer be executed before it.
    pub(super) fn await_entry(
        &mut self,
        number: u64,
        LogPosition { index, term }: LogPosition,
        sent: SentCommand,
    ) -> Vec<SentCommand> {
        let SentCommand { command, waiters, expires_at_tick, .. } = sent;
        let overtaken = self.overtake(&waiters.sessions().collect(), number);
        let bytes = command.len() as u64;
        self.bytes += bytes;
        self.next_expiry = self.next_expiry.min(expires_at_tick);
        self.awaited.insert((index, term), AwaitedCommand { waiters, bytes, expires_at_tick });
        overtaken
    }

    /// The entry at this position is passed to the store. Returns those who wait for it, and adds
    /// those to `lost` whose entry it has replaced.
    pub(super) fn on_entry(
        &mut self,
        position: LogPosition,
        lost: &mut Vec<Waiters>,
    ) -> Option<Waiters> {
        self.passed = position.index;
        let mut found = None;
        while let Some(first) = self.awaited.first_entry()
            && first.key().0 <= position.index
        {
            let ((index, term), AwaitedCommand { waiters, bytes, .. }) = first.remove_entry();
            self.bytes -= bytes;
            if (LogPosition { index, term }) == position {
                found = Some(waiters);
            } else {
                lost.push(waiters);
            }
        }
        found
    }

    /// A snapshot of everything up to `index` takes the place of the store. Returns those who
    /// wait for entries in it: their outcomes are not known.
    pub(super) fn on_installed(&mut self, index: LogIndex) -> Vec<Waiters> {
        self.passed = index;
        let mut unknown = Vec::new();
        while let Some(first) = self.awaited.first_entry()
            && first.key().0 <= index
        {
            let AwaitedCommand { waiters, bytes, .. } = first.remove();
            self.bytes -= bytes;
            unknown.push(waiters);
        }
        unknown
    }

    /// A connection with the peer is lost, and what was on it. Returns those who wait for its
    /// answers: their outcomes are not known.
    pub(super) fn lose(&mut self, peer: NodeId) -> Vec<Waiters> {
        let is_lost = |sent: &SentCommand| sent.to == peer && !sent.is_refused;
        let lost = take_where(&mut self.sent, .., is_lost);
        self.bytes -= lost.iter().map(|sent| sent.command.len() as u64).sum::<u64>();
        lost.into_iter().map(|sent| sent.waiters).collect()
    }

    /// Removes all commands, if all were refused, in their order: no answer can show any more that
    /// a later one was executed.
    pub(super) fn take_refused(&mut self) -> Vec<SentCommand> {
        if self.refused == 0 || self.refused < self.sent.len() {
            return Vec::new();
        }
        self.refused = 0;
        let sent: Vec<SentCommand> = std::mem::take(&mut self.sent).into_values().collect();
        self.bytes -= sent.iter().map(|sent| sent.command.len() as u64).sum::<u64>();
        sent
    }

    /// Removes the commands whose time is over at `tick`: first those whose outcomes are not
    /// known, then those that were refused.
    pub(super) fn take_expired(&mut self, tick: u64) -> (Vec<Waiters>, Vec<Waiters>) {
        let (mut unknown, mut refused) = (Vec::new(), Vec::new());
        if self.len() == 0 || tick < self.next_expiry {
            return (unknown, refused);
        }
        for sent in take_where(&mut self.sent, .., |sent| sent.expires_at_tick <= tick) {
            self.bytes -= sent.command.len() as u64;
            if sent.is_refused {
                self.refused -= 1;
                refused.push(sent.waiters);
            } else {
                unknown.push(sent.waiters);
            }
        }
        for awaited in take_where(&mut self.awaited, .., |it| it.expires_at_tick <= tick) {
            self.bytes -= awaited.bytes;
            unknown.push(awaited.waiters);
        }
        let sent = self.sent.values().map(|sent| sent.expires_at_tick);
        let awaited = self.awaited.values().map(|awaited| awaited.expires_at_tick);
        self.next_expiry = sent.chain(awaited).min().unwrap_or(u64::MAX);
        (unknown, refused)
    }
}

/// Removes the values in `range` for which `is_taken` is true. Returns them by rising keys.
fn take_where<K: Copy + Ord, V>(
    map: &mut BTreeMap<K, V>,
    range: impl RangeBounds<K>,
    is_taken: impl Fn(&V) -> bool,
) -> Vec<V> {
    let taken = map.range(range).filter(|(_, value)| is_taken(value));
    let keys: Vec<K> = taken.map(|(key, _)| *key).collect();
    keys.into_iter().filter_map(|key| map.remove(&key)).collect()
}

/// A command of a peer's client that is an entry of the log.
struct EntryHere {
    index: LogIndex,
    bytes: u64,
    arrived_at: Duration,
}

/// The commands that peers have forwarded to this node.
#[derive(Default)]
pub(super) struct ForwardedHere {
    /// The entries of the log that are not applied, by rising index.
    entries: VecDeque<EntryHere>,
    /// The commands that wait for the end of a transfer, each with the tick at which its time is
    /// over.
    held: VecDeque<(ForwardedCommand, u64)>,
    /// Bytes of all these commands.
    bytes: u64,
}

impl ForwardedHere {
    /// The number of commands.
    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.held.len()
    }

    /// Bytes of the commands.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a command that is the entry at `index`, and came just now.
    pub(super) fn add_entry(&mut self, index: LogIndex, bytes: u64, now: Duration) {
        self.bytes += bytes;
        self.entries.push_back(EntryHere { index, bytes, arrived_at: now });
    }

    /// The time at which the command came that is the entry at `index`; `None` if none is.
    pub(super) fn arrived_at(&self, index: LogIndex) -> Option<Duration> {
        let place = self.entries.binary_search_by_key(&index, |entry| entry.index).ok()?;
        self.entries.get(place).map(|entry| entry.arrived_at)
    }

    /// Everything up to `last_applied` is applied.
    pub(super) fn on_applied(&mut self, last_applied: LogIndex) {
        while let Some(&EntryHere { index, bytes, .. }) = self.entries.front()
            && index <= last_applied
        {
            self.entries.pop_front();
            self.bytes -= bytes;
        }
    }

    /// The leadership is over: what is not applied is no longer this node's concern.
    pub(super) fn lose_entries(&mut self) {
        for entry in self.entries.drain(..) {
            self.bytes -= entry.bytes;
        }
    }

    /// Holds a command until the end of a transfer.
    pub(super) fn hold(&mut self, command: ForwardedCommand, expires_at_tick: u64) {
        self.bytes += command.command.len() as u64;
        self.held.push_back((command, expires_at_tick));
    }

    /// True when a command waits for the end of a transfer.
    pub(super) fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// Removes the held commands whose time is over at `tick`; all with `None`. Their deadlines
    /// rise.
    pub(super) fn take_held(&mut self, tick: Option<u64>) -> Vec<ForwardedCommand> {
        let count = match tick {
            Some(tick) => self.held.partition_point(|(_, expires_at)| *expires_at <= tick),
            None => self.held.len(),
        };
        let taken: Vec<ForwardedCommand> =
            self.held.drain(..count).map(|(command, _)| command).collect();
        self.bytes -= taken.iter().map(|forwarded| forwarded.command.len() as u64).sum::<u64>();
        taken
    }
}

#[cfg(test)]
mod tests;
