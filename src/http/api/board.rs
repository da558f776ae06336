//! The facts about the cluster that all pages are told, and the ways to them.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::others::OtherReport;
use super::samples::Samples;
use super::stream::event;
use crate::types::NodeId;

/// Number of events that wait for a slow stream, besides one state.
const EVENTS_MAX: usize = 64;

/// The facts that all streams share.
pub(super) struct Board {
    samples: Mutex<Samples>,
    pub(super) others: Mutex<BTreeMap<NodeId, OtherReport>>,
    /// The causes of terms that other servers have told, each with its sentence, by term.
    pub(super) causes: Mutex<BTreeMap<u64, (Value, Value)>>,
    /// The leader that this server knew at the last look, and since when.
    pub(super) leader: Mutex<(Option<NodeId>, Instant)>,
    /// The number of times that the other servers were asked.
    pub(super) rounds: AtomicU64,
    pub(super) state: watch::Sender<Bytes>,
    events: broadcast::Sender<Bytes>,
}

/// The pushes to one page.
pub(super) struct Pushes {
    pub(super) state: watch::Receiver<Bytes>,
    pub(super) events: broadcast::Receiver<Bytes>,
}

impl Board {
    pub(super) fn new() -> Board {
        Board {
            samples: Mutex::default(),
            others: Mutex::default(),
            causes: Mutex::default(),
            leader: Mutex::new((None, Instant::now())),
            rounds: AtomicU64::default(),
            state: watch::Sender::new(Bytes::new()),
            events: broadcast::Sender::new(EVENTS_MAX),
        }
    }

    pub(super) fn samples(&self) -> MutexGuard<'_, Samples> {
        lock(&self.samples)
    }

    /// Begins to push to one page.
    pub(super) fn subscribe(&self) -> Pushes {
        Pushes { state: self.state.subscribe(), events: self.events.subscribe() }
    }

    /// True while somebody looks.
    pub(super) fn is_watched(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Tells all pages that the server ends their streams.
    pub(super) fn say_bye(&self) {
        self.push("bye", &json!({"text": "The server stops."}));
    }

    /// Tells all pages.
    pub(super) fn push(&self, name: &str, data: &Value) {
        // An error says that nobody looks.
        let _ = self.events.send(event(name, data));
    }
}

/// Locks what one thread uses.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
