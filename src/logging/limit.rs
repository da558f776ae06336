//! The bound on lines that an outside party or a loop can cause again and again: neither a
//! scanner nor a peer that is down must fill the log.

use std::collections::BTreeMap;
use std::time::Duration;

use log::Level;
use tokio::time::Instant;

/// A number of lines in a period. A period begins with its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Maximum number of lines; at least 1.
    pub lines: u32,
    /// The time for which it counts.
    pub period: Duration,
}

/// The allowance for lines that differ: ten a minute.
pub const BURST: Allowance = Allowance { lines: 10, period: Duration::from_secs(60) };

/// The allowance for a line that says the same each time: one in ten minutes.
pub const ONCE: Allowance = Allowance { lines: 1, period: Duration::from_secs(600) };

/// Maximum number of keys that are remembered. Strangers choose some of them.
const KEYS_MAX: usize = 64;

/// Admits a bounded number of lines for each key and in all, and counts the others. It knows only
/// the times that it is given; those of [`LogLimit::level`] are the runtime's, which a simulation
/// rules.
#[derive(Clone, Debug)]
pub struct LogLimit<K = ()> {
    each: Allowance,
    all: Period,
    keys: BTreeMap<K, Period>,
    /// Number of lines that were not admitted since the last one that was.
    left_out: u64,
}

/// The lines of a period.
#[derive(Clone, Copy, Debug)]
struct Period {
    allowance: Allowance,
    /// The beginning; `None` before the first line.
    since: Option<Instant>,
    lines: u32,
}

impl Period {
    fn new(allowance: Allowance) -> Period {
        Period { allowance, since: None, lines: 0 }
    }

    fn has_room(&self, now: Instant) -> bool {
        self.lines < self.allowance.lines || !self.is_running(now)
    }

    fn is_running(&self, now: Instant) -> bool {
        let age = |since| now.saturating_duration_since(since);
        self.since.is_some_and(|since| age(since) < self.allowance.period)
    }

    fn add(&mut self, now: Instant) {
        if !self.is_running(now) {
            (self.since, self.lines) = (Some(now), 0);
        }
        self.lines += 1;
    }
}

impl<K: Ord> LogLimit<K> {
    /// Allows `each` key so many lines, and all keys together `all`.
    pub fn new(each: Allowance, all: Allowance) -> LogLimit<K> {
        LogLimit { each, all: Period::new(all), keys: BTreeMap::new(), left_out: 0 }
    }

    /// Counts a line at the time `now`. If it is to be logged, returns the number of lines that
    /// were left out since the last one; `None` inside stands for none of them.
    pub fn admit(&mut self, key: K, now: Instant) -> Option<Option<u64>> {
        let of_key = self.keys.get(&key);
        if !self.all.has_room(now) || of_key.is_some_and(|period| !period.has_room(now)) {
            self.left_out += 1;
            return None;
        }
        self.all.add(now);
        if of_key.is_none() {
            self.make_room(now);
        }
        self.keys.entry(key).or_insert(Period::new(self.each)).add(now);
        Some(self.take_left_out())
    }

    /// Counts a line of this level, now. Returns the level at which it is to be logged, which is
    /// `Debug` for a line that is left out, and the fact `left_out` of the line.
    pub fn level(&mut self, level: Level, key: K) -> (Level, Option<u64>) {
        match self.admit(key, Instant::now()) {
            Some(left_out) => (level, left_out),
            None => (Level::Debug, None),
        }
    }

    /// True when lines were left out and one may be logged again. The last line that was logged
    /// may then say the opposite of what is so.
    pub fn is_due(&self) -> bool {
        self.left_out > 0 && self.all.has_room(Instant::now())
    }

    /// Forgets the keys for which `has_ended` is true: their next lines are news.
    pub fn forget(&mut self, has_ended: impl Fn(&K) -> bool) {
        self.keys.retain(|key, _| !has_ended(key));
    }

    /// Takes the number of lines that were left out since the last one, for a line that says that
    /// it is over; `None` when there are none.
    pub fn take_left_out(&mut self) -> Option<u64> {
        Some(std::mem::take(&mut self.left_out)).filter(|left_out| *left_out > 0)
    }

    /// Adds lines that another bound left out: the next line here tells them as well.
    pub fn add_left_out(&mut self, left_out: Option<u64>) {
        self.left_out += left_out.unwrap_or(0);
    }

    /// Forgets the keys whose time is over; if there are none, the others.
    fn make_room(&mut self, now: Instant) {
        if self.keys.len() == KEYS_MAX {
            self.keys.retain(|_, period| period.is_running(now));
        }
        if self.keys.len() == KEYS_MAX {
            self.keys.clear();
        }
    }
}

/// Allows [`BURST`].
impl Default for LogLimit {
    fn default() -> LogLimit {
        LogLimit::new(BURST, BURST)
    }
}

#[cfg(test)]
mod tests;
