//! LogActor alone, over a simulated disk.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::clock::Clock;
use crate::metrics::NodeMetrics;
use crate::storage::{DurableState, StorageOptions};
use crate::testing::{Crash, Inbox, SimDisk, probe, settle};
use crate::types::{Divergence, FormatRange, Incarnation, LogPosition, NodeId, Payload, Term};

struct Fixture {
    disk: SimDisk,
    log: actix::Addr<LogActor>,
    persisted: Inbox<LogPersisted>,
    compacted: Inbox<LogCompacted>,
    held: Inbox<HoldSaved>,
    failed: Inbox<StorageFailed>,
    read_port: Recipient<EntriesRead>,
    read: Inbox<EntriesRead>,
}

/// The time at which every sync of a test ends.
const SYNCED_AT: Duration = Duration::from_secs(7);

/// A clock that stands still.
struct StoppedClock;

impl Clock for StoppedClock {
    fn wall_ms(&self) -> u64 {
        0
    }

    fn monotonic(&self) -> Duration {
        SYNCED_AT
    }
}

fn stopped_metrics() -> LogMetrics {
    let clock: Arc<dyn Clock> = Arc::new(StoppedClock);
    NodeMetrics::new(&clock).log
}

fn open(disk: &SimDisk) -> (Storage, DurableState) {
    let options = StorageOptions {
        cluster: "coracle".into(),
        node_id: NodeId(1),
        segment_bytes: 1 << 20,
        can_repair: false,
        has_majority_of_others: false,
        new_incarnation: Incarnation(1),
        formats: FormatRange::OWN,
    };
    Storage::open(Box::new(disk.clone()), Path::new("data/1"), options)
        .expect("the directory is whole and free")
}

fn start() -> Fixture {
    let disk = SimDisk::new();
    let (storage, _) = open(&disk);
    let (raft, persisted) = probe();
    let (fatal, failed) = probe();
    let (read_port, read) = probe();
    let (compacted_port, compacted) = probe();
    let (hold_saved, held) = probe();
    let ports = LogPorts { raft, compacted: compacted_port, hold_saved, fatal };
    let log = LogActor::new(storage, ports).with_metrics(stopped_metrics()).start();
    Fixture { disk, log, persisted, compacted, held, failed, read_port, read }
}

fn hard_state(term: u64) -> HardState {
    HardState { current_term: Term(term), ..HardState::default() }
}

fn entries(indexes: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Entry> {
    let entry = |index| Entry {
        index: LogIndex(index),
        term: Term(term),
        stamp_ms: 0,
        payload: Payload::Command(Bytes::from(vec![term as u8; 100])),
    };
    indexes.map(entry).collect()
}

/// Entries of which a thousand fill a segment.
fn large_entries(indexes: std::ops::RangeInclusive<u64>, term: u64) -> Vec<Entry> {
    let payload = || Payload::Command(Bytes::from(vec![7; 1000]));
    entries(indexes, term).into_iter().map(|entry| Entry { payload: payload(), ..entry }).collect()
}

fn persisted(seq: u64) -> LogPersisted {
    LogPersisted { seq: PersistSeq(seq), synced_at: SYNCED_AT }
}

impl Fixture {
    fn append(&self, seq: u64, term: Option<u64>, entries: Vec<Entry>) {
        let hard_state = term.map(hard_state);
        self.log.do_send(LogCommand::Append(Append { seq: PersistSeq(seq), hard_state, entries }));
    }

    fn read(&self, from: u64, to: u64, bytes_max: u64) {
        let read = ReadEntries { ticket: from, from: LogIndex(from), to: LogIndex(to), bytes_max };
        self.log.do_send(ReadEntriesRequest { read, reply_to: self.read_port.clone() });
    }

    /// The state that a power cut would leave now.
    fn durable(&self) -> DurableState {
        self.disk.crash(Crash::LoseUnsynced);
        open(&self.disk).1
    }
}

#[actix::test]
async fn acknowledges_only_appends_that_a_power_cut_would_leave() {
    let fixture = start();
    fixture.append(1, Some(3), entries(1..=4, 3));
    assert_eq!(fixture.persisted.drain(), []);
    settle().await;
    assert_eq!(fixture.persisted.drain(), [persisted(1)]);
    let recovered = fixture.durable();
    assert_eq!(recovered.hard_state, hard_state(3));
    assert_eq!(recovered.log.runs.last(), entries(4..=4, 3)[0].position());
}

#[actix::test]
async fn syncs_once_for_all_appends_that_wait() {
    let fixture = start();
    fixture.append(1, Some(1), vec![]);
    // The first batch with entries also writes zeros ahead.
    fixture.append(2, None, entries(1..=1, 1));
    settle().await;
    fixture.persisted.drain();
    let (syncs, writes) = (fixture.disk.syncs(), fixture.disk.writes());
    for seq in 3..=52 {
        fixture.append(seq, None, entries(seq - 1..=seq - 1, 1));
    }
    settle().await;
    assert_eq!(fixture.persisted.drain(), [persisted(52)]);
    // The entries end in the second page of the file, and each page is a write.
    assert_eq!((fixture.disk.syncs(), fixture.disk.writes()), (syncs + 1, writes + 2));
}

#[actix::test]
async fn an_append_without_content_is_acknowledged_without_a_sync() {
    let fixture = start();
    let syncs = fixture.disk.syncs();
    fixture.append(1, None, vec![]);
    settle().await;
    assert_eq!(fixture.persisted.drain(), [persisted(1)]);
    assert_eq!(fixture.disk.syncs(), syncs);
}

#[actix::test]
async fn a_full_batch_does_not_wait_for_the_mailbox() {
    let fixture = start();
    let half = FLUSH_ENTRIES_MAX as u64 / 2;
    fixture.append(1, Some(1), entries(1..=half, 1));
    fixture.append(2, None, entries(half + 1..=2 * half, 1));
    fixture.append(3, None, entries(2 * half + 1..=2 * half + 1, 1));
    settle().await;
    assert_eq!(fixture.persisted.drain(), [persisted(2), persisted(3)]);
}

#[actix::test]
async fn a_batch_in_which_entries_replace_others_leaves_the_last_of_them() {
    let fixture = start();
    fixture.append(1, Some(1), entries(1..=9, 1));
    fixture.append(2, Some(2), entries(4..=6, 2));
    fixture.append(3, Some(4), entries(5..=5, 4));
    settle().await;
    assert_eq!(fixture.persisted.drain(), [persisted(3)]);
    fixture.log.send(Shutdown).await.unwrap();
    let (mut storage, recovered) = open(&fixture.disk);
    assert_eq!(recovered.hard_state, hard_state(4));
    let expected = [entries(1..=3, 1), entries(4..=4, 2), entries(5..=5, 4)].concat();
    assert_eq!(storage.read(LogIndex(1), LogIndex(99), u64::MAX).unwrap(), expected);
}

#[actix::test]
async fn reads_see_the_appends_before_them_and_none_after_them() {
    let fixture = start();
    fixture.append(1, Some(2), entries(1..=6, 1));
    settle().await;
    fixture.append(2, None, entries(5..=8, 2));
    fixture.read(3, 99, u64::MAX);
    fixture.append(3, None, entries(6..=6, 2));
    fixture.read(7, 99, u64::MAX);
    fixture.read(1, 99, 164 * 5);
    fixture.read(6, 6, 0);
    fixture.read(2, 3, u64::MAX);
    assert_eq!(fixture.persisted.drain(), [persisted(1)]);
    settle().await;
    let log = [entries(1..=4, 1), entries(5..=8, 2)].concat();
    let read = |ticket: u64, entries: &[Entry]| EntriesRead { ticket, entries: entries.to_vec() };
    assert_eq!(
        fixture.read.drain(),
        [
            read(3, &log[2..8]),
            read(7, &[]),
            read(1, &log[0..5]),
            read(6, &log[5..6]),
            read(2, &log[1..3]),
        ]
    );
}

#[actix::test]
async fn after_a_failed_sync_nothing_is_acknowledged_and_the_failure_is_told_once() {
    let fixture = start();
    fixture.append(1, Some(1), entries(1..=2, 1));
    settle().await;
    fixture.persisted.drain();
    fixture.disk.fail_sync(1, std::io::ErrorKind::Other);
    fixture.append(2, None, entries(3..=3, 1));
    settle().await;
    // The disk works again, which must not help.
    fixture.append(3, None, entries(4..=4, 1));
    fixture.read(1, 2, u64::MAX);
    settle().await;
    fixture.log.send(Shutdown).await.unwrap();
    settle().await;
    assert_eq!(fixture.persisted.drain(), []);
    assert_eq!(fixture.read.drain(), []);
    let failed = fixture.failed.drain();
    assert_eq!(failed.len(), 1);
    assert!(matches!(failed[0].error, StorageError::Io { action: "sync", .. }));
    assert_eq!(fixture.durable().log.runs.last().index, LogIndex(2));
}

#[actix::test]
async fn a_full_disk_is_fatal_and_acknowledged_entries_stay() {
    let fixture = start();
    fixture.append(1, Some(1), entries(1..=2, 1));
    settle().await;
    fixture.persisted.drain();
    fixture.disk.set_capacity(Some(fixture.disk.used_bytes()));
    fixture.append(2, None, entries(3..=12_000, 1));
    settle().await;
    assert_eq!(fixture.persisted.drain(), []);
    let failed = fixture.failed.drain();
    assert!(matches!(failed[0].error, StorageError::Io { action: "write", .. }), "{failed:?}");
    drop(fixture.log);
    let (_, recovered) = open(&fixture.disk);
    assert!(recovered.log.runs.last().index >= LogIndex(2));
}

#[actix::test]
async fn the_end_of_an_idle_log_is_recorded_once_and_that_of_a_busy_one_is_not() {
    let fixture = start();
    tokio::time::pause();
    fixture.append(1, Some(1), entries(1..=1, 1));
    settle().await;
    for index in 2..=5 {
        let syncs = fixture.disk.syncs();
        tokio::time::advance(RECORD_END_AFTER / 2).await;
        fixture.append(index, None, entries(index..=index, 1));
        settle().await;
        assert_eq!(fixture.disk.syncs(), syncs + 1, "the batch, and no record of the end");
    }
    let syncs = fixture.disk.syncs();
    for _ in 0..10 {
        tokio::time::advance(RECORD_END_AFTER).await;
        settle().await;
    }
    assert_eq!(fixture.disk.syncs(), syncs + 2, "one record of the end, in two copies");
}

#[actix::test]
async fn a_shutdown_is_answered_when_all_is_durable_the_end_is_recorded_and_the_directory_is_free()
{
    let fixture = start();
    fixture.append(1, Some(1), entries(1..=5, 1));
    fixture.log.send(Shutdown).await.unwrap();
    let (storage, recovered) = open(&fixture.disk);
    assert_eq!(recovered.log.runs.last().index, LogIndex(5));
    drop(storage);
    settle().await;
    assert_eq!(fixture.persisted.drain(), [persisted(1)]);
    assert!(!fixture.log.connected());
    // The recorded end tells a missing last entry from a torn one.
    let path = Path::new("data/1/log/00000001.segment");
    let mut bytes = fixture.disk.contents(path);
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    bytes[end - 100..=end].fill(0);
    fixture.disk.set_contents(path, bytes);
    let report = crate::storage::verify(&fixture.disk, Path::new("data/1"));
    assert!(matches!(report, Err(StorageError::Damaged { .. })));
}

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition { index: LogIndex(index), term: Term(term) }
}

#[actix::test]
async fn compaction_removes_whole_segments_up_to_the_limit_and_says_where_the_log_begins() {
    let fixture = start();
    for batch in 0..40 {
        let first = batch * 100 + 1;
        fixture.append(batch + 1, (batch == 0).then_some(3), large_entries(first..=first + 99, 3));
        settle().await;
    }
    fixture.log.do_send(LogCommand::Compact(CompactLog { limit: LogIndex(2000) }));
    settle().await;
    let compacted = fixture.compacted.drain();
    assert_eq!(compacted.len(), 1);
    let base = compacted[0].base.index;
    assert!(LogIndex(1000) < base && base <= LogIndex(2000), "{base}");
    fixture.read(base.0, base.0 + 1, 1 << 20);
    fixture.read(base.0 + 1, base.0 + 1, 1 << 20);
    settle().await;
    let read: Vec<usize> = fixture.read.drain().iter().map(|read| read.entries.len()).collect();
    assert_eq!(read, [0, 1], "every read is answered");
    let recovered = fixture.durable();
    assert_eq!(
        (recovered.log.runs.base(), recovered.log.runs.last()),
        (at(base.0, 3), at(4000, 3))
    );
}

#[actix::test]
async fn a_reset_replaces_the_appends_before_it_and_none_after_it() {
    let fixture = start();
    fixture.append(1, Some(3), entries(1..=4, 3));
    fixture.log.do_send(LogCommand::Reset(ResetLog { base: at(10, 3) }));
    fixture.append(2, None, entries(11..=12, 3));
    settle().await;
    let seqs: Vec<LogPersisted> = fixture.persisted.drain();
    assert_eq!(seqs.last(), Some(&persisted(2)));
    let recovered = fixture.durable();
    assert_eq!((recovered.log.runs.base(), recovered.log.runs.last()), (at(10, 3), at(12, 3)));
}

#[actix::test]
async fn a_data_directory_that_is_gone_is_noticed_within_a_second_and_acknowledges_no_more() {
    tokio::time::pause();
    for is_written in [false, true] {
        let f = start();
        settle().await;
        f.append(1, Some(1), entries(1..=1, 1));
        settle().await;
        assert_eq!(f.persisted.drain(), [persisted(1)]);
        tokio::time::sleep(Duration::from_secs(5)).await;
        settle().await;
        assert!(f.failed.drain().is_empty(), "it is there");
        f.disk.lose(Path::new("data/1/lock"));
        if is_written {
            f.append(2, None, entries(2..=2, 1));
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        settle().await;
        let failed = f.failed.drain();
        assert!(
            matches!(&failed[..], [StorageFailed { error: StorageError::Gone { .. } }]),
            "{failed:?}"
        );
        f.persisted.drain();
        f.append(3, None, entries(3..=3, 1));
        tokio::time::sleep(Duration::from_secs(5)).await;
        settle().await;
        assert!(f.persisted.drain().is_empty() && f.failed.drain().is_empty());
    }
}

#[actix::test]
async fn a_hold_is_answered_when_a_power_cut_would_leave_it() {
    for is_held in [true, false] {
        let fixture = start();
        fixture.log.do_send(LogCommand::Hold { is_held: true });
        if !is_held {
            fixture.log.do_send(LogCommand::Hold { is_held });
        }
        settle().await;
        assert_eq!(fixture.held.drain().last(), Some(&HoldSaved { is_held }));
        fixture.disk.crash(Crash::LoseUnsynced);
        assert_eq!(open(&fixture.disk).0.is_held(), is_held);
    }
}

#[actix::test]
async fn a_hold_that_cannot_be_saved_is_not_answered() {
    let fixture = start();
    fixture.disk.cut_power_after(1);
    fixture.log.do_send(LogCommand::Hold { is_held: true });
    settle().await;
    assert_eq!(fixture.held.drain(), []);
    assert_eq!(fixture.failed.drain().len(), 1);
}

#[actix::test]
async fn a_store_that_differs_is_marked_durably_before_the_node_ends() {
    let fixture = start();
    let divergence = Divergence { index: LogIndex(7), found: "the store differs".into() };
    fixture.log.do_send(LogCommand::MarkDiverged(divergence.clone()));
    fixture.append(1, Some(1), vec![]);
    settle().await;
    assert_eq!(fixture.persisted.drain(), [], "it acknowledges nothing more");
    let failed = fixture.failed.drain();
    let [StorageFailed { error: StorageError::Diverged { divergence: found, data_dir } }] =
        &failed[..]
    else {
        panic!("{failed:?}");
    };
    assert_eq!((found, data_dir.as_path()), (&divergence, Path::new("data/1")));
    let recovered = fixture.durable();
    assert!(recovered.notes.concat().contains("the store differs"), "{:?}", recovered.notes);
}
