use super::*;

fn print(report: StatusReport) -> String {
    let mut text = Vec::new();
    report.into_lines().print(&mut text);
    String::from_utf8(text).expect("this test prints text")
}

#[test]
fn status_lines_come_in_the_order_of_the_protocol() {
    let status = StatusReport {
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
    };
    let text = "id 1\r\nrole pre_candidate\r\nterm 2\r\nleader none\r\ncommit_index 3\r\n\
        last_applied 4\r\nlast_log_index 5\r\nsnapshot_index 6\r\nkeys 7\r\nuptime_seconds 8\r\n\
        wall_clock_ms 12\r\nstore_clock_ms 13\r\n\
        store_bytes 9\r\nonce_clients 10\r\nstore_digest 0000000000000abc\r\n\
        memory_bytes_used 11\r\nsnapshot_transfers 2:0/5,3:1/5\r\n\
        snapshot_refusals 3:no_room,4:unusable\r\nEND\r\n";
    assert_eq!(print(status.clone()), text);
    let led = StatusReport {
        leader: Some(4),
        snapshot_transfers: Vec::new(),
        snapshot_refusals: Vec::new(),
        ..status
    };
    let text = print(led);
    assert!(text.contains("\r\nleader 4\r\n"), "{text}");
    assert!(text.contains("\r\nsnapshot_transfers none\r\nsnapshot_refusals none\r\n"), "{text}");
}
