//! Commands whose answers are late, by a clock that the test sets.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::clock::Clock;
use crate::metrics::NodeMetrics;

/// A clock that a test sets.
#[derive(Default)]
struct SetClock(AtomicU64);

impl Clock for SetClock {
    fn wall_ms(&self) -> u64 {
        0
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

struct Judged {
    clock: Arc<SetClock>,
    metrics: NodeMetrics,
    kv: Addr<KvActor>,
}

impl Judged {
    fn start() -> Judged {
        let clock = Arc::new(SetClock::default());
        let node_clock: Arc<dyn Clock> = clock.clone();
        let metrics = NodeMetrics::new(&node_clock);
        let NodeMetrics { clients, main_thread, store, .. } = metrics.clone();
        let bound = Duration::from_millis(100);
        let slow = SlowOperations::new(bound, NodeId(1), clients, main_thread);
        let (raft, _) = probe();
        let kv = KvActor::new(Store::new(), ports(raft)).with_metrics(store);
        Judged { clock, metrics, kv: kv.with_slow_operations(slow).start() }
    }

    async fn apply_at(&self, ms: u64, tasks: Vec<ApplyTask>) {
        self.clock.0.store(ms, Ordering::Relaxed);
        self.kv.do_send(Apply { tasks });
        settle().await;
    }
}

/// A place for the reply to a command that arrived at 0 and was given to the store at
/// `released_ms`.
fn released(session: &Session, slot: u64, released_ms: u64) -> ReplyHandle {
    let mut reply_handle = session.reply_handle(slot);
    let released_at = Duration::from_millis(released_ms);
    reply_handle.times.propose(Some(Duration::ZERO), Some(Duration::ZERO));
    reply_handle.times.release(released_at);
    reply_handle
}

#[actix::test]
async fn a_write_that_waits_for_the_store_is_slow_by_its_application() {
    let judged = Judged::start();
    let session = Session::new(1);
    judged.apply_at(99, vec![entry(set(1, "a", 0), released(&session, 1, 10))]).await;
    assert_eq!(judged.metrics.clients.slow("set", "apply"), 0);
    let tasks = vec![
        entry(set(2, "b", 0), released(&session, 2, 10)),
        entry(set(3, "c", 0), released(&session, 3, 90)),
        ApplyTask::Entry { entry: set(4, "d", 0), waiters: None },
    ];
    judged.apply_at(100, tasks).await;
    assert_eq!(judged.metrics.clients.slow("set", "apply"), 1);
    assert_eq!(judged.metrics.clients.slow("set", "network"), 1);
    assert_eq!(session.inbox.drain().len(), 2);
}

#[actix::test]
async fn the_renewals_of_an_entry_are_slow_each_by_itself() {
    let judged = Judged::start();
    let session = Session::new(1);
    let renewals = vec![(7, released(&session, 1, 10)), (8, released(&session, 2, 10))];
    let waiters = Some(Waiters::Renewals(renewals));
    let tasks = vec![ApplyTask::Entry { entry: set(1, "a", 0), waiters }];
    judged.apply_at(200, tasks).await;
    assert_eq!(judged.metrics.clients.slow("set", "apply"), 2);
}

#[actix::test]
async fn reads_and_scans_are_judged_by_their_answers() {
    let judged = Judged::start();
    let session = Session::new(1);
    let mut reply_handle = session.reply_handle(1);
    reply_handle.times.read(Duration::ZERO);
    reply_handle.times.release(Duration::from_millis(1));
    let query = Query::Scan { prefix: Bytes::new(), limit: 1, after: None, at: 0 };
    let (read_index, now_ms) = (LogIndex(0), 0);
    let scan = ApplyTask::Read { query, read_index, now_ms, reply_handle: reply_handle.clone() };
    judged.apply_at(150, vec![get(0, reply_handle), scan]).await;
    settle().await;
    assert_eq!(session.inbox.drain().len(), 2);
    assert_eq!(judged.metrics.clients.slow("set", "apply"), 2);
}
