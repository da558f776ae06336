//! Clients that fetch a backup in pieces of a snapshot file (docs/adr/0011).

use bytes::Bytes;

use super::*;
use crate::protocol::{ClientRequest, SnapshotAnswer, SnapshotQuery};
use crate::types::{LogPosition, SnapshotId};

#[actix::test]
async fn commands_of_backups_are_passed_on_and_answered_in_their_turn() {
    let (mut client, raft) = connect(config());
    let digest = format!("{:032x}", 0xabc);
    let read = format!("snapshot read 7 2 {digest} 9 5\r\n");
    client.say(format!("snapshot begin\r\nsnapshot find 7\r\n{read}snapshot find 9\r\n")).await;
    let last = LogPosition { index: LogIndex(7), term: Term(2) };
    let find = |index| ClientRequest::Snapshot(SnapshotQuery::Find { index: LogIndex(index) });
    let read = SnapshotQuery::Read { last, digest: 0xabc, offset: 9, bytes_max: 5 };
    let (slots, requests): (Vec<u64>, Vec<ClientRequest>) = take(&raft).into_iter().unzip();
    assert_eq!(
        requests,
        [ClientRequest::BeginSnapshot, find(7), ClientRequest::Snapshot(read), find(9)]
    );
    let snapshot = ClientReply::Snapshot;
    answer(&client, slots[3], snapshot(SnapshotAnswer::NotFound));
    answer(&client, slots[2], snapshot(SnapshotAnswer::Piece(Bytes::from_static(b"piece"))));
    let id = SnapshotId { last, bytes: 300, digest: 0xabc };
    answer(&client, slots[1], snapshot(SnapshotAnswer::Found(id)));
    assert_eq!(client.hear().await, "");
    answer(&client, slots[0], ClientReply::SnapshotBegun(LogIndex(7)));
    let expected =
        format!("OK 7\r\nSNAPSHOT 7 2 300 {digest}\r\nVALUE 5\r\npiece\r\nERR_NOT_FOUND\r\n");
    assert_eq!(client.hear().await, expected);
}

/// The server holds no more than a window of pieces for a client that reads none of them.
#[actix::test]
async fn pieces_of_backups_count_in_the_window() {
    let (mut client, raft) = connect(config());
    let read = format!("snapshot read 7 2 {:032x} 0 {MIB}\r\n", 1);
    client.say(read.repeat(20)).await;
    assert_eq!(take(&raft).len(), 4, "4 MiB are the limit of this connection");
}
