//! The moments of a command's way through the actors, and the parts of its time between them
//! (docs/adr/0036).
//!
//! Each moment is read where the clock is read anyway, so they cost nothing but their place in
//! memory. They decide nothing.

use std::time::Duration;

/// The way on which a command is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It has not begun one yet.
    None,
    /// It is an entry of this node's log, which this node proposed as the leader.
    Proposed,
    /// It was forwarded to the leader.
    Forwarded,
    /// It is a read.
    Read,
}

/// A part of a command's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// From its arrival until its way began: it waited in mailboxes, for other commands of its
    /// session, for a leader, or for the end of a transfer.
    Queue,
    /// From then on until the own disk had made its entry durable.
    Disk,
    /// From then on until a quorum had the entry, as far as that was later.
    Network,
    /// A read's way: until it was known that this node knows enough, and had it on its disk.
    Round,
    /// A forwarded command's way: until its entry had come back, committed, and was durable here.
    Forward,
    /// From then on until the store had executed it.
    Apply,
}

impl Part {
    /// Its name in log lines and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Part::Queue => "queue",
            Part::Disk => "disk",
            Part::Network => "network",
            Part::Round => "round",
            Part::Forward => "forward",
            Part::Apply => "apply",
        }
    }
}

/// The moments of a command's way so far, by the clock of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperationTimes {
    command: &'static str,
    way: Way,
    arrived_at: Duration,
    started_at: Option<Duration>,
    durable_at: Option<Duration>,
    released_at: Option<Duration>,
}

impl OperationTimes {
    /// A command of this name that has arrived.
    pub fn arrived(command: &'static str, at: Duration) -> OperationTimes {
        OperationTimes {
            command,
            way: Way::None,
            arrived_at: at,
            started_at: None,
            durable_at: None,
            released_at: None,
        }
    }

    /// Its name.
    pub fn command(&self) -> &'static str {
        self.command
    }

    /// The time at which the session had it.
    pub fn arrived_at(&self) -> Duration {
        self.arrived_at
    }

    /// It is an entry that was handed to the disk and to the peers, if that has happened, and that
    /// is durable here, if it is.
    pub fn propose(&mut self, handed_over_at: Option<Duration>, durable_at: Option<Duration>) {
        self.way = Way::Proposed;
        (self.started_at, self.durable_at) = (handed_over_at, durable_at);
    }

    /// It was forwarded to the leader. One that is forwarded again goes on from its first time.
    pub fn forward(&mut self, at: Duration) {
        self.way = Way::Forwarded;
        self.started_at.get_or_insert(at);
    }

    /// It is a read that waits to be confirmed. One that is asked again goes on likewise.
    pub fn read(&mut self, at: Duration) {
        self.way = Way::Read;
        self.started_at.get_or_insert(at);
    }

    /// It was given to the store.
    pub fn release(&mut self, at: Duration) {
        self.released_at = Some(at);
    }

    /// The parts of its time, in their order, if it ended at `ended_at`. They add up to all of it,
    /// unless the clocks of two threads differ.
    pub fn parts(&self, ended_at: Duration) -> impl Iterator<Item = (Part, Duration)> + use<> {
        let released_at = self.released_at.unwrap_or(ended_at);
        let started_at = self.started_at.unwrap_or(released_at);
        let durable_at = self.durable_at.unwrap_or(released_at);
        let ends: [Option<(Part, Duration)>; 4] = match self.way {
            Way::None => [Some((Part::Queue, ended_at)), None, None, None],
            Way::Proposed => [
                Some((Part::Queue, started_at)),
                Some((Part::Disk, durable_at)),
                Some((Part::Network, released_at)),
                Some((Part::Apply, ended_at)),
            ],
            Way::Forwarded => [
                Some((Part::Queue, started_at)),
                Some((Part::Forward, released_at)),
                Some((Part::Apply, ended_at)),
                None,
            ],
            Way::Read => [
                Some((Part::Queue, started_at)),
                Some((Part::Round, released_at)),
                Some((Part::Apply, ended_at)),
                None,
            ],
        };
        let mut before = self.arrived_at;
        ends.into_iter().flatten().map(move |(part, end)| {
            let took = end.saturating_sub(before);
            before = before.max(end);
            (part, took)
        })
    }

    /// The longest part; the earlier one of two that are equal.
    pub fn longest(&self, ended_at: Duration) -> Part {
        let longer = |one: (Part, Duration), other: (Part, Duration)| {
            if other.1 > one.1 { other } else { one }
        };
        self.parts(ended_at).reduce(longer).map_or(Part::Queue, |(part, _)| part)
    }
}

#[cfg(test)]
mod tests;
