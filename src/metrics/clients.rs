//! The measurements of the acceptor and of the sessions of clients.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::durations::{DurationCounts, Durations};
use super::measures::system_clock;
use crate::clock::Clock;

/// The commands, by the names that the protocol has for them. Those of operators share one.
const COMMANDS: [&str; 16] = [
    "add", "cas", "commit", "compact", "delete", "end", "get", "getm", "grant", "lease", "other",
    "range", "renew", "revoke", "scan", "set",
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabel {
    command: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SlowLabel {
    command: &'static str,
    cause: &'static str,
}

/// The numbers of one command.
#[derive(Clone)]
pub struct CommandMetrics {
    requests: Counter,
    duration: Durations,
}

/// The measurements of sessions. Clones share the numbers.
#[derive(Clone)]
pub struct ClientMetrics {
    clock: Arc<dyn Clock>,
    pub(super) sessions: Gauge,
    refused: Counter,
    pub(super) watches: Gauge,
    pub(super) received_bytes: Counter,
    pub(super) sent_bytes: Counter,
    pub(super) failed: Counter,
    requests: Family<CommandLabel, Counter>,
    durations: Family<CommandLabel, Durations>,
    slow: Family<SlowLabel, Counter>,
    /// The handles of each command, so that no session has to lock a family.
    commands: Arc<BTreeMap<&'static str, CommandMetrics>>,
}

impl ClientMetrics {
    pub(super) fn new(clock: Arc<dyn Clock>) -> ClientMetrics {
        let requests = Family::<CommandLabel, Counter>::default();
        let durations = Family::<CommandLabel, Durations>::default();
        let handles = |command: &'static str| {
            let label = CommandLabel { command };
            let requests = requests.get_or_create_owned(&label);
            let duration = durations.get_or_create_owned(&label);
            (command, CommandMetrics { requests, duration })
        };
        let commands = Arc::new(COMMANDS.into_iter().map(handles).collect());
        let slow = Family::<SlowLabel, Counter>::default();
        // A series that is there from the start can be graphed before its first event.
        for (command, cause) in [("set", "disk"), ("set", "network"), ("get", "round")] {
            drop(slow.get_or_create(&SlowLabel { command, cause }));
        }
        ClientMetrics {
            clock,
            sessions: Gauge::default(),
            refused: Counter::default(),
            watches: Gauge::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            failed: Counter::default(),
            requests,
            durations,
            slow,
            commands,
        }
    }

    /// The time of the clock by which commands are measured.
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Takes the number of clients that are connected.
    pub fn set_sessions(&self, sessions: usize) {
        self.sessions.set(i64::try_from(sessions).unwrap_or(i64::MAX));
    }

    /// Counts a client that was refused, because there are too many.
    pub fn on_refused(&self) {
        self.refused.inc();
    }

    /// Counts a watch that begins.
    pub fn on_watch_began(&self) {
        self.watches.inc();
    }

    /// Counts a watch that ends.
    pub fn on_watch_ended(&self) {
        self.watches.dec();
    }

    /// Counts bytes that were received from clients.
    pub fn on_received(&self, bytes: u64) {
        self.received_bytes.inc_by(bytes);
    }

    /// Counts bytes that were sent to clients.
    pub fn on_sent(&self, bytes: u64) {
        self.sent_bytes.inc_by(bytes);
    }

    /// Counts a command that was answered after this time. A name that no command has counts as
    /// `other`.
    pub fn on_answered(&self, command: &str, duration: Duration) {
        let known = self.commands.get(command).or_else(|| self.commands.get("other"));
        if let Some(CommandMetrics { requests, duration: durations }) = known {
            requests.inc();
            durations.observe(duration);
        }
    }

    /// Counts a command that took long, by the name of the part in which most of its time went. A
    /// name that no command has counts as `other`.
    pub fn on_slow(&self, command: &str, cause: &'static str) {
        let known = COMMANDS.into_iter().find(|known| *known == command);
        let label = SlowLabel { command: known.unwrap_or("other"), cause };
        self.slow.get_or_create(&label).inc();
    }

    /// The number of commands that took long in a part.
    #[cfg(test)]
    pub(crate) fn slow(&self, command: &'static str, cause: &'static str) -> u64 {
        self.slow.get_or_create(&SlowLabel { command, cause }).get()
    }

    /// Counts commands that the server did not execute, or not as far as is known.
    pub fn on_failed(&self, commands: usize) {
        self.failed.inc_by(commands as u64);
    }

    /// The number of commands with these names that were answered.
    pub(super) fn answered(&self, names: &[&str]) -> u64 {
        names.iter().map(|name| self.commands[name].requests.get()).sum()
    }

    /// The times from the arrival of commands with these names to their answers.
    pub(super) fn durations_of(&self, names: &[&str]) -> DurationCounts {
        let counts = names.iter().map(|name| self.commands[name].duration.counts());
        counts.fold(DurationCounts::default(), DurationCounts::plus)
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Clients that are connected to the text port";
        registry.register("client_sessions", help, self.sessions.clone());
        let help = "Clients that were refused, because there were too many";
        registry.register("client_sessions_refused", help, self.refused.clone());
        let help = "Watches of clients";
        registry.register("client_watches", help, self.watches.clone());
        let help = "Bytes received from clients of the text port";
        registry.register("client_received_bytes", help, self.received_bytes.clone());
        let help = "Bytes sent to clients of the text port";
        registry.register("client_sent_bytes", help, self.sent_bytes.clone());
        let help = "Commands that were answered, refusals included";
        registry.register("client_requests", help, self.requests.clone());
        let help = "Commands answered with ERR_TIMEOUT, ERR_INTERNAL, ERR_BUSY, ERR_NO_LEADER or \
                    ERR_FULL";
        registry.register("client_requests_failed", help, self.failed.clone());
        let help = "Commands that took longer than slow_operation_ms, by the longest part of the \
                    time";
        registry.register("client_slow_requests", help, self.slow.clone());
        let help = "Time from a command's arrival to its answer";
        registry.register("client_request_duration_seconds", help, self.durations.clone());
    }
}

impl Default for ClientMetrics {
    fn default() -> ClientMetrics {
        ClientMetrics::new(system_clock())
    }
}
