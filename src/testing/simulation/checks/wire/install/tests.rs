use super::*;
use crate::types::{LogIndex, LogPosition, Term};

const LEADER: NodeId = NodeId(1);
const FOLLOWER: NodeId = NodeId(2);

fn snapshot(index: u64) -> SnapshotId {
    let last = LogPosition { index: LogIndex(index), term: Term(1) };
    SnapshotId { last, bytes: 100, digest: 7 }
}

/// The follower says how much it has of the snapshot.
fn received(installs: &mut Installs, snapshot: SnapshotId, received: u64) {
    let response = InstallSnapshotResponse {
        request_seq: 0,
        is_rejoining: false,
        last: snapshot.last,
        received,
        is_installed: received == snapshot.bytes,
        refusal: None,
    };
    installs.on_response(LEADER, FOLLOWER, response);
}

#[test]
fn a_byte_that_is_sent_again_counts_once() {
    let mut installs = Installs::default();
    installs.under_way.insert((LEADER, FOLLOWER), snapshot(5));
    for (bytes, counted) in [(40, 40), (0, 40), (30, 40), (41, 41), (100, 100)] {
        received(&mut installs, snapshot(5), bytes);
        assert_eq!(installs.counts.bytes, counted, "after {bytes}");
    }
    assert_eq!(installs.counts.installed, 1);
    installs.under_way.insert((LEADER, FOLLOWER), snapshot(5));
    received(&mut installs, snapshot(5), 60);
    received(&mut installs, snapshot(9), 60);
    assert_eq!(installs.counts.bytes, 100, "it had those, and the other was not sent");
    installs.under_way.insert((LEADER, FOLLOWER), snapshot(9));
    received(&mut installs, snapshot(9), 60);
    assert_eq!(installs.counts.bytes, 160);
}
