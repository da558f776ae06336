//! Commands that take longer than a bound: they are counted by the part in which most of the time
//! went, and logged within a limit (docs/adr/0036).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use log::Level;

use crate::actors::io::operation_times::OperationTimes;
use crate::kv::{Query, first_key_of};
use crate::logging::{Allowance, LogLimit, log_line};
use crate::metrics::{ClientMetrics, MainThreadMetrics};
use crate::types::{Fact, LogLine, NodeId};

/// The allowance for lines: each is of another command, and a stall makes thousands of them.
const SECONDLY: Allowance = Allowance { lines: 1, period: Duration::from_secs(1) };

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
    limit: Arc<Mutex<LogLimit>>,
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
        let limit = Arc::new(Mutex::new(LogLimit::new(SECONDLY, SECONDLY)));
        let settings = Settings { bound, node, clients, main_thread, limit };
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
        let mut limit = self.limit.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, left_out) = limit.level(Level::Warn, ());
        drop(limit);
        // A stall makes many at a time, of which most are left out.
        if level > log::max_level() {
            return;
        }
        let late = self.main_thread.max_within(LATE_WITHIN);
        let mut line = line(times, ended_at, end, subject)
            .with("late_max_ms", ms(late))
            .with("node", self.node);
        if let Some(left_out) = left_out {
            line = line.with("left_out", left_out);
        }
        log_line(level, module_path!(), &line);
    }
}

/// The line about a command, without what is not the command's.
fn line(
    times: &OperationTimes,
    ended_at: Duration,
    end: OperationEnd,
    subject: Subject<'_>,
) -> LogLine {
    let mut line = LogLine::new("took long")
        .with("command", times.command().to_owned())
        .with("outcome", end.name().to_owned());
    let key = match subject {
        Subject::Write(command) => first_key_of(command),
        Subject::Read(query) => query.first_key(),
        Subject::Unknown => None,
    };
    if let Some(key) = key {
        line = line.with("key", shown(&key)).with("key_bytes", key.len() as u64);
    }
    if let Subject::Write(command) = subject {
        line = line.with("command_bytes", command.len() as u64);
    }
    let total = ended_at.saturating_sub(times.arrived_at());
    line = line.with("total_ms", ms(total));
    line = line.with("cause", times.longest(ended_at).name().to_owned());
    for (part, took) in times.parts(ended_at) {
        line.facts.push((format!("{}_ms", part.name()).into(), ms(took)));
    }
    line
}

/// The beginning of a key, as text if it is text.
fn shown(key: &[u8]) -> String {
    let beginning = &key[..key.len().min(KEY_BYTES_MAX)];
    match str::from_utf8(beginning) {
        Ok(text) => text.to_owned(),
        // The bound is within a character.
        Err(error) if error.error_len().is_none() && key.len() > KEY_BYTES_MAX => {
            String::from_utf8_lossy(&beginning[..error.valid_up_to()]).into_owned()
        }
        Err(_) => beginning.escape_ascii().to_string(),
    }
}

/// A time in milliseconds.
fn ms(time: Duration) -> Fact {
    Fact::Fraction(time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests;
