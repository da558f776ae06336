//! Asks each server again and again, each for itself: one that does not answer delays none of the
//! others.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use coracle::types::NodeId;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use super::super::failure::Failure;
use super::super::survey::{Heard, Target, hear, unlisted};

/// The time between two questions to a server.
pub const INTERVAL: Duration = Duration::from_secs(1);

/// The last answers of each server, which a thread of its own renews. It ends when this is dropped.
pub struct Watcher {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// The facts that the thread and its owner share.
struct Shared {
    heard: Mutex<BTreeMap<NodeId, Heard>>,
    /// Told when the owner ends.
    end: Notify,
}

impl Watcher {
    /// Begins to ask these servers, and the members that they name, each once a second. An answer
    /// is waited for no longer than `patience`.
    ///
    /// # Errors
    /// When the system has no thread or no descriptor for it.
    pub fn start(targets: Vec<Target>, patience: Duration) -> Result<Watcher, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared { heard: Mutex::default(), end: Notify::new() });
        let context = runtime.enter();
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        drop(context);
        let watch = watch(Arc::clone(&shared), targets, patience);
        let ended = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("watcher".into()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = watch => {}
                    () = ended.end.notified() => {}
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
        })?;
        Ok(Watcher { shared, thread: Some(thread) })
    }

    /// The last answers of the servers that have been asked, by their ids.
    pub fn heard(&self) -> Vec<Heard> {
        self.shared.heard().values().cloned().collect()
    }

    /// True once a signal has asked this process to end.
    pub fn is_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.end.notify_one();
        if let Some(thread) = self.thread.take() {
            // A thread that has panicked has said so, and has ended the process.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, BTreeMap<NodeId, Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks these servers, and those that become known, for ever.
async fn watch(shared: Arc<Shared>, targets: Vec<Target>, patience: Duration) {
    let mut tasks = JoinSet::new();
    for target in targets {
        tasks.spawn(keep_asking(Arc::clone(&shared), target, patience));
    }
    let mut ticks = interval(INTERVAL);
    loop {
        ticks.tick().await;
        let heard: Vec<Heard> = shared.heard().values().cloned().collect();
        for target in unlisted(&heard) {
            // It is known from now on, and not asked by two tasks.
            let first = hear(target.clone(), patience).await;
            shared.heard().insert(target.id, first);
            tasks.spawn(keep_asking(Arc::clone(&shared), target, patience));
        }
    }
}

async fn keep_asking(shared: Arc<Shared>, target: Target, patience: Duration) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let heard = hear(target.clone(), patience).await;
        shared.heard().insert(target.id, heard);
    }
}
