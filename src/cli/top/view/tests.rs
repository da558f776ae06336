//! The rows that answers make: what is not known is never shown as a number.

use serde_json::json;

use super::super::super::survey::tests::{down, members, status, target, text_only};
use super::*;

/// The members as leader 2 knows them, of which 4 is a learner.
pub const MEMBERS: &str = "MEMBERS 3 2 2 0 4 leader 17 yes\n\
     MEMBER 1 voter catching 10.0.0.1:9001 10.0.0.1:9000 seen_ms=12 behind=10400\n\
     MEMBER 2 voter leader 10.0.0.2:9001 10.0.0.2:9000\n\
     MEMBER 3 voter unseen 10.0.0.3:9001 10.0.0.3:9000 seen_ms=61000 behind=5\n\
     MEMBER 4 learner follower 10.0.0.4:9001 10.0.0.4:9000 seen_ms=3 behind=0";

/// A server that answers over both ports.
fn whole(id: u64, role: &str, lines: &str) -> Heard {
    let report = json!({
        "id": id, "role": role, "term": 7, "commit_index": 18_220, "last_applied": 18_219,
        "writes_per_second": 1200.5, "reads_per_second": 8000.0, "commit_p99_ms": 2.1,
        "fsync_p99_ms": 0.9, "log_bytes": 8_388_608, "store_bytes": 524_288,
        "resident_bytes": 40_000_000, "disk_free_bytes": 50_000_000_000_u64 / id,
    });
    Heard { target: target(id), status: Ok(status(lines)), members: None, report: Some(Ok(report)) }
}

/// Four servers: 2 leads, 1 is behind, 3 is down, and 4 has no HTTP port.
pub fn four() -> View {
    let mut leader = whole(2, "leader", "id 2\nrole leader\nterm 7");
    leader.members = Some(members(MEMBERS));
    let lines = "id 4\nrole follower\nterm 7\ncommit_index 18220\nlast_applied 18220\n\
                 store_bytes 524000";
    let follower = whole(1, "follower", "id 1\nrole follower\nterm 7");
    View::new("orders", &[follower, leader, down(3), text_only(4, lines)])
}

fn number(view: &View, id: u64, column: Column) -> Option<f64> {
    view.rows.iter().find(|row| row.id.0 == id).unwrap().numbers.get(&column).copied()
}

#[test]
fn a_server_that_answers_is_shown_with_its_own_numbers_and_with_those_of_the_leader() {
    let view = four();
    assert_eq!(number(&view, 1, Column::Writes), Some(1200.5));
    assert_eq!(number(&view, 1, Column::Unapplied), Some(1.0));
    assert_eq!(number(&view, 1, Column::Lag), Some(10_400.0));
    assert_eq!(number(&view, 1, Column::Seen), Some(12.0));
    assert_eq!(number(&view, 2, Column::Lag), Some(0.0));
    assert_eq!(number(&view, 2, Column::Seen), None);
    assert_eq!(view.leader(), Some((NodeId(2), 7)));
    assert_eq!(view.answers(), "Cluster orders: 4 servers, 3 answer.");
    assert_eq!(view.tolerance(), "3 voters, 2 needed, 2 here: can lose 0. 2 leads (term 7).");
}

#[test]
fn a_server_that_is_down_has_no_number_of_its_own_and_is_behind_by_nothing_known() {
    let view = four();
    let row = &view.rows[2];
    assert!(row.is_down && row.role == DOWN && row.state.as_deref() == Some("unseen"));
    assert_eq!(row.numbers, BTreeMap::from([(Column::Seen, 61_000.0)]));
    assert_eq!(view.notes, ["3: 10.0.0.3:9000 refused the connection."]);
}

#[test]
fn a_server_without_an_http_port_shows_what_its_text_port_gives() {
    let view = four();
    assert_eq!(number(&view, 4, Column::Store), Some(524_000.0));
    assert_eq!(number(&view, 4, Column::Term), Some(7.0));
    assert_eq!(number(&view, 4, Column::Unapplied), Some(0.0));
    assert_eq!(number(&view, 4, Column::Writes), None);
    assert_eq!(number(&view, 4, Column::DiskFree), None);
}

#[test]
fn without_a_leader_nobody_is_said_to_be_behind() {
    let mut follower = whole(1, "follower", "id 1\nrole follower\nterm 7");
    follower.members = Some(members(&MEMBERS.replace("leader 17 yes", "1 17 yes")));
    let view = View::new("orders", &[follower, down(2)]);
    assert_eq!((view.leader(), number(&view, 1, Column::Lag)), (None, None));
    assert_eq!(view.tolerance(), "No leader answers: how many can be lost is not known.");
}

#[test]
fn one_port_of_two_that_is_silent_is_told_and_the_other_is_shown() {
    let mut text_is_silent = whole(1, "follower", "id 1");
    text_is_silent.status = Err("10.0.0.1:9000: no answer in time".into());
    let mut http_is_silent = whole(2, "follower", "id 2\nrole follower");
    http_is_silent.report = Some(Err("10.0.0.2:9100 refused the \u{1b}connection".into()));
    let view = View::new("orders", &[text_is_silent, http_is_silent]);
    assert!(view.rows.iter().all(|row| !row.is_down && row.role == "follower"));
    let expected =
        ["1: 10.0.0.1:9000: no answer in time.", "2: 10.0.0.2:9100 refused the \\u{1b}connection."];
    assert_eq!(view.notes, expected);
}

#[test]
fn a_server_that_has_not_looked_at_its_disk_yet_has_no_size_of_it() {
    let mut young = whole(1, "follower", "id 1");
    let Some(Ok(report)) = &mut young.report else { unreachable!("it has one") };
    for name in ["disk_bytes", "disk_free_bytes", "log_bytes"] {
        report[name] = serde_json::Value::Null;
    }
    let view = View::new("orders", &[young]);
    assert_eq!(number(&view, 1, Column::DiskFree), None);
    assert_eq!(number(&view, 1, Column::Log), None);
    assert_eq!(number(&view, 1, Column::Writes), Some(1200.5));
}
