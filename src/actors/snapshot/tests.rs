//! SnapshotWriterActor and SnapshotReaderActor together, over a simulated disk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use actix::{Actor, Addr, Arbiter, AsyncContext, Context, Handler, Recipient};
use bytes::Bytes;

use super::reader::{SnapshotReaderActor, SnapshotReaderPorts};
use super::writer::{SnapshotWriterActor, SnapshotWriterPorts};
use crate::actors::messages::lifecycle::StorageFailed;
use crate::actors::messages::snapshots::{
    PieceReceived, QuerySnapshots, ReadSnapshotRequest, SnapshotLost, SnapshotRead,
    SnapshotReceived, SnapshotWritten, SnapshotsQueried, StoreCommand, WriteSnapshot,
};
use crate::kv::{Command, Operation, Store};
use crate::protocol::{SnapshotAnswer, SnapshotQuery};
use crate::raft::{InstallSnapshot, ReadSnapshot, ReceiveSnapshot, SnapshotRefusal};
use crate::storage::{Disk, SnapshotFiles};
use crate::testing::{Inbox, SimDisk, probe, settle};
use crate::types::{
    ClusterState, Entry, Format, FormatInForce, LogIndex, LogPosition, NodeId, Payload, SnapshotId,
    SnapshotPoint, Term,
};

/// The data directory of the node.
pub(super) const DIR: &str = "data/1";

/// A disk with an empty data directory.
pub(super) fn empty_disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk
}

pub(super) fn files_on(disk: &SimDisk) -> SnapshotFiles {
    SnapshotFiles::open(Box::new(disk.clone()), Path::new(DIR)).unwrap()
}

/// The files in the directory of the snapshots, oldest first.
pub(super) fn paths(disk: &SimDisk) -> Vec<PathBuf> {
    disk.paths().into_iter().filter(|path| path.starts_with("data/1/snapshot")).collect()
}

/// A store after this number of entries.
pub(super) fn store(entries: u64) -> Store {
    let mut store = Store::new();
    for index in 1..=entries {
        let key = format!("key{index:04}").into_bytes().into();
        let operation = Operation::Set { key, exptime: 0, value: vec![7; 1000].into(), lease: 0 };
        let command = Command { once: None, store_bytes_max: 0, operation };
        let payload = Payload::Command(command.encode());
        let entry = Entry { index: LogIndex(index), term: Term(1), stamp_ms: 5, payload };
        store.apply(&entry).unwrap();
    }
    store
}

pub(super) fn at(index: u64) -> LogPosition {
    LogPosition { index: LogIndex(index), term: Term(1) }
}

/// The order to save a store of this number of entries.
pub(super) fn write_order(entries: u64) -> StoreCommand {
    let point = SnapshotPoint { last: at(entries), cluster: ClusterState::default() };
    StoreCommand::Write(Box::new(WriteSnapshot { point, stamp_ms: 5, store: store(entries) }))
}

/// Asks a reader for a chunk. Returns its answer.
pub(super) async fn read(
    reader: &Addr<SnapshotReaderActor>,
    snapshot: Option<SnapshotId>,
    offset: u64,
    bytes_max: u64,
) -> Option<(SnapshotId, Bytes)> {
    let (reply_to, inbox) = probe();
    let read = ReadSnapshot { ticket: 9, snapshot, offset, bytes_max };
    reader.do_send(ReadSnapshotRequest { read, reply_to });
    settle().await;
    let mut answers = inbox.drain();
    assert_eq!(answers.len(), 1, "every read is answered, once");
    let SnapshotRead { ticket, piece, offset: answered } = answers.remove(0);
    assert_eq!((ticket, answered), (9, offset));
    piece
}

async fn query(reader: &Addr<SnapshotReaderActor>, query: SnapshotQuery) -> SnapshotAnswer {
    let (reply_to, inbox) = probe();
    reader.do_send(QuerySnapshots { ticket: 8, query, reply_to });
    settle().await;
    let mut answers = inbox.drain();
    assert_eq!(answers.len(), 1, "every query is answered, once");
    let SnapshotsQueried { ticket, answer } = answers.remove(0);
    assert_eq!(ticket, 8);
    answer
}

/// Asks a reader for a snapshot that reaches `index`, for a backup.
pub(super) async fn find(reader: &Addr<SnapshotReaderActor>, index: u64) -> Option<SnapshotId> {
    match query(reader, SnapshotQuery::Find { index: LogIndex(index) }).await {
        SnapshotAnswer::Found(id) => Some(id),
        SnapshotAnswer::NotFound => None,
        answer => panic!("{answer:?} answers no find"),
    }
}

/// Asks a reader for bytes of a snapshot, for a backup.
pub(super) async fn fetch(
    reader: &Addr<SnapshotReaderActor>,
    id: SnapshotId,
    offset: u64,
    bytes_max: usize,
) -> Option<Bytes> {
    let (last, digest) = (id.last, id.digest);
    match query(reader, SnapshotQuery::Read { last, digest, offset, bytes_max }).await {
        SnapshotAnswer::Piece(bytes) => Some(bytes),
        SnapshotAnswer::NotFound => None,
        answer => panic!("{answer:?} answers no read"),
    }
}

/// The two actors of one node.
struct Node {
    disk: SimDisk,
    writer: Addr<SnapshotWriterActor>,
    reader: Addr<SnapshotReaderActor>,
    written: Inbox<SnapshotWritten>,
    piece: Inbox<PieceReceived>,
    received: Inbox<SnapshotReceived>,
    lost: Inbox<SnapshotLost>,
    failed: Inbox<StorageFailed>,
}

fn start() -> Node {
    start_on(empty_disk())
}

fn start_on(disk: SimDisk) -> Node {
    let ((written_port, written), (piece_port, piece)) = (probe(), probe());
    let ((received_port, received), (lost_port, lost)) = (probe(), probe());
    let (fatal, failed) = probe();
    let (writer_ctx, reader_ctx) = (Context::new(), Context::new());
    let (writer, reader): (Addr<SnapshotWriterActor>, Addr<SnapshotReaderActor>) =
        (writer_ctx.address(), reader_ctx.address());
    let writer_ports = SnapshotWriterPorts {
        written: written_port,
        piece: piece_port,
        received: received_port,
        lost: lost_port,
        corrupted: probe().0,
        reader: reader.clone().recipient(),
        fatal: fatal.clone(),
    };
    let reader_ports = SnapshotReaderPorts { writer: writer.clone().recipient(), fatal };
    let owner = ("coracle".to_owned(), NodeId(1));
    writer_ctx.run(SnapshotWriterActor::new(files_on(&disk), owner, writer_ports));
    reader_ctx.run(SnapshotReaderActor::new(files_on(&disk), Vec::new(), reader_ports));
    Node { disk, writer, reader, written, piece, received, lost, failed }
}

impl Node {
    async fn write(&self, entries: u64) {
        self.writer.do_send(write_order(entries));
        settle().await;
    }

    async fn read(
        &self,
        snapshot: Option<SnapshotId>,
        offset: u64,
        bytes_max: u64,
    ) -> Option<(SnapshotId, Bytes)> {
        read(&self.reader, snapshot, offset, bytes_max).await
    }

    async fn newest(&self) -> Option<SnapshotId> {
        self.read(None, 0, 0).await.map(|(id, _)| id)
    }

    async fn find(&self, index: u64) -> Option<SnapshotId> {
        find(&self.reader, index).await
    }

    async fn fetch(&self, id: SnapshotId, offset: u64, bytes_max: usize) -> Option<Bytes> {
        fetch(&self.reader, id, offset, bytes_max).await
    }

    async fn receive(&self, snapshot: SnapshotId, offset: u64, bytes: Bytes) {
        let piece = InstallSnapshot { request_seq: offset, snapshot, offset, bytes };
        self.writer.do_send(ReceiveSnapshot { from: NodeId(2), term: Term(1), piece });
        settle().await;
    }

    /// Sends the bytes of `snapshot` from `offset` up to `end` to another node.
    async fn send(&self, snapshot: SnapshotId, mut offset: u64, end: u64, to: &Node) {
        while offset < end {
            let (_, bytes) = self.read(Some(snapshot), offset, 64 * 1024).await.unwrap();
            to.receive(snapshot, offset, bytes.clone()).await;
            offset += bytes.len() as u64;
        }
    }

    /// The last answer to a chunk since they were last taken.
    fn answer(&self) -> Result<u64, SnapshotRefusal> {
        self.piece.drain().last().expect("an answer").received
    }

    fn paths(&self) -> Vec<PathBuf> {
        paths(&self.disk)
    }
}

#[actix::test]
async fn a_snapshot_that_was_written_is_there_and_the_newest_is_read_first() {
    let n = start();
    assert_eq!(n.newest().await, None);
    for entries in [10, 20, 30] {
        n.write(entries).await;
        let newest = n.newest().await.expect("it was written");
        assert_eq!(newest.last, at(entries));
        let bytes = Some(newest.bytes);
        assert_eq!(n.written.drain(), [SnapshotWritten { last: at(entries), bytes }]);
    }
    assert_eq!(n.paths().len(), 2, "two are kept");
}

#[actix::test]
async fn a_snapshot_passes_from_one_node_to_another_unchanged() {
    let (sender, receiver) = (start(), start());
    sender.write(900).await;
    let id = sender.newest().await.unwrap();
    sender.send(id, 0, id.bytes, &receiver).await;
    let pieces = receiver.piece.drain();
    assert!(
        pieces.len() > 10
            && pieces.windows(2).all(|p| p[0].received.unwrap() < p[1].received.unwrap())
    );
    let received = receiver.received.drain();
    assert_eq!(received.len(), 1);
    assert_eq!(
        received[0].point,
        SnapshotPoint { last: at(900), cluster: ClusterState::default() }
    );
    assert_eq!((received[0].stamp_ms, &received[0].store), (5, &store(900)));
    assert_eq!(receiver.newest().await, Some(id), "and can be passed on");
    // Questions that were under way meanwhile do not begin the snapshot again.
    receiver.receive(id, 0, Bytes::new()).await;
    assert!(receiver.piece.drain().is_empty());
    assert_eq!(receiver.paths().len(), 1);
}

#[actix::test]
async fn the_store_of_a_snapshot_has_the_format_of_its_head() {
    let (sender, receiver) = (start(), start());
    let format = FormatInForce::of(Format(2));
    let cluster = ClusterState { format, ..ClusterState::default() };
    let point = SnapshotPoint { last: at(3), cluster };
    let store = store(3).in_format(Format(2));
    let order = WriteSnapshot { point, stamp_ms: 5, store };
    sender.writer.do_send(StoreCommand::Write(Box::new(order)));
    settle().await;
    let id = sender.newest().await.unwrap();
    sender.send(id, 0, id.bytes, &receiver).await;
    let received = receiver.received.drain();
    assert_eq!(received[0].store.format(), Format(2));
}

#[actix::test]
async fn an_install_continues_after_a_restart_of_the_receiver() {
    let (sender, mut receiver) = (start(), start());
    sender.write(900).await;
    let id = sender.newest().await.unwrap();
    sender.send(id, 0, id.bytes / 2, &receiver).await;
    let had = receiver.answer().unwrap();
    receiver.disk.kill();
    receiver = start_on(receiver.disk);
    receiver.receive(id, 0, Bytes::new()).await;
    assert_eq!(receiver.answer(), Ok(had));
    sender.send(id, had, id.bytes, &receiver).await;
    assert_eq!(receiver.received.drain()[0].store, store(900));
}

/// The digest of the whole file tells that its chunks are of two snapshots (docs/bugs.md
/// B56).
#[actix::test]
async fn chunks_of_two_snapshots_are_not_taken_for_one() {
    let (sender, receiver) = (start(), start());
    sender.write(300).await;
    let old = sender.newest().await.unwrap();
    sender.write(301).await;
    let new = sender.newest().await.unwrap();
    sender.send(old, 0, old.bytes / 2, &receiver).await;
    receiver.receive(new, 0, Bytes::new()).await;
    assert_eq!(receiver.answer(), Ok(0), "the other's are gone");
    // The first half has bytes of the old snapshot under the name of the new one.
    let mut offset = 0;
    while offset < new.bytes {
        let of = if offset < old.bytes / 2 { old } else { new };
        let (_, bytes) = sender.read(Some(of), offset, 64 * 1024).await.unwrap();
        receiver.receive(new, offset, bytes.clone()).await;
        offset += bytes.len() as u64;
    }
    assert!(receiver.received.drain().is_empty());
    assert_eq!(receiver.answer(), Err(SnapshotRefusal::Unusable));
    assert!(receiver.failed.drain().is_empty());
    sender.send(new, 0, new.bytes, &receiver).await;
    assert_eq!(receiver.received.drain()[0].store, store(301));
}

#[actix::test]
async fn a_damaged_file_is_removed_and_reported_and_the_one_before_is_read() {
    let n = start();
    n.write(100).await;
    let old = n.newest().await.unwrap();
    n.write(200).await;
    let new = n.newest().await.unwrap();
    let path = n.paths().pop().unwrap();
    n.disk.flip_bit(&path, new.bytes / 2, 3);
    assert_eq!(n.read(Some(new), new.bytes / 2, 100).await, None);
    assert_eq!(n.lost.drain(), [SnapshotLost { last: at(200) }]);
    assert_eq!(n.newest().await, Some(old));
    assert_eq!(n.paths().len(), 1);
    assert!(n.failed.drain().is_empty());
}

#[actix::test]
async fn a_full_disk_costs_the_snapshot_and_nothing_else() {
    let n = start();
    n.write(100).await;
    n.disk.set_capacity(Some(n.disk.used_bytes() + 50_000));
    n.write(200).await;
    let answers = n.written.drain();
    assert_eq!(answers[1], SnapshotWritten { last: at(200), bytes: None });
    assert!(n.failed.drain().is_empty());
    assert_eq!(n.paths().len(), 1, "the half that fitted is gone");
    assert_eq!(n.newest().await.map(|id| id.last), Some(at(100)));
    n.disk.set_capacity(None);
    n.write(300).await;
    let written = n.written.drain();
    assert!(written.len() == 1 && written[0].bytes.is_some(), "{written:?}");
}

/// docs/bugs.md C1: a leader that hears nothing would send the snapshot for ever.
#[actix::test]
async fn a_node_without_room_for_a_snapshot_refuses_it() {
    let (sender, receiver) = (start(), start());
    sender.write(900).await;
    let id = sender.newest().await.unwrap();
    receiver.disk.set_capacity(Some(receiver.disk.used_bytes() + id.bytes / 2));
    sender.send(id, 0, id.bytes, &receiver).await;
    let answers: Vec<_> = receiver.piece.drain().into_iter().map(|piece| piece.received).collect();
    assert!(answers.contains(&Err(SnapshotRefusal::NoRoom)), "{answers:?}");
    assert!(receiver.received.drain().is_empty() && receiver.failed.drain().is_empty());
    // When there is room, it is received from the beginning.
    receiver.disk.set_capacity(None);
    receiver.receive(id, 0, Bytes::new()).await;
    let received = receiver.answer().unwrap();
    sender.send(id, received, id.bytes, &receiver).await;
    assert_eq!(receiver.received.drain()[0].store, store(900));
}

// Backups (docs/adr/0011).

#[actix::test]
async fn a_backup_continues_when_newer_snapshots_have_taken_its_place() {
    let n = start();
    n.write(600).await;
    let id = n.find(600).await.unwrap();
    let whole = n.disk.contents(&n.paths()[0]);
    let mut fetched = Vec::new();
    for (entries, offset) in (601..).zip((0..id.bytes).step_by(100_000)) {
        n.write(entries).await;
        fetched.extend_from_slice(&n.fetch(id, offset, 100_000).await.unwrap());
    }
    assert!(fetched == whole && n.paths().len() == 2);
    assert_eq!(n.fetch(id, id.bytes, 1).await, Some(Bytes::new()));
    assert_eq!(n.fetch(id, 0, 1).await, None, "its end was read");
}

#[actix::test]
async fn an_abandoned_backup_is_not_held_for_long() {
    let n = start();
    n.write(10).await;
    let id = n.find(1).await.unwrap();
    for entries in 11..=13 {
        n.write(entries).await;
    }
    assert_eq!(n.fetch(id, 0, 1).await, None);
}

#[actix::test]
async fn a_damaged_backup_is_removed_and_reported() {
    let n = start();
    n.write(100).await;
    let id = n.find(1).await.unwrap();
    n.disk.flip_bit(&n.paths()[0], id.bytes / 2, 3);
    assert_eq!(n.fetch(id, id.bytes / 2, 100).await, None);
    assert_eq!(n.lost.drain(), [SnapshotLost { last: at(100) }]);
    assert!(n.failed.drain().is_empty());
    assert_eq!(n.find(1).await, None);
}

// Races between the two actors.

/// The writer has pruned the damaged file by the time that it hears of the damage.
#[actix::test]
async fn a_damaged_file_that_was_pruned_meanwhile_is_not_reported_as_lost() {
    let n = start();
    n.write(100).await;
    let id = n.newest().await.unwrap();
    let path = n.paths().pop().unwrap();
    n.disk.flip_bit(&path, id.bytes / 2, 3);
    // The reader finds the damage before the writer has written the other two snapshots; the
    // writer hears of the damage afterwards.
    let (reply_to, answers) = probe();
    n.writer.do_send(write_order(200));
    n.writer.do_send(write_order(300));
    let read = ReadSnapshot { ticket: 1, snapshot: Some(id), offset: id.bytes / 2, bytes_max: 9 };
    n.reader.do_send(ReadSnapshotRequest { read, reply_to });
    settle().await;
    assert_eq!(answers.drain()[0].piece, None);
    assert_eq!((n.lost.drain(), n.written.drain().len()), (vec![], 3));
    assert_eq!(n.newest().await.map(|id| id.last), Some(at(300)));
    assert_eq!(n.paths().len(), 2);
    assert!(n.failed.drain().is_empty());
}

/// The damaged file is replaced by another one of the same name before the writer hears of
/// the damage: the other one stays, and is offered.
#[actix::test]
async fn damage_of_a_file_that_was_replaced_meanwhile_costs_nothing() {
    let n = start();
    n.write(100).await;
    let id = n.newest().await.unwrap();
    n.disk.flip_bit(&n.paths()[0], id.bytes / 2, 3);
    let (reply_to, answers) = probe();
    let read = ReadSnapshot { ticket: 1, snapshot: None, offset: id.bytes / 2, bytes_max: 9 };
    n.reader.do_send(ReadSnapshotRequest { read, reply_to });
    n.writer.do_send(write_order(100));
    settle().await;
    let _ = answers.drain();
    assert_eq!(n.lost.drain(), []);
    let (again, bytes) = n.read(None, id.bytes / 2, 9).await.expect("the new file is whole");
    assert_eq!((again, bytes.len(), n.paths().len()), (id, 9, 1));
    assert!(n.failed.drain().is_empty());
}

/// A RaftActor that asks for the newest snapshot as soon as one is written.
struct Hasty {
    reader: Recipient<ReadSnapshotRequest>,
    answers: Recipient<SnapshotRead>,
}

impl Actor for Hasty {
    type Context = Context<Self>;
}

impl Handler<SnapshotWritten> for Hasty {
    type Result = ();

    fn handle(&mut self, message: SnapshotWritten, _ctx: &mut Context<Self>) {
        let ticket = message.last.index.0;
        let read = ReadSnapshot { ticket, snapshot: None, offset: 0, bytes_max: 1 };
        let reply_to = self.answers.clone();
        self.reader.do_send(ReadSnapshotRequest { read, reply_to });
    }
}

/// The three actors are on threads of their own, as in production.
#[actix::test]
async fn a_read_that_a_written_snapshot_causes_finds_that_snapshot() {
    const SNAPSHOTS: u64 = 100;
    let disk = empty_disk();
    let (answers, inbox) = probe();
    let ((piece, _), (received, _), (lost, _), (fatal, _)) = (probe(), probe(), probe(), probe());
    let (unreadable, _) = probe();
    let (reader_arbiter, writer_arbiter) = (Arbiter::new(), Arbiter::new());
    let reader_ports = SnapshotReaderPorts { writer: unreadable, fatal: fatal.clone() };
    let reader = SnapshotReaderActor::new(files_on(&disk), Vec::new(), reader_ports);
    let reader = SnapshotReaderActor::start_in_arbiter(&reader_arbiter.handle(), move |_| reader);
    let hasty = Hasty { reader: reader.clone().recipient(), answers }.start();
    let writer_ports = SnapshotWriterPorts {
        written: hasty.recipient(),
        piece,
        received,
        lost,
        corrupted: probe().0,
        reader: reader.recipient(),
        fatal,
    };
    let owner = ("coracle".to_owned(), NodeId(1));
    let writer = SnapshotWriterActor::new(files_on(&disk), owner, writer_ports);
    let writer = SnapshotWriterActor::start_in_arbiter(&writer_arbiter.handle(), move |_| writer);
    for entries in 1..=SNAPSHOTS {
        writer.do_send(write_order(entries));
        let answer = loop {
            match inbox.drain().pop() {
                Some(answer) => break answer,
                None => tokio::time::sleep(Duration::from_micros(100)).await,
            }
        };
        let (id, _) = answer.piece.expect("a snapshot was written");
        assert_eq!((answer.ticket, id.last), (entries, at(entries)));
    }
    writer_arbiter.stop();
    reader_arbiter.stop();
}

/// A large store takes minutes to be written. A peer that needs a snapshot, and a backup, are
/// served meanwhile (docs/adr/0016).
#[actix::test]
async fn peers_and_backups_are_served_while_the_writer_is_busy() {
    let disk = empty_disk();
    let ((piece, _), (received, _), (lost, _), (fatal, _)) = (probe(), probe(), probe(), probe());
    let ((written, finished), (unreadable, _)) = (probe(), probe());
    let (reader_arbiter, writer_arbiter) = (Arbiter::new(), Arbiter::new());
    let reader_ports = SnapshotReaderPorts { writer: unreadable, fatal: fatal.clone() };
    let reader = SnapshotReaderActor::new(files_on(&disk), Vec::new(), reader_ports);
    let reader = SnapshotReaderActor::start_in_arbiter(&reader_arbiter.handle(), move |_| reader);
    let writer_ports = SnapshotWriterPorts {
        written,
        piece,
        received,
        lost,
        corrupted: probe().0,
        reader: reader.clone().recipient(),
        fatal,
    };
    let owner = ("coracle".to_owned(), NodeId(1));
    let writer = SnapshotWriterActor::new(files_on(&disk), owner, writer_ports);
    let writer = SnapshotWriterActor::start_in_arbiter(&writer_arbiter.handle(), move |_| writer);
    writer.do_send(write_order(10));
    assert_eq!(next(&finished).await.last, at(10));
    // The thread of the writer is busy until the gate opens.
    let (gate, opened) = std::sync::mpsc::channel::<()>();
    let (closed, is_closed) = std::sync::mpsc::channel::<()>();
    writer_arbiter.spawn_fn(move || {
        closed.send(()).unwrap();
        assert!(opened.recv().is_ok());
    });
    // An arbiter may give its thread to an actor's next message first.
    is_closed.recv().unwrap();
    writer.do_send(write_order(20));
    let (reply_to, chunks) = probe();
    let read = ReadSnapshot { ticket: 1, snapshot: None, offset: 0, bytes_max: 9 };
    reader.do_send(ReadSnapshotRequest { read, reply_to });
    let (id, _) = next(&chunks).await.piece.expect("the snapshot is there");
    let (reply_to, answers) = probe();
    let find = SnapshotQuery::Find { index: LogIndex(1) };
    reader.do_send(QuerySnapshots { ticket: 2, query: find, reply_to });
    assert_eq!(next(&answers).await.answer, SnapshotAnswer::Found(id));
    assert!((id.last, finished.drain().len()) == (at(10), 0));
    gate.send(()).unwrap();
    assert_eq!(next(&finished).await.last, at(20));
    writer_arbiter.stop();
    reader_arbiter.stop();
}

/// Waits for one message of an actor on another thread.
async fn next<M: Send + 'static>(inbox: &Inbox<M>) -> M {
    loop {
        match inbox.drain().pop() {
            Some(message) => return message,
            None => tokio::time::sleep(Duration::from_micros(100)).await,
        }
    }
}
