//! SnapshotReaderActor alone, over a simulated disk.

use crate::types::ClusterState;
use actix::Addr;

use super::*;
use crate::actors::snapshot::tests::{at, empty_disk, fetch, files_on, find, paths, read, store};
use crate::storage::SnapshotHead;
use crate::testing::{Inbox, SimDisk, probe, settle};

struct Fixture {
    disk: SimDisk,
    /// The files as the writer has them.
    files: SnapshotFiles,
    reader: Addr<SnapshotReaderActor>,
    unreadable: Inbox<SnapshotUnreadable>,
    failed: Inbox<StorageFailed>,
}

fn start() -> Fixture {
    let disk = empty_disk();
    let ((writer, unreadable), (fatal, failed)) = (probe(), probe());
    let ports = SnapshotReaderPorts { writer, fatal };
    let files = files_on(&disk);
    let reader = SnapshotReaderActor::new(files_on(&disk), Vec::new(), ports).start();
    Fixture { disk, files, reader, unreadable, failed }
}

impl Fixture {
    /// Writes a file and does not tell the reader.
    fn write_unreported(&self, entries: u64) -> SnapshotFile {
        let (cluster, last) = ("coracle".to_owned(), at(entries));
        let head = SnapshotHead { cluster, last, stamp_ms: 5, state: ClusterState::default() };
        self.files
            .write(
                &head,
                store(entries).snapshot_blocks().map(|block| Ok::<_, StorageError>(block.unwrap())),
            )
            .unwrap()
    }

    async fn write(&self, entries: u64, number: u64) -> SnapshotId {
        let file = self.write_unreported(entries);
        let id = file.id();
        self.tell(WriterReport::Written(StoredSnapshot { file, number })).await;
        id
    }

    async fn tell(&self, report: WriterReport) {
        self.reader.do_send(report);
        settle().await;
    }

    async fn read(&self, snapshot: SnapshotId, offset: u64) -> Option<Bytes> {
        read(&self.reader, Some(snapshot), offset, 100).await.map(|(_, bytes)| bytes)
    }

    async fn newest(&self) -> Option<SnapshotId> {
        read(&self.reader, None, 0, 0).await.map(|(id, _)| id)
    }

    fn unreadable(&self) -> Vec<(LogPosition, u64)> {
        let reports = self.unreadable.drain().into_iter();
        reports.map(|report| (report.last, report.number)).collect()
    }
}

#[actix::test]
async fn a_backup_is_the_newest_that_reaches_far_enough_in_chunks_as_long_as_asked_for() {
    let f = start();
    assert_eq!(find(&f.reader, 1).await, None);
    f.write(600, 1).await;
    let id = find(&f.reader, 600).await.unwrap();
    assert_eq!((Some(id), find(&f.reader, 601).await), (f.newest().await, None));
    let whole = f.disk.contents(&paths(&f.disk)[0]);
    assert!(id.bytes == whole.len() as u64 && whole.len() > 3 * 100_000, "several frames");
    let mut fetched = Vec::new();
    for offset in (0..id.bytes).step_by(100_000) {
        let chunk = fetch(&f.reader, id, offset, 100_000).await.unwrap();
        assert_eq!(chunk.len() as u64, 100_000.min(id.bytes - offset));
        fetched.extend_from_slice(&chunk);
    }
    assert!(fetched == whole);
    for offset in [id.bytes, u64::MAX] {
        assert_eq!(fetch(&f.reader, id, offset, 100).await, Some(Bytes::new()), "after the end");
    }
    for other in [SnapshotId { digest: 1, ..id }, SnapshotId { last: at(599), ..id }] {
        assert_eq!(fetch(&f.reader, other, 0, 100).await, None);
    }
}

#[actix::test]
async fn a_damaged_file_is_reported_once_and_not_offered_again() {
    let f = start();
    let old = f.write(100, 1).await;
    let new = f.write(200, 2).await;
    f.disk.flip_bit(&paths(&f.disk)[1], new.bytes / 2, 3);
    for _ in 0..2 {
        assert_eq!(f.read(new, new.bytes / 2).await, None);
        assert_eq!(fetch(&f.reader, new, new.bytes / 2, 100).await, None);
    }
    assert_eq!(f.unreadable(), [(at(200), 2)]);
    assert_eq!(f.newest().await, Some(old));
    assert_eq!(paths(&f.disk).len(), 2, "the writer removes it");
    assert!(f.failed.drain().is_empty());
}

/// The writer has pruned a file, and the reader does not know it yet.
#[actix::test]
async fn a_file_that_was_pruned_is_passed_over() {
    let f = start();
    let old = f.write(100, 1).await;
    f.write_unreported(200);
    f.write_unreported(300);
    assert_eq!(f.read(old, 0).await, None);
    assert_eq!(f.unreadable(), [(at(100), 1)]);
    assert_eq!(find(&f.reader, 1).await, None);
    assert!(f.failed.drain().is_empty() && f.unreadable().is_empty());
}

#[actix::test]
async fn a_file_that_was_pruned_stays_readable_while_it_is_open() {
    let f = start();
    let old = f.write(100, 1).await;
    let first = f.read(old, 0).await;
    f.write_unreported(200);
    f.write_unreported(300);
    assert_eq!(f.read(old, 0).await, first);
    assert!(f.unreadable().is_empty());
}

/// The client holds a file open whose name belongs to another file now. Damage of the old
/// one is no reason to remove the new one.
#[actix::test]
async fn damage_of_a_replaced_file_that_is_still_open_is_not_reported() {
    let f = start();
    let id = f.write(100, 1).await;
    assert_eq!(find(&f.reader, 1).await, Some(id));
    f.disk.flip_bit(&paths(&f.disk)[0], id.bytes / 2, 3);
    assert_eq!(f.write(100, 2).await, id);
    assert_eq!(fetch(&f.reader, id, id.bytes / 2, 100).await, None);
    assert!(f.unreadable().is_empty());
    assert_eq!(fetch(&f.reader, id, id.bytes / 2, 100).await.map(|bytes| bytes.len()), Some(100));
}

/// The room that an abandoned backup takes up is freed even if no new snapshot has room.
#[actix::test]
async fn an_abandoned_backup_is_closed_when_snapshots_find_no_room() {
    let f = start();
    let id = f.write(10, 1).await;
    assert_eq!(find(&f.reader, 1).await, Some(id));
    f.write(20, 2).await;
    f.write(30, 3).await;
    assert_eq!(fetch(&f.reader, id, 0, 1).await, None, "it was used before the first of the two");

    let id = f.newest().await.unwrap();
    assert_eq!(find(&f.reader, 1).await, Some(id));
    f.write_unreported(40);
    f.write_unreported(50);
    f.tell(WriterReport::NoRoom).await;
    assert_eq!(fetch(&f.reader, id, 0, 1).await.map(|bytes| bytes.len()), Some(1));
    for _ in 0..2 {
        f.tell(WriterReport::NoRoom).await;
    }
    assert_eq!(fetch(&f.reader, id, 0, 1).await, None);
}

#[actix::test]
async fn an_error_of_the_disk_ends_it() {
    let f = start();
    let id = f.write(100, 1).await;
    f.disk.fail_read(1);
    let (reply_to, answers) = probe();
    for ticket in 1..=2 {
        let read = ReadSnapshot { ticket, snapshot: Some(id), offset: 0, bytes_max: 100 };
        f.reader.do_send(ReadSnapshotRequest { read, reply_to: reply_to.clone() });
        settle().await;
    }
    assert_eq!(f.failed.drain().len(), 1);
    assert!(answers.drain().is_empty() && f.unreadable().is_empty());
    assert_eq!(find(&f.reader, 1).await, None);
}
