//! An open loop's schedule: when each command is to be sent, whatever became of
//! those before it.
//!
//! A closed loop sends less while the servers are slow, and so never sees what a
//! user would have waited whose command came just then: coordinated omission. In
//! an open loop every command has a time of its own, and its latency counts from
//! there, even if a connection that was full sends it later.
//!
//! Commands are due in beats: one command each at a low rate; at a higher one
//! several at once, so that beats are no shorter than [`BEAT_MIN`].

use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// A thread sleeps some 60 us longer than it is told to, and each wake-up costs
/// as much as a command.
const BEAT_MIN: Duration = Duration::from_micros(250);

/// When commands are due, and on which connection: one after the other has its turn.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    begin: Instant,
    connections: u64,
    beat_commands: u64,
    beat_ns: u64,
}

impl Schedule {
    /// `rate` commands a second over `connections` connections; neither is 0.
    pub fn new(begin: Instant, rate: f64, connections: u64) -> Schedule {
        let beat_commands = (rate * BEAT_MIN.as_secs_f64()).ceil().max(1.0);
        let beat_ns = (beat_commands / rate * 1e9).round() as u64;
        Schedule { begin, connections, beat_commands: beat_commands as u64, beat_ns }
    }

    /// When the command is due that is the `turn`th of `connection`; both begin at 0.
    pub fn due(&self, connection: u64, turn: u64) -> Instant {
        self.beat((turn * self.connections + connection) / self.beat_commands)
    }

    /// How many are due by now, on all connections together.
    pub fn due_count(&self, now: Instant) -> u64 {
        self.next_beat(now) * self.beat_commands
    }

    fn beat(&self, number: u64) -> Instant {
        self.begin + Duration::from_nanos(number * self.beat_ns)
    }

    /// The first that is still to come.
    fn next_beat(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begin).as_nanos() as u64 / self.beat_ns + 1
    }

    /// Notifies at every beat, as long as somebody listens. On a thread of its own,
    /// for the runtime's timers know only milliseconds.
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
mod tests {
    use super::*;

    fn due_us(schedule: &Schedule, connection: u64, turns: u64) -> Vec<u128> {
        let since = |turn| schedule.due(connection, turn) - schedule.begin;
        (0..turns).map(|turn| since(turn).as_micros()).collect()
    }

    #[test]
    fn at_a_low_rate_each_command_has_a_beat_of_its_own() {
        let schedule = Schedule::new(Instant::now(), 1000.0, 2);
        assert_eq!(due_us(&schedule, 0, 3), [0, 2000, 4000]);
        assert_eq!(due_us(&schedule, 1, 3), [1000, 3000, 5000]);
        let slow = Schedule::new(Instant::now(), 0.5, 1);
        assert_eq!(due_us(&slow, 0, 3), [0, 2_000_000, 4_000_000]);
    }

    #[test]
    fn at_a_high_rate_several_share_a_beat_and_the_rate_is_kept() {
        let schedule = Schedule::new(Instant::now(), 10_000.0, 2);
        assert_eq!(due_us(&schedule, 0, 4), [0, 0, 300, 600], "three a beat of 300 us");
        assert_eq!(due_us(&schedule, 1, 4), [0, 300, 300, 600]);
        assert_eq!(due_us(&schedule, 0, 15_001).last(), Some(&3_000_000));
    }

    #[test]
    fn as_many_are_counted_as_are_due() {
        for rate in [0.3, 7.0, 999.0, 4000.0, 4001.0, 123_456.0] {
            let schedule = Schedule::new(Instant::now(), rate, 1);
            for turn in [0, 1, 2, 10, 4_567] {
                let due = schedule.due(0, turn);
                let counted = schedule.due_count(due);
                assert!(counted > turn, "{rate} a second: command {turn}, counted {counted}");
                assert!(schedule.due(0, counted) > due, "{rate} a second: {counted} are too many");
            }
        }
    }

    #[test]
    fn nothing_is_due_before_the_beginning_but_the_first_beat() {
        let begin = Instant::now() + Duration::from_secs(1);
        assert_eq!(Schedule::new(begin, 10.0, 1).due_count(Instant::now()), 1);
    }

    #[tokio::test]
    async fn beats_are_told_and_no_more_when_nobody_listens() {
        let listener = Arc::new(Notify::new());
        let schedule = Schedule::new(Instant::now(), 1000.0, 1);
        schedule.notify_beats(&listener);
        for _ in 0..3 {
            listener.notified().await;
        }
        let last = Arc::downgrade(&listener);
        drop(listener);
        // It holds the listener only while it notifies.
        while last.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
