//! SnapshotActor alone, over a simulated disk.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use actix::Addr;

use super::*;
use crate::kv::{Command, Operation};
use crate::storage::Disk;
use crate::testing::{Inbox, SimDisk, probe, settle};
use crate::types::{Entry, LogIndex, Payload, Term};

struct Fixture {
    disk: SimDisk,
    actor: Addr<SnapshotActor>,
    written: Inbox<SnapshotWritten>,
    piece: Inbox<PieceReceived>,
    received: Inbox<SnapshotReceived>,
    lost: Inbox<SnapshotLost>,
    failed: Inbox<StorageFailed>,
}

fn start() -> Fixture {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("data/1")).unwrap();
    start_on(disk, Vec::new())
}

fn start_on(disk: SimDisk, files: Vec<SnapshotFile>) -> Fixture {
    let ((written_port, written), (piece_port, piece)) = (probe(), probe());
    let ((received_port, received), (lost_port, lost)) = (probe(), probe());
    let (fatal, failed) = probe();
    let ports = SnapshotPorts {
        written: written_port,
        piece: piece_port,
        received: received_port,
        lost: lost_port,
        fatal,
    };
    let snapshots = SnapshotFiles::open(Box::new(disk.clone()), Path::new("data/1")).unwrap();
    let owner = ("coracle".to_owned(), NodeId(1));
    let actor = SnapshotActor::new(snapshots, files, owner, ports).start();
    Fixture { disk, actor, written, piece, received, lost, failed }
}

/// A store of so many entries.
fn store(entries: u64) -> Store {
    let mut store = Store::new();
    for index in 1..=entries {
        let key = format!("key{index:04}").into_bytes().into();
        let operation = Operation::Set { key, exptime: 0, value: vec![7; 1000].into() };
        let command = Command { once: None, store_bytes_max: 0, operation };
        let payload = Payload::Command(command.encode());
        let entry = Entry { index: LogIndex(index), term: Term(1), stamp_ms: 5, payload };
        store.apply(&entry).unwrap();
    }
    store
}

fn at(index: u64) -> LogPosition {
    LogPosition { index: LogIndex(index), term: Term(1) }
}

impl Fixture {
    async fn write(&self, entries: u64) {
        let point = SnapshotPoint { last: at(entries), membership: None };
        self.actor.do_send(WriteSnapshot { point, stamp_ms: 5, store: store(entries) });
        settle().await;
    }

    async fn read(
        &self,
        snapshot: Option<SnapshotId>,
        offset: u64,
        bytes_max: u64,
    ) -> Option<(SnapshotId, Bytes)> {
        let (reply_to, inbox) = probe();
        self.actor.do_send(ReadSnapshotRequest {
            read: ReadSnapshot { ticket: 9, snapshot, offset, bytes_max },
            reply_to,
        });
        settle().await;
        let mut answers = inbox.drain();
        assert_eq!(answers.len(), 1, "every read is answered, once");
        let SnapshotRead { ticket, piece, offset: answered } = answers.remove(0);
        assert_eq!((ticket, answered), (9, offset));
        piece
    }

    async fn newest(&self) -> Option<SnapshotId> {
        self.read(None, 0, 0).await.map(|(id, _)| id)
    }

    async fn query(&self, query: SnapshotQuery) -> SnapshotAnswer {
        let (reply_to, inbox) = probe();
        self.actor.do_send(QuerySnapshots { ticket: 8, query, reply_to });
        settle().await;
        let mut answers = inbox.drain();
        assert_eq!(answers.len(), 1, "every query is answered, once");
        let SnapshotsQueried { ticket, answer } = answers.remove(0);
        assert_eq!(ticket, 8);
        answer
    }

    async fn find(&self, index: u64) -> Option<SnapshotId> {
        match self.query(SnapshotQuery::Find { index: LogIndex(index) }).await {
            SnapshotAnswer::Found(id) => Some(id),
            SnapshotAnswer::NotFound => None,
            answer => panic!("{answer:?} answers no find"),
        }
    }

    async fn fetch(&self, id: SnapshotId, offset: u64, bytes_max: usize) -> Option<Bytes> {
        let (last, digest) = (id.last, id.digest);
        match self.query(SnapshotQuery::Read { last, digest, offset, bytes_max }).await {
            SnapshotAnswer::Piece(bytes) => Some(bytes),
            SnapshotAnswer::NotFound => None,
            answer => panic!("{answer:?} answers no read"),
        }
    }

    async fn receive(&self, snapshot: SnapshotId, offset: u64, bytes: Bytes) {
        let piece = InstallSnapshot { request_seq: offset, snapshot, offset, bytes };
        self.actor.do_send(ReceiveSnapshot { from: NodeId(2), term: Term(1), piece });
        settle().await;
    }

    /// Sends what is there of `snapshot` to `to`, from `offset` up to `end`.
    async fn send(&self, snapshot: SnapshotId, mut offset: u64, end: u64, to: &Fixture) {
        while offset < end {
            let (_, bytes) = self.read(Some(snapshot), offset, 64 * 1024).await.unwrap();
            to.receive(snapshot, offset, bytes.clone()).await;
            offset += bytes.len() as u64;
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.disk.paths().into_iter().filter(|path| path.starts_with("data/1/snapshot")).collect()
    }
}

#[actix::test]
async fn what_was_written_is_there_and_the_newest_is_read_first() {
    let f = start();
    assert_eq!(f.newest().await, None);
    for entries in [10, 20, 30] {
        f.write(entries).await;
        let newest = f.newest().await.expect("it was written");
        assert_eq!(newest.last, at(entries));
        let bytes = Some(newest.bytes);
        assert_eq!(f.written.drain(), [SnapshotWritten { last: at(entries), bytes }]);
    }
    assert_eq!(f.paths().len(), 2, "two are kept");
}

#[actix::test]
async fn a_snapshot_passes_from_one_to_the_other_as_it_was() {
    let (sender, receiver) = (start(), start());
    sender.write(900).await;
    let id = sender.newest().await.unwrap();
    sender.send(id, 0, id.bytes, &receiver).await;
    let pieces = receiver.piece.drain();
    assert!(pieces.len() > 10 && pieces.windows(2).all(|p| p[0].received < p[1].received));
    let received = receiver.received.drain();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].point, SnapshotPoint { last: at(900), membership: None });
    assert_eq!((received[0].stamp_ms, &received[0].store), (5, &store(900)));
    assert_eq!(receiver.newest().await, Some(id), "and can be passed on");
    // Questions that were under way meanwhile begin nothing anew.
    receiver.receive(id, 0, Bytes::new()).await;
    assert!(receiver.piece.drain().is_empty());
    assert_eq!(receiver.paths().len(), 1);
}

#[actix::test]
async fn a_transfer_goes_on_after_a_restart_of_the_receiver() {
    let (sender, mut receiver) = (start(), start());
    sender.write(900).await;
    let id = sender.newest().await.unwrap();
    sender.send(id, 0, id.bytes / 2, &receiver).await;
    let had = receiver.piece.drain().last().unwrap().received;
    receiver.disk.kill();
    receiver = start_on(receiver.disk, Vec::new());
    receiver.receive(id, 0, Bytes::new()).await;
    assert_eq!(receiver.piece.drain().last().unwrap().received, had);
    sender.send(id, had, id.bytes, &receiver).await;
    assert_eq!(receiver.received.drain()[0].store, store(900));
}

/// bugs.md B56: the digest of the whole tells.
#[actix::test]
async fn pieces_of_two_snapshots_make_none() {
    let (sender, receiver) = (start(), start());
    sender.write(300).await;
    let old = sender.newest().await.unwrap();
    sender.write(301).await;
    let new = sender.newest().await.unwrap();
    sender.send(old, 0, old.bytes / 2, &receiver).await;
    receiver.receive(new, 0, Bytes::new()).await;
    assert_eq!(receiver.piece.drain().last().unwrap().received, 0, "the other's are gone");
    // Bytes of the old one under the name of the new one.
    let mut offset = 0;
    while offset < new.bytes {
        let of = if offset < old.bytes / 2 { old } else { new };
        let (_, bytes) = sender.read(Some(of), offset, 64 * 1024).await.unwrap();
        receiver.receive(new, offset, bytes.clone()).await;
        offset += bytes.len() as u64;
    }
    assert!(receiver.received.drain().is_empty());
    assert_eq!(receiver.piece.drain().last().unwrap().received, 0, "from the beginning, then");
    assert!(receiver.failed.drain().is_empty());
    sender.send(new, 0, new.bytes, &receiver).await;
    assert_eq!(receiver.received.drain()[0].store, store(301));
}

#[actix::test]
async fn a_file_that_rots_is_removed_and_told_and_the_one_before_stands_in() {
    let f = start();
    f.write(100).await;
    let old = f.newest().await.unwrap();
    f.write(200).await;
    let new = f.newest().await.unwrap();
    let path = f.paths().pop().unwrap();
    f.disk.flip_bit(&path, new.bytes / 2, 3);
    assert_eq!(f.read(Some(new), new.bytes / 2, 100).await, None);
    assert_eq!(f.lost.drain(), [SnapshotLost { last: at(200) }]);
    assert_eq!(f.newest().await, Some(old));
    assert_eq!(f.paths().len(), 1);
    assert!(f.failed.drain().is_empty());
}

#[actix::test]
async fn a_full_disk_costs_the_snapshot_and_nothing_else() {
    let f = start();
    f.write(100).await;
    f.disk.set_capacity(Some(f.disk.used_bytes() + 50_000));
    f.write(200).await;
    let answers = f.written.drain();
    assert_eq!(answers[1], SnapshotWritten { last: at(200), bytes: None });
    assert!(f.failed.drain().is_empty());
    assert_eq!(f.paths().len(), 1, "the half that fitted is gone");
    f.disk.set_capacity(None);
    f.write(300).await;
    let written = f.written.drain();
    assert!(written.len() == 1 && written[0].bytes.is_some(), "{written:?}");
}

#[actix::test]
async fn any_other_error_of_the_disk_ends_it() {
    let f = start();
    f.disk.fail_sync(1, ErrorKind::Other);
    f.write(100).await;
    assert_eq!(f.failed.drain().len(), 1);
    f.write(200).await;
    assert!(f.written.drain().is_empty() && f.failed.drain().is_empty());
}

// For backups (docs/adr/0011).

#[actix::test]
async fn a_backup_is_the_newest_that_reaches_far_enough_in_pieces_as_long_as_asked_for() {
    let f = start();
    assert_eq!(f.find(1).await, None);
    f.write(600).await;
    let id = f.find(600).await.unwrap();
    assert_eq!((Some(id), f.find(601).await), (f.newest().await, None));
    let whole = f.disk.contents(&f.paths()[0]);
    assert!(id.bytes == whole.len() as u64 && whole.len() > 3 * 100_000, "several frames");
    let mut fetched = Vec::new();
    for offset in (0..id.bytes).step_by(100_000) {
        let piece = f.fetch(id, offset, 100_000).await.unwrap();
        assert_eq!(piece.len() as u64, 100_000.min(id.bytes - offset));
        fetched.extend_from_slice(&piece);
    }
    assert!(fetched == whole);
    for offset in [id.bytes, u64::MAX] {
        assert_eq!(f.fetch(id, offset, 100).await, Some(Bytes::new()), "behind the end");
    }
    for other in [SnapshotId { digest: 1, ..id }, SnapshotId { last: at(599), ..id }] {
        assert_eq!(f.fetch(other, 0, 100).await, None);
    }
}

#[actix::test]
async fn a_backup_goes_on_when_newer_snapshots_have_taken_its_place() {
    let f = start();
    f.write(600).await;
    let id = f.find(600).await.unwrap();
    let whole = f.disk.contents(&f.paths()[0]);
    let mut fetched = Vec::new();
    for (entries, offset) in (601..).zip((0..id.bytes).step_by(100_000)) {
        f.write(entries).await;
        fetched.extend_from_slice(&f.fetch(id, offset, 100_000).await.unwrap());
    }
    assert!(fetched == whole && f.paths().len() == 2);
    assert_eq!(f.fetch(id, id.bytes, 1).await, Some(Bytes::new()));
    assert_eq!(f.fetch(id, 0, 1).await, None, "its end was read");
}

#[actix::test]
async fn a_backup_that_was_abandoned_holds_nothing_for_long() {
    let f = start();
    f.write(10).await;
    let id = f.find(1).await.unwrap();
    for entries in 11..=13 {
        f.write(entries).await;
    }
    assert_eq!(f.fetch(id, 0, 1).await, None);
}

#[actix::test]
async fn a_backup_that_rots_is_removed_and_told() {
    let f = start();
    f.write(100).await;
    let id = f.find(1).await.unwrap();
    f.disk.flip_bit(&f.paths()[0], id.bytes / 2, 3);
    assert_eq!(f.fetch(id, id.bytes / 2, 100).await, None);
    assert_eq!(f.lost.drain(), [SnapshotLost { last: at(100) }]);
    assert!(f.failed.drain().is_empty());
    assert_eq!(f.find(1).await, None);
}
