//! The entries that a leader writes so that keys expire (docs/adr/0020).

use super::*;

#[actix::test]
async fn an_expired_deadline_gets_one_entry_of_the_leaders_own() {
    let f = Fixture::start();
    f.lead().await;
    f.raft.do_send(Applied { next_deadline_ms: Some(1000), ..applied(2) });
    f.clock.0.store(999, Ordering::Relaxed);
    f.ticks(1).await;
    assert!(f.appends().is_empty());
    f.clock.0.store(1000, Ordering::Relaxed);
    f.ticks(2).await;
    let entries: Vec<Entry> = f.appends().into_iter().flat_map(|append| append.entries).collect();
    assert_eq!(entries.len(), 1);
    assert_eq!((&entries[0].payload, entries[0].stamp_ms), (&Payload::Noop, 1000));
}

#[actix::test]
async fn expired_keys_that_are_not_removed_get_one_entry_after_the_other() {
    let f = Fixture::start();
    f.lead().await;
    let entries = || f.appends().into_iter().flat_map(|append| append.entries).count();
    f.raft.do_send(Applied { has_hidden: true, ..applied(2) });
    f.ticks(1).await;
    assert_eq!(entries(), 1);
    f.clock.0.store(500, Ordering::Relaxed);
    f.ticks(3).await;
    assert_eq!(entries(), 0, "one is under way");
    f.persisted(3).await;
    f.replicated(1, 3, 0).await;
    f.raft.do_send(Applied { has_hidden: true, ..applied(3) });
    f.ticks(3).await;
    assert_eq!(entries(), 1);
    f.persisted(4).await;
    f.replicated(1, 4, 0).await;
    f.raft.do_send(applied(4));
    f.clock.0.store(5000, Ordering::Relaxed);
    f.ticks(3).await;
    assert_eq!(entries(), 0, "nothing is left");
}

#[actix::test]
async fn leases_that_are_due_together_end_by_entries_that_are_written_together() {
    let f = Fixture::start();
    f.lead().await;
    f.raft.do_send(Applied { has_hidden: true, ending_leases: 7, ..applied(2) });
    f.ticks(1).await;
    let appends = f.appends();
    assert_eq!(appends.len(), 1, "they share a write to the disk");
    let payloads: Vec<_> = appends[0].entries.iter().map(|entry| &entry.payload).collect();
    assert_eq!(payloads, [&Payload::Noop; 7]);
    f.clock.0.store(5000, Ordering::Relaxed);
    f.persisted(3).await;
    f.replicated(1, 8, 0).await;
    f.raft.do_send(Applied { has_hidden: true, ending_leases: 1, ..applied(8) });
    f.ticks(3).await;
    assert!(f.appends().is_empty(), "the last one of them is not applied");
}
