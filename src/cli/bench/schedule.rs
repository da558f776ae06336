//! The schedule of an open loop: the time at which each command is to be sent, independent
//! of the answers to those before it.
//!
//! A closed loop sends less while the servers are slow. So it does not measure how long a
//! user would have waited whose command came just then (coordinated omission). In an open loop
//! every command has a time of its own, and its latency counts from there, even if a
//! connection that was full sends it later.
//!
//! Commands are due in beats: one command a beat at a low rate; several at a higher one, so
//! that beats are no shorter than [`BEAT_MIN`].

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// The shortest beat. A thread sleeps about 60 us longer than it is told to, and each
/// wake-up costs as much as a command.
const BEAT_MIN: Duration = Duration::from_micros(250);

/// The times at which commands are due. The connections take turns, one command each.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    begin: Instant,
    connections: u64,
    beat_commands: u64,
    beat_ns: u64,
}

impl Schedule {
    /// A schedule of `rate` commands a second over `connections` connections; neither is 0.
    pub fn new(begin: Instant, rate: f64, connections: u64) -> Schedule {
        let beat_commands = (rate * BEAT_MIN.as_secs_f64()).ceil().max(1.0);
        let beat_ns = (beat_commands / rate * 1e9).round() as u64;
        Schedule { begin, connections, beat_commands: beat_commands as u64, beat_ns }
    }

    /// The time at which the `turn`th command of `connection` is due; both begin at 0.
    pub fn due(&self, connection: u64, turn: u64) -> Instant {
        self.beat((turn * self.connections + connection) / self.beat_commands)
    }

    /// The number of commands that are due by now, on all connections together.
    pub fn due_count(&self, now: Instant) -> u64 {
        self.next_beat(now) * self.beat_commands
    }

    fn beat(&self, number: u64) -> Instant {
        self.begin + Duration::from_nanos(number * self.beat_ns)
    }

    /// The first beat that is still to come.
    fn next_beat(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begin).as_nanos() as u64 / self.beat_ns + 1
    }

    /// Notifies `listener` at every beat, as long as it exists. This runs on a thread of its
    /// own, because the runtime's timers know only milliseconds.
    pub fn notify_beats(self, listener: &Arc<Notify>) {
        let listener: Weak<Notify> = Arc::downgrade(listener);
        thread::spawn(move || {
            while let Some(listener) = listener.upgrade() {
                listener.notify_one();
                drop(listener);
                let now = Instant::now();
                thread::sleep(self.beat(self.next_beat(now)) - now);
            }
        });
    }
}

#[cfg(test)]
mod tests;
