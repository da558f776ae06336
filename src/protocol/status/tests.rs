use super::*;

fn print(report: StatusReport) -> String {
    let mut text = Vec::new();
    report.into_lines().print(&mut text);
    String::from_utf8(text).expect("this test prints text")
}

fn report() -> StatusReport {
    StatusReport {
        id: 1,
        role: "pre_candidate".into(),
        term: 2,
        leader: None,
        commit_index: 3,
        last_applied: 4,
        last_log_index: 5,
        snapshot_index: 6,
        keys: 7,
        uptime_seconds: 8,
        wall_clock_ms: 12,
        store_clock_ms: 13,
        store_bytes: 9,
        once_clients: 10,
        store_digest: 0xabc,
        memory_bytes_used: 11,
        snapshot_transfers: vec![(2, 0, 5), (3, 1, 5)],
        snapshot_refusals: vec![(3, "no_room".into()), (4, "unusable".into())],
        version: "0.2.0".into(),
        format: Format(1),
        reads_formats: FormatRange { lowest: Format(1), highest: Format(2) },
        cluster_id: None,
        incarnation: Incarnation(0x12),
        is_upgrade_held: true,
        upgrade_waits_for: Some("server 3 (0.1.0) reads formats 1..1".into()),
        removed_at: Some(912),
        is_draining: true,
        revision: 17,
        compacted_revision: 14,
        history_changes: 15,
        history_bytes: 16,
        leases: 18,
    }
}

#[test]
fn status_lines_come_in_the_order_of_the_protocol() {
    let status = report();
    let text = "id 1\r\nrole pre_candidate\r\nterm 2\r\nleader none\r\ncommit_index 3\r\n\
        last_applied 4\r\nlast_log_index 5\r\nsnapshot_index 6\r\nkeys 7\r\nuptime_seconds 8\r\n\
        wall_clock_ms 12\r\nstore_clock_ms 13\r\n\
        store_bytes 9\r\nonce_clients 10\r\nstore_digest 0000000000000abc\r\n\
        memory_bytes_used 11\r\nsnapshot_transfers 2:0/5,3:1/5\r\n\
        snapshot_refusals 3:no_room,4:unusable\r\nversion 0.2.0\r\nformat 1\r\n\
        reads_formats 1..2\r\ncluster_id none\r\n\
        incarnation 00000000000000000000000000000012\r\nupgrade_held yes\r\n\
        upgrade_waits_for server 3 (0.1.0) reads formats 1..1\r\nremoved_at 912\r\n\
        draining yes\r\nrevision 17\r\ncompacted_revision 14\r\nhistory_changes 15\r\n\
        history_bytes 16\r\nleases 18\r\nEND\r\n";
    assert_eq!(print(status.clone()), text);
    let led = StatusReport {
        leader: Some(4),
        snapshot_transfers: Vec::new(),
        snapshot_refusals: Vec::new(),
        cluster_id: Some(ClusterId(0xc)),
        is_upgrade_held: false,
        upgrade_waits_for: None,
        removed_at: None,
        is_draining: false,
        ..status.clone()
    };
    let text = print(led);
    assert!(text.contains("\r\nleader 4\r\n"), "{text}");
    assert!(text.contains("\r\nsnapshot_transfers none\r\nsnapshot_refusals none\r\n"), "{text}");
    assert!(text.contains("\r\ncluster_id 0000000000000000000000000000000c\r\n"), "{text}");
    let end = "\r\nupgrade_held no\r\nupgrade_waits_for none\r\nremoved_at none\r\ndraining no\r\n\
        revision 17\r\n";
    assert!(text.contains(end), "{text}");
}

#[test]
fn words_of_other_servers_begin_no_line_of_their_own() {
    let status = StatusReport {
        version: "1\r\nrole leader".into(),
        upgrade_waits_for: Some("server 3 (\u{e9}\n)".into()),
        ..report()
    };
    let text = print(status);
    assert!(text.contains("\r\nversion 1??role leader\r\n"), "{text}");
    assert!(text.contains("\r\nupgrade_waits_for server 3 (??)\r\n"), "{text}");
}
