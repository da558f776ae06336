use super::*;

#[test]
fn every_kind_has_a_heading_in_the_wire_format() {
    let document = include_str!("../../../docs/internals/wire_format.md");
    for (number, name) in [
        (HELLO, "Hello"),
        (REFUSED, "Refused"),
        (APPEND_ENTRIES, "AppendEntries"),
        (APPEND_ENTRIES_RESPONSE, "AppendEntriesResponse"),
        (REQUEST_VOTE, "RequestVote"),
        (REQUEST_VOTE_RESPONSE, "RequestVoteResponse"),
        (PRE_VOTE, "PreVote"),
        (PRE_VOTE_RESPONSE, "PreVoteResponse"),
        (REJOIN_REQUEST, "RejoinRequest"),
        (REJOIN_RESPONSE, "RejoinResponse"),
        (INSTALL_SNAPSHOT, "InstallSnapshot"),
        (INSTALL_SNAPSHOT_RESPONSE, "InstallSnapshotResponse"),
        (FORGOTTEN, "Forgotten"),
        (STATE_CHECK, "StateCheck"),
        (STATE_CHECK_RESPONSE, "StateCheckResponse"),
        (STATE_DIVERGED, "StateDiverged"),
        (REMEMBERED, "Remembered"),
        (TIMEOUT_NOW, "TimeoutNow"),
        (TRANSFER_VOTE, "TransferVote"),
        (TRANSFER_REFUSED, "TransferRefused"),
        (ADMITTED, "Admitted"),
        (REMOVED, "Removed"),
        (JOIN, "Join"),
        (JOINED, "Joined"),
        (READ_INDEX, "ReadIndex"),
        (READ_INDEX_RESPONSE, "ReadIndexResponse"),
        (FORWARD, "Forward"),
        (FORWARDED, "Forwarded"),
    ] {
        let row = format!("| {number} | [{name}](#{}) |", name.to_lowercase());
        assert!(document.contains(&row), "no row {row:?}");
        assert!(document.contains(&format!("\n### {name}\n")), "no heading {name}");
    }
}
