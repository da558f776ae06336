//! SnapshotWriterActor alone, over a simulated disk.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use actix::Addr;

use super::*;
use crate::actors::snapshot::tests::{at, empty_disk, files_on, paths, store, write_order};
use crate::testing::{Inbox, SimDisk, probe, settle};
use crate::types::{ClusterState, Format, FormatInForce, FormatRange};

/// SnapshotReaderActor and RaftActor in one. It records the order of the reports to them.
struct Listener {
    heard: Arc<Mutex<Vec<String>>>,
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<WriterReport> for Listener {
    type Result = ();

    fn handle(&mut self, report: WriterReport, _ctx: &mut Context<Self>) {
        let heard = match report {
            WriterReport::Written(stored) => format!("reader: written, number {}", stored.number),
            WriterReport::Received(stored) => format!("reader: received, number {}", stored.number),
            WriterReport::NoRoom => "reader: no room".to_owned(),
        };
        self.heard.lock().unwrap().push(heard);
    }
}

impl Handler<SnapshotWritten> for Listener {
    type Result = ();

    fn handle(&mut self, message: SnapshotWritten, _ctx: &mut Context<Self>) {
        let outcome = if message.bytes.is_some() { "written" } else { "no room" };
        self.heard.lock().unwrap().push(format!("raft: {outcome}"));
    }
}

impl Handler<SnapshotReceived> for Listener {
    type Result = ();

    fn handle(&mut self, _message: SnapshotReceived, _ctx: &mut Context<Self>) {
        self.heard.lock().unwrap().push("raft: received".to_owned());
    }
}

struct Fixture {
    disk: SimDisk,
    writer: Addr<SnapshotWriterActor>,
    heard: Arc<Mutex<Vec<String>>>,
    lost: Inbox<SnapshotLost>,
    corrupted: Inbox<StoreCorrupted>,
    failed: Inbox<StorageFailed>,
}

fn start() -> Fixture {
    start_reading(FormatRange::OWN)
}

fn start_reading(formats: FormatRange) -> Fixture {
    let disk = empty_disk();
    let heard = Arc::default();
    let listener = Listener { heard: Arc::clone(&heard) }.start();
    let ((piece, _), (lost_port, lost), (fatal, failed)) = (probe(), probe(), probe());
    let (corrupted_port, corrupted) = probe();
    let ports = SnapshotWriterPorts {
        written: listener.clone().recipient(),
        piece,
        received: listener.clone().recipient(),
        lost: lost_port,
        corrupted: corrupted_port,
        reader: listener.recipient(),
        fatal,
    };
    let owner = ("coracle".to_owned(), NodeId(1));
    let writer =
        SnapshotWriterActor::new(files_on(&disk).of_formats(formats), owner, ports).start();
    Fixture { disk, writer, heard, lost, corrupted, failed }
}

impl Fixture {
    async fn write(&self, entries: u64) {
        self.writer.do_send(write_order(entries));
        settle().await;
    }

    async fn report_damage(&self, index: u64, number: u64) {
        let error = StorageError::Damaged {
            path: "snapshot".into(),
            offset: 0,
            what: "a bit has flipped".to_owned(),
        };
        self.writer.do_send(SnapshotUnreadable { last: at(index), number, error });
        settle().await;
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

#[actix::test]
async fn the_reader_is_told_of_a_file_before_raft_is() {
    let f = start();
    f.write(10).await;
    assert_eq!(f.heard(), ["reader: written, number 1", "raft: written"]);
    f.disk.set_capacity(Some(f.disk.used_bytes() + 5_000));
    f.write(20).await;
    assert_eq!(f.heard(), ["reader: no room", "raft: no room"]);
    f.disk.set_capacity(None);

    let source = start();
    source.write(30).await;
    let bytes = source.disk.contents(&paths(&source.disk)[0]);
    let file = files_on(&source.disk).read(at(30), |_| Ok::<(), StorageError>(())).unwrap();
    let piece =
        InstallSnapshot { request_seq: 1, snapshot: file.id(), offset: 0, bytes: bytes.into() };
    f.writer.do_send(ReceiveSnapshot { from: NodeId(2), term: crate::types::Term(1), piece });
    settle().await;
    assert_eq!(f.heard(), ["reader: received, number 2", "raft: received"]);
}

/// The leader has raised the format, and this server is of an older version.
#[actix::test]
async fn a_snapshot_of_a_format_that_is_not_read_ends_the_node_and_is_not_kept() {
    let source = start();
    let head = SnapshotHead {
        cluster: "coracle".to_owned(),
        last: at(30),
        stamp_ms: 5,
        state: ClusterState { format: FormatInForce::of(Format(2)), ..ClusterState::default() },
    };
    let blocks = store(30).snapshot_blocks();
    let blocks = blocks.map(|block| Ok::<_, StorageError>(block.unwrap()));
    let file = files_on(&source.disk).write(&head, blocks).unwrap();
    let bytes = source.disk.contents(&paths(&source.disk)[0]);
    let f = start_reading(FormatRange::FIRST_ONLY);
    f.write(10).await;
    let before = paths(&f.disk);
    f.heard();
    let piece =
        InstallSnapshot { request_seq: 1, snapshot: file.id(), offset: 0, bytes: bytes.into() };
    f.writer.do_send(ReceiveSnapshot { from: NodeId(2), term: crate::types::Term(1), piece });
    settle().await;
    assert_eq!(f.heard(), Vec::<String>::new(), "it is not acknowledged");
    assert_eq!(paths(&f.disk), before, "nothing of it is kept");
    let failed = f.failed.drain();
    let [StorageFailed { error: StorageError::Unreadable { needed, reads, .. } }] = &failed[..]
    else {
        panic!("{failed:?}");
    };
    assert_eq!((needed.since.as_str(), *reads), ("0.2.0", FormatRange::FIRST_ONLY));
}

#[actix::test]
async fn an_error_of_the_disk_that_is_not_full_ends_it() {
    let f = start();
    f.disk.fail_sync(1, ErrorKind::Other);
    f.write(100).await;
    assert_eq!(f.failed.drain().len(), 1);
    f.write(200).await;
    f.report_damage(200, 1).await;
    assert!(f.heard().is_empty() && f.failed.drain().is_empty() && f.lost.drain().is_empty());
}

#[actix::test]
async fn a_damaged_file_is_removed_and_raft_is_told() {
    let f = start();
    f.write(10).await;
    f.write(20).await;
    f.report_damage(20, 2).await;
    assert_eq!(f.lost.drain(), [SnapshotLost { last: at(20) }]);
    assert_eq!(files_on(&f.disk).list().unwrap(), [at(10)]);
}

#[actix::test]
async fn a_file_that_was_there_at_the_start_is_removed_as_well() {
    let f = start();
    f.write(10).await;
    let restarted = {
        let (fatal, _) = probe();
        let ((written, _), (piece, _), (received, _)) = (probe(), probe(), probe());
        let ((lost, inbox), (reader, _)) = (probe(), probe());
        let ports = SnapshotWriterPorts {
            corrupted: probe().0,
            written,
            piece,
            received,
            lost,
            reader,
            fatal,
        };
        let owner = ("coracle".to_owned(), NodeId(1));
        let writer = SnapshotWriterActor::new(files_on(&f.disk), owner, ports).start();
        Fixture { writer, lost: inbox, ..f }
    };
    restarted.report_damage(10, 0).await;
    assert_eq!(restarted.lost.drain(), [SnapshotLost { last: at(10) }]);
    assert!(paths(&restarted.disk).is_empty());
}

#[actix::test]
async fn a_record_that_has_changed_gets_into_no_file() {
    let f = start();
    let mut order = write_order(10);
    let StoreCommand::Write(write) = &mut order else { panic!("an order to write") };
    assert!(write.store.flip_bit(0));
    f.writer.do_send(order);
    settle().await;
    let found = f.corrupted.drain();
    assert!(matches!(&found[..], [found] if found.what.contains("does not match its hash")));
    assert_eq!(files_on(&f.disk).list().unwrap(), []);
    assert!(f.heard.lock().unwrap().is_empty(), "nobody hears of a snapshot");
}

#[actix::test]
async fn damage_of_a_file_that_was_pruned_is_no_loss() {
    let f = start();
    for entries in [10, 20, 30] {
        f.write(entries).await;
    }
    f.report_damage(10, 1).await;
    assert_eq!(f.lost.drain(), []);
    assert_eq!(files_on(&f.disk).list().unwrap(), [at(30), at(20)]);
}

#[actix::test]
async fn damage_of_a_file_that_was_replaced_is_no_loss() {
    let f = start();
    f.write(10).await;
    f.write(10).await;
    f.report_damage(10, 1).await;
    assert_eq!(f.lost.drain(), []);
    f.report_damage(10, 2).await;
    assert_eq!(f.lost.drain(), [SnapshotLost { last: at(10) }]);
    assert!(paths(&f.disk).is_empty());
}

/// A file that a person has removed is lost like a damaged one.
#[actix::test]
async fn a_file_that_is_missing_is_lost() {
    let f = start();
    f.write(10).await;
    f.disk.lose(&paths(&f.disk)[0]);
    f.report_damage(10, 1).await;
    assert_eq!(f.lost.drain(), [SnapshotLost { last: at(10) }]);
    assert!(f.failed.drain().is_empty());
}
