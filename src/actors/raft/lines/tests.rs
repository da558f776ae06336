use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, advance, pause};

use super::*;
use crate::clock::Clock;
use crate::metrics::NodeMetrics;
use crate::testing::LogLines;
use crate::types::{LogIndex, Term};

#[actix::test]
async fn campaigns_that_nobody_answers_are_few_lines_and_told_at_their_end() {
    pause();
    let recorded = LogLines::record();
    let (mut lines, node) = (Lines::default(), NodeId(1));
    for _ in 0..40 {
        lines.log(&Event::StartedPreVote { term: Term(3) }, node);
    }
    assert_eq!(recorded.drain("INFO started pre-vote term=3 node=1").len(), 10);
    advance(BURST.period).await;
    lines.log(&Event::StartedPreVote { term: Term(3) }, node);
    assert_eq!(recorded.drain(""), ["INFO started pre-vote term=3 node=1 left_out=30"]);
    for _ in 0..11 {
        lines.log(&Event::StartedElection { term: Term(4) }, node);
    }
    recorded.drain("");
    lines.log(&Event::BecameLeader { term: Term(5) }, node);
    lines.log(&Event::BecameLeader { term: Term(6) }, node);
    let told = ["INFO became leader term=5 node=1 left_out=2", "INFO became leader term=6 node=1"];
    assert_eq!(recorded.drain(""), told);
}

#[actix::test]
async fn faults_are_all_told() {
    let recorded = LogLines::record();
    let mut lines = Lines::default();
    for _ in 0..40 {
        let event = Event::PeerDiverged { peer: NodeId(2), index: LogIndex(7) };
        lines.log(&event, NodeId(1));
    }
    assert_eq!(recorded.drain("ERROR the store of peer=2 differs").len(), 40);
}

/// A clock that shows the time of the runtime, which is paused.
struct PausedClock(Instant);

impl Clock for PausedClock {
    fn wall_ms(&self) -> u64 {
        0
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1) + self.0.elapsed()
    }
}

#[actix::test]
async fn a_disk_that_stalls_again_and_again_has_few_lines() {
    pause();
    let recorded = LogLines::record();
    let clock: Arc<dyn Clock> = Arc::new(PausedClock(Instant::now()));
    let (disk, mut lines, node) = (NodeMetrics::new(&clock).log, Lines::default(), NodeId(1));
    lines.watch_disk(disk.clone());
    disk.begin();
    advance(Duration::from_millis(999)).await;
    lines.look_at_disk(node);
    assert_eq!(recorded.drain(""), Vec::<String>::new());
    advance(Duration::from_millis(6)).await;
    lines.look_at_disk(node);
    disk.end();
    lines.look_at_disk(node);
    let told = [
        "WARN the disk of the log has stalled: nothing is written until it goes on node=1 \
         silence_ms=1005",
        "INFO the disk of the log goes on node=1 stalled_ms=1005",
    ];
    assert_eq!(recorded.drain(""), told);
    for _ in 0..20 {
        disk.begin();
        advance(Duration::from_secs(1)).await;
        lines.look_at_disk(node);
        disk.end();
        lines.look_at_disk(node);
    }
    assert_eq!(recorded.drain("").len(), 8);
}
