//! The number of watches of a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::metrics::ClientMetrics;

/// A bound on the number of watches. Clones share it: the hubs of a server, which may run on
/// several threads. It is a counter and not shared state, as the memory budget is.
#[derive(Clone)]
pub struct WatchRoom(Arc<Counter>);

struct Counter {
    watches_max: usize,
    watches: AtomicUsize,
    metrics: ClientMetrics,
}

/// The place of one watch, which is free again when this is dropped.
pub(super) struct Seat(WatchRoom);

impl WatchRoom {
    /// Room for `watches_max` watches, whose number is shown by `metrics`.
    pub fn new(watches_max: usize, metrics: ClientMetrics) -> WatchRoom {
        WatchRoom(Arc::new(Counter { watches_max, watches: AtomicUsize::new(0), metrics }))
    }

    /// Takes the place of one watch, if there is one.
    pub(super) fn take(&self) -> Option<Seat> {
        let before = self.0.watches.fetch_add(1, Ordering::Relaxed);
        self.0.metrics.on_watch_began();
        // A seat that is too much is given back at once.
        let seat = Seat(self.clone());
        (before < self.0.watches_max).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.0.watches.fetch_sub(1, Ordering::Relaxed);
        self.0.0.metrics.on_watch_ended();
    }
}
