//! Messages to the supervisor of the process, which is systemd with `Type=notify`: ready, stopping,
//! well. Without a supervisor, that is without NOTIFY_SOCKET, nothing is sent.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::metrics::{MAIN_THREAD_SILENCE_MAX, RaftMetrics};

/// Says that the server listens and has read its files.
///
/// The supervisor starts what comes after this server, and no other server of the cluster waits
/// for it. So this may not wait for a quorum: the first server of a new cluster would never be
/// ready, and a rolling restart that waits for each server would not get beyond it. A load balancer
/// asks `/readyz`, which does wait.
pub(super) fn tell_ready() {
    tell(&NotifyState::Ready);
}

/// Says that the server stops because it was asked to.
pub(super) fn tell_stopping() {
    tell(&NotifyState::Stopping);
}

/// The supervisor is a help and no condition: a server that cannot reach it goes on.
fn tell(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        log::warn!(detail:% = error; "could not tell the supervisor {state}");
    }
}

/// A thread that tells the supervisor again and again that the main thread makes progress. It ends
/// when this is dropped.
///
/// The thread is another one than the main thread, which must not wait for a supervisor that
/// reads late.
pub(super) struct Watchdog {
    _end: Sender<()>,
}

impl Watchdog {
    /// Starts the thread, if the supervisor asks for it: twice in the time after which the
    /// supervisor would end the process.
    pub(super) fn start(metrics: RaftMetrics) -> Option<Watchdog> {
        let interval = sd_notify::watchdog_enabled()? / 2;
        let (end, ended) = channel();
        let watch = move || {
            watch(&ended, interval, || is_well(&metrics), || tell(&NotifyState::Watchdog));
        };
        match thread::Builder::new().name("watchdog".into()).spawn(watch) {
            Ok(_) => Some(Watchdog { _end: end }),
            Err(error) => {
                log::warn!(detail:% = error; "could not start the thread for the supervisor");
                None
            }
        }
    }
}

/// Beats at each interval at which the server is well, until the other end of `ended` is dropped.
fn watch(
    ended: &Receiver<()>,
    interval: Duration,
    is_well: impl Fn() -> bool,
    mut beat: impl FnMut(),
) {
    while ended.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        if is_well() {
            beat();
        }
    }
}

/// True while the main thread makes progress, by the bound of `/livez`.
///
/// A disk that stands still is no reason to be ended, although `/livez` has a check for it: a new
/// process would wait for the same disk, and would have to read all of its files from it first.
fn is_well(metrics: &RaftMetrics) -> bool {
    metrics.tick_age().is_some_and(|age| age <= MAIN_THREAD_SILENCE_MAX)
}

#[cfg(test)]
mod tests;
