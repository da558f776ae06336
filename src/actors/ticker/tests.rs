//! TickerActor on paused time.

use super::*;
use crate::testing::{probe, settle};

const INTERVAL: Duration = Duration::from_millis(10);

/// Lets this number of intervals pass, nearly all of the time at once. The rest passes in
/// small steps, because a timer that is overdue fires a millisecond later.
async fn pass(intervals: u32) {
    const STEPS: u32 = 5;
    const STEP: Duration = Duration::from_millis(1);
    tokio::time::advance(INTERVAL * intervals - STEP * STEPS).await;
    for _ in 0..STEPS {
        settle().await;
        tokio::time::advance(STEP).await;
    }
    settle().await;
}

#[actix::test]
async fn ticks_keep_the_time_except_for_a_pause() {
    tokio::time::pause();
    let (raft, ticks) = probe();
    TickerActor::new(INTERVAL, raft).start();
    settle().await;
    tokio::time::advance(Duration::from_millis(2)).await;
    for intervals in [1, 1, 2, 3, 1] {
        pass(intervals).await;
        assert_eq!(ticks.drain().len() as u32, intervals, "a little late");
    }
    pass(500).await;
    assert_eq!(ticks.drain().len(), 1, "after a pause");
    pass(1).await;
    assert_eq!(ticks.drain().len(), 1, "and on as before");
}

#[actix::test]
async fn a_tick_that_comes_late_shows_for_how_long_the_thread_was_busy() {
    tokio::time::pause();
    let (raft, _ticks) = probe();
    let metrics = MainThreadMetrics::default();
    TickerActor::new(INTERVAL, raft).with_metrics(metrics.clone()).start();
    settle().await;
    let longest = || metrics.max_within(Duration::from_secs(10));
    pass(3).await;
    assert!(longest() < INTERVAL * 3, "{:?}", longest());
    pass(50).await;
    assert!(longest() > INTERVAL * 45 && longest() < INTERVAL * 55, "{:?}", longest());
}
