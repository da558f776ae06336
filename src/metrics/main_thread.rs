//! The lateness of the main thread: by how much its timers come late.
//!
//! A timer is late by the time that the thread spends on what is ready before it, so the lateness
//! shows the longest turns, and a process that gets no processor. A turn that is over before the
//! next tick is due is not seen, and timers have a resolution of a millisecond.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::durations::Durations;
use super::measures::system_clock;
use crate::clock::Clock;

/// Number of seconds whose maxima are kept.
const SECONDS: u64 = 16;

/// The time for which the gauge shows a maximum: longer than the time between two scrapes.
const SHOWN: Duration = Duration::from_secs(15);

/// The measurements of the main thread. Clones share the numbers.
#[derive(Clone)]
pub struct MainThreadMetrics {
    clock: Arc<dyn Clock>,
    lateness: Durations,
    longest: Gauge<f64, AtomicU64>,
    /// The longest lateness of each of the last seconds: the lower half of a second of the clock
    /// in the upper 32 bits, microseconds in the lower ones.
    maxima: Arc<[AtomicU64; SECONDS as usize]>,
}

impl MainThreadMetrics {
    pub(super) fn new(clock: Arc<dyn Clock>) -> MainThreadMetrics {
        MainThreadMetrics {
            clock,
            lateness: Durations::default(),
            longest: Gauge::default(),
            maxima: Arc::default(),
        }
    }

    /// Takes the time by which a timer of the thread came late. Only that thread calls it.
    pub fn on_late(&self, lateness: Duration) {
        self.lateness.observe(lateness);
        let second = self.second();
        let slot = &self.maxima[(second % SECONDS) as usize];
        let (noted, longest_us) = unpack(slot.load(Ordering::Relaxed));
        let late_us = u32::try_from(lateness.as_micros()).unwrap_or(u32::MAX);
        let late_us = if noted == lower(second) { late_us.max(longest_us) } else { late_us };
        slot.store(u64::from(lower(second)) << 32 | u64::from(late_us), Ordering::Relaxed);
        self.longest.set(self.max_within(SHOWN).as_secs_f64());
    }

    /// The longest lateness of the last seconds, at most 15 of them. The current second counts, and
    /// one second more, because they are not kept in parts.
    pub fn max_within(&self, time: Duration) -> Duration {
        let now = self.second();
        let longest = |slot: &AtomicU64| {
            let (noted, late_us) = unpack(slot.load(Ordering::Relaxed));
            let age_s = lower(now).wrapping_sub(noted);
            if u64::from(age_s) <= time.as_secs() { late_us } else { 0 }
        };
        let late_us = self.maxima.iter().map(longest).max().unwrap_or(0);
        Duration::from_micros(late_us.into())
    }

    fn second(&self) -> u64 {
        self.clock.monotonic().as_secs()
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Time by which a tick of the main thread came late";
        registry.register("main_thread_lateness_seconds", help, self.lateness.clone());
        let help = "Longest time by which a tick came late within the last 15 seconds";
        registry.register("main_thread_lateness_max_seconds", help, self.longest.clone());
    }
}

impl Default for MainThreadMetrics {
    fn default() -> MainThreadMetrics {
        MainThreadMetrics::new(system_clock())
    }
}

/// The second and the microseconds of a slot.
fn unpack(slot: u64) -> (u32, u32) {
    ((slot >> 32) as u32, slot as u32)
}

fn lower(second: u64) -> u32 {
    second as u32
}
