//! ProberActor on paused time, with probes in place of the other actors.

use super::*;
use crate::metrics::NodeMetrics;
use crate::testing::{probe, settle};

#[actix::test]
async fn a_mailbox_has_one_probe_at_most() {
    tokio::time::pause();
    let metrics = NodeMetrics::default();
    let ((quick, to_quick), (stuck, to_stuck)) = (probe(), probe());
    ProberActor::new(vec![
        ProbedMailbox { actor: quick, metrics: metrics.mailboxes.of("quick") },
        ProbedMailbox { actor: stuck, metrics: metrics.mailboxes.of("stuck") },
    ])
    .start();
    settle().await;
    let mut sent = (0, 0);
    for _ in 0..3 {
        tokio::time::advance(PROBE_INTERVAL).await;
        settle().await;
        // A timer that is overdue fires a millisecond later.
        tokio::time::advance(Duration::from_millis(1)).await;
        settle().await;
        for Probe { mailbox } in to_quick.drain() {
            mailbox.end();
            sent.0 += 1;
        }
        sent.1 += to_stuck.drain().len();
    }
    assert_eq!(sent, (3, 1));
}
