//! The format of the cluster (docs/adr/0023): it is raised by one, when every member has shown
//! that it can read the next one, and nothing of a format is written before it is in force.
//!
//! The time at which a leader decides to raise the format is not seen: the entry may wait for a
//! stalled disk and for lines that are cut. But the leader answers polls all the time, with the
//! end of its log. So the entry was added after the last poll whose answer lacks it was *sent*,
//! and all that the leader had heard by then, it knew when it raised.

use std::collections::{BTreeMap, BTreeSet};

use super::disks::{Finding, ensure};
use super::durable::Slot;
use crate::actors::peers::settings::LinkSettings;
use crate::testing::simulation::checks::violation::Check;
use crate::types::{ClusterId, Entry, Format, FormatRange, LogIndex, LogPosition, NodeId, Payload};
use crate::types::{FormatInForce, Term};
use crate::wire::Hello;

/// The number of polls that a leader answers, at most, before it notices that a peer is gone: a
/// poll comes every 35 ms. While the leader is paused it answers none.
fn polls_max() -> usize {
    const POLL_MS: u64 = 35;
    let LinkSettings { dial_timeout_ms, hello_timeout_ms, silence_ms_max, backoff_ms_max, .. } =
        LinkSettings::default();
    ((dial_timeout_ms + hello_timeout_ms + silence_ms_max + backoff_ms_max) / POLL_MS) as usize
}

/// All that nodes have said about formats.
pub(super) struct Formats {
    /// The number of events so far, which says in which order they came.
    moment: u64,
    /// The formats that the current life of each node reads, once it has opened its directory.
    reads: BTreeMap<NodeId, FormatRange>,
    /// The ends of lives of each node.
    ends: BTreeMap<NodeId, Vec<u64>>,
    /// The dialler of each connection, and the formats in its hello.
    dialled: BTreeMap<u64, (NodeId, FormatRange)>,
    /// The hellos of the second node that the current life of the first one has answered.
    told: BTreeMap<(NodeId, NodeId), Vec<Told>>,
    /// The answers to polls of the leader of each term.
    polls: BTreeMap<Term, Vec<Poll>>,
    /// The entries that put a format in force.
    raises: BTreeMap<LogPosition, Format>,
    /// The highest format that is known to be in force.
    in_force: Format,
    /// The id of the cluster, once a node has said it.
    cluster_id: Option<ClusterId>,
}

#[derive(Clone, Copy)]
struct Told {
    moment: u64,
    formats: FormatRange,
}

#[derive(Clone, Copy)]
struct Poll {
    /// The moment at which it was sent.
    asked: u64,
    last_log_index: LogIndex,
}

/// The format in force after a log.
pub(super) fn format_after(log: &[Slot]) -> Format {
    Format(Format::FIRST.0 + log.iter().filter(|slot| slot.is_format()).count() as u32)
}

impl Default for Formats {
    fn default() -> Formats {
        Formats {
            moment: 0,
            reads: BTreeMap::new(),
            ends: BTreeMap::new(),
            dialled: BTreeMap::new(),
            told: BTreeMap::new(),
            polls: BTreeMap::new(),
            raises: BTreeMap::new(),
            in_force: Format::FIRST,
            cluster_id: None,
        }
    }
}

impl Formats {
    /// The next moment.
    pub fn next_moment(&mut self) -> u64 {
        self.moment += 1;
        self.moment
    }

    /// A node begins a life.
    pub fn on_start(&mut self, node: NodeId) {
        self.reads.remove(&node);
        self.told.retain(|(of, _), _| *of != node);
    }

    /// A node has opened its directory with a program that reads these formats.
    pub fn on_opened(&mut self, node: NodeId, reads: FormatRange) {
        self.reads.insert(node, reads);
    }

    /// A life of a node has ended.
    pub fn on_end(&mut self, node: NodeId) {
        let moment = self.next_moment();
        self.ends.entry(node).or_default().push(moment);
    }

    /// The first frame of the dialler, or the answer to it.
    pub fn on_hello(&mut self, connection: u64, is_dialler: bool, hello: &Hello) -> Finding {
        let introduction = hello.introduction.as_ref();
        let formats = introduction.map_or(FormatRange::FIRST_ONLY, |facts| facts.formats);
        let moment = self.next_moment();
        if is_dialler {
            self.dialled.insert(connection, (hello.from, formats));
        } else if let Some((peer, formats)) = self.dialled.get(&connection).copied() {
            self.told.entry((hello.from, peer)).or_default().push(Told { moment, formats });
        }
        match introduction.and_then(|facts| facts.cluster_id) {
            Some(id) => self.check_cluster_id(hello.from, id),
            None => Ok(()),
        }
    }

    /// The node that has opened a connection with a hello.
    pub fn dialler(&self, connection: u64) -> Option<NodeId> {
        self.dialled.get(&connection).map(|(node, _)| *node)
    }

    /// The leader of a term has answered a poll.
    pub fn on_poll(&mut self, term: Term, asked: u64, last_log_index: LogIndex) {
        self.polls.entry(term).or_default().push(Poll { asked, last_log_index });
    }

    /// "Random, and made once" (docs/adr/0024): all nodes name one id.
    fn check_cluster_id(&mut self, node: NodeId, id: ClusterId) -> Finding {
        let first = *self.cluster_id.get_or_insert(id);
        ensure(first == id, Check::ClusterIdentity, || {
            format!("n{node} is of cluster {id}, and the cluster is {first}")
        })
    }

    /// The log of a node's current life has no format that its program does not read.
    pub fn check_readable(&self, node: NodeId, log: &[Slot]) -> Finding {
        let reads = self.reads.get(&node).copied().unwrap_or(FormatRange::OWN);
        if reads == FormatRange::OWN {
            return Ok(());
        }
        let format = format_after(log);
        ensure(reads.contains(format), Check::FormatAhead, || {
            format!("n{node} reads formats {reads}, and its disk has format {format}")
        })
    }

    /// The leader of `term` sends an entry. `before` is its log before the entry, and `members`
    /// those in force there.
    pub fn on_entry(
        &mut self,
        leader: NodeId,
        term: Term,
        entry: &Entry,
        before: Option<&[Slot]>,
        members: &BTreeSet<NodeId>,
    ) -> Finding {
        let Payload::Format(FormatInForce { format, .. }) = entry.payload else { return Ok(()) };
        let is_first_sight = self.raises.insert(entry.position(), format).is_none();
        let known = before.map(format_after);
        ensure(known.is_none_or(|known| known.next() == format), Check::FormatRaised, || {
            format!("entry {} raises format {known:?} to {format}", entry.position())
        })?;
        // An entry that only a later leader sends may have been added at any time before.
        if !is_first_sight || entry.term != term {
            return Ok(());
        }
        self.check_own(leader, format)?;
        for member in members.iter().filter(|member| **member != leader) {
            self.check_told(leader, entry, format, *member)?;
        }
        Ok(())
    }

    fn check_own(&self, leader: NodeId, format: Format) -> Finding {
        let reads = self.reads.get(&leader).copied().unwrap_or(FormatRange::OWN);
        ensure(reads.contains(format), Check::FormatRaised, || {
            format!("n{leader} reads formats {reads}, and raises the format to {format}")
        })
    }

    /// "Every other member is connected and has shown in the hello of that connection that it reads
    /// the next format" (docs/adr/0023).
    fn check_told(&self, leader: NodeId, entry: &Entry, format: Format, member: NodeId) -> Finding {
        let polls = self.polls.get(&entry.term).map_or(&[][..], Vec::as_slice);
        let known = |poll: &&Poll| poll.last_log_index < entry.index;
        let asked = polls.iter().rev().find(known).map_or(0, |poll| poll.asked);
        let told = self.told.get(&(leader, member)).map_or(&[][..], Vec::as_slice);
        let is_able = |told: &Told| told.formats.contains(format);
        let (before, after) = told.split_at(told.partition_point(|told| told.moment <= asked));
        if after.iter().any(is_able) {
            return Ok(());
        }
        let newest = before.last().copied();
        ensure(newest.as_ref().is_some_and(is_able), Check::FormatRaised, || {
            let said = newest.or(after.last().copied()).map(|told| told.formats.to_string());
            format!(
                "n{leader} raises the format to {format} with entry {}, and n{member} has told it \
                 that it reads {said:?}",
                entry.position()
            )
        })?;
        let told_at = newest.map_or(0, |told| told.moment);
        let ends = self.ends.get(&member).map_or(&[][..], Vec::as_slice);
        let Some(end) = ends.iter().find(|end| **end > told_at) else { return Ok(()) };
        let since = polls.iter().filter(|poll| poll.asked > *end && poll.asked <= asked).count();
        ensure(since <= polls_max(), Check::FormatRaised, || {
            format!(
                "n{leader} raises the format to {format} with entry {}, and n{member} has not been \
                 connected for {since} polls",
                entry.position()
            )
        })
    }

    /// Takes over the raises in a log that was not sent.
    pub fn learn(&mut self, log: &[Slot]) {
        let highest = Format(Format::FIRST.0 + self.raises.len() as u32);
        if self.in_force == FormatRange::OWN.highest || format_after(log) <= highest {
            return;
        }
        let mut format = Format::FIRST;
        for (place, slot) in log.iter().enumerate().filter(|(_, slot)| slot.is_format()) {
            format = format.next();
            let index = LogIndex(place as u64 + 1);
            self.raises.entry(LogPosition { term: slot.term, index }).or_insert(format);
        }
    }

    /// A node sends something that formats before `format` have not. `is_held` says of an entry
    /// that puts it in force whether a quorum has it.
    pub fn check_in_force(
        &mut self,
        node: NodeId,
        what: &str,
        format: Format,
        mut is_held: impl FnMut(LogPosition) -> bool,
    ) -> Finding {
        if self.in_force < format {
            let raises = self.raises.iter().filter(|(_, raised)| **raised > self.in_force);
            let held = raises.filter(|(at, _)| is_held(**at)).map(|(_, raised)| *raised).max();
            self.in_force = self.in_force.max(held.unwrap_or(Format::FIRST));
        }
        ensure(self.in_force >= format, Check::FormatAhead, || {
            format!("n{node} sends {what} of format {format}, and {} is in force", self.in_force)
        })
    }

    /// A format is in force, whatever was seen.
    #[cfg(test)]
    pub fn put_in_force(&mut self, format: Format) {
        self.in_force = format;
    }

    /// True when an entry has put a format after the first into the log of a leader.
    pub fn is_raise_known(&self) -> bool {
        !self.raises.is_empty()
    }
}

#[cfg(test)]
mod tests;
