//! Commands that take longer than a bound: they are counted by the part in which most of the time
//! went, and logged within a limit (docs/adr/0036).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::actors::io::operation_times::OperationTimes;
use crate::actors::io::slow_limit::SlowLimit;
use crate::kv::{Query, first_key_of};
use crate::metrics::{ClientMetrics, MainThreadMetrics};
use crate::types::NodeId;

/// Maximum number of bytes of a key that a line shows.
const KEY_BYTES_MAX: usize = 64;

/// The time of the past in which a line looks for the longest delay of the main thread.
const LATE_WITHIN: Duration = Duration::from_secs(5);

/// The end of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationEnd {
    /// It was executed.
    Answered,
    /// It is committed here, and the server that has forwarded it answers its client.
    Committed,
    /// Its time was over first.
    TimedOut,
    /// The leadership, or a connection to the leader, was lost first.
    Lost,
    /// It was refused.
    Refused,
}

impl OperationEnd {
    fn name(self) -> &'static str {
        match self {
            OperationEnd::Answered => "answered",
            OperationEnd::Committed => "committed",
            OperationEnd::TimedOut => "timed_out",
            OperationEnd::Lost => "lost",
            OperationEnd::Refused => "refused",
        }
    }
}

/// The content of a command, from which a line takes the key and the size.
#[derive(Clone, Copy, Debug)]
pub enum Subject<'a> {
    /// An encoded command.
    Write(&'a Bytes),
    /// A query.
    Read(&'a Query),
    /// The content is no longer known.
    Unknown,
}

/// The judge of slow commands. Clones share the limit of the lines.
#[derive(Clone, Default)]
pub struct SlowOperations {
    /// `None` when nothing is slow.
    settings: Option<Settings>,
}

#[derive(Clone)]
struct Settings {
    bound: Duration,
    node: NodeId,
    clients: ClientMetrics,
    main_thread: MainThreadMetrics,
    limit: SlowLimit,
}

impl SlowOperations {
    /// The judge of node `node`, for which a command is slow that takes this time or longer. A
    /// bound of zero turns it off.
    pub fn new(
        bound: Duration,
        node: NodeId,
        clients: ClientMetrics,
        main_thread: MainThreadMetrics,
    ) -> SlowOperations {
        let settings = Settings { bound, node, clients, main_thread, limit: SlowLimit::default() };
        SlowOperations { settings: (!bound.is_zero()).then_some(settings) }
    }

    /// True when commands are judged at all.
    pub fn is_on(&self) -> bool {
        self.settings.is_some()
    }

    /// Counts and logs a command that ended at this time, if it took long.
    pub fn judge(
        &self,
        times: &OperationTimes,
        ended_at: Duration,
        end: OperationEnd,
        subject: Subject<'_>,
    ) {
        if let Some(settings) = &self.settings
            && ended_at.saturating_sub(times.arrived_at()) >= settings.bound
        {
            settings.tell(times, ended_at, end, subject);
        }
    }
}

impl Settings {
    #[cold]
    fn tell(
        &self,
        times: &OperationTimes,
        ended_at: Duration,
        end: OperationEnd,
        subject: Subject<'_>,
    ) {
        self.clients.on_slow(times.command(), times.longest(ended_at).name());
        if let Some(left_out) = self.limit.admit(ended_at) {
            let (node, late) = (self.node, self.main_thread.max_within(LATE_WITHIN));
            let line = Line { times, ended_at, end, subject };
            log::warn!("took long node={node} {line} late_max_ms={} left_out={left_out}", Ms(late));
        }
    }
}

/// The middle of a line.
struct Line<'a> {
    times: &'a OperationTimes,
    ended_at: Duration,
    end: OperationEnd,
    subject: Subject<'a>,
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { times, ended_at, end, subject } = self;
        write!(f, "command={} outcome={}", times.command(), end.name())?;
        let key = match subject {
            Subject::Write(command) => first_key_of(command),
            Subject::Read(query) => query.first_key(),
            Subject::Unknown => None,
        };
        if let Some(key) = key {
            let shown = &key[..key.len().min(KEY_BYTES_MAX)];
            write!(f, " key=\"{}\" key_bytes={}", shown.escape_ascii(), key.len())?;
        }
        if let Subject::Write(command) = subject {
            write!(f, " command_bytes={}", command.len())?;
        }
        let total = ended_at.saturating_sub(times.arrived_at());
        write!(f, " total_ms={} cause={}", Ms(total), times.longest(*ended_at).name())?;
        for (part, took) in times.parts(*ended_at) {
            write!(f, " {}_ms={}", part.name(), Ms(took))?;
        }
        Ok(())
    }
}

/// A time in milliseconds, to a tenth.
struct Ms(Duration);

impl fmt::Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}", self.0.as_secs_f64() * 1e3)
    }
}

#[cfg(test)]
mod tests;
