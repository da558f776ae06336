//! The table of text and the line of JSON, as they are.

use super::super::view::View;
use super::super::view::tests::four;
use super::*;

#[test]
fn the_table_has_all_columns_and_the_sentences_around_it() {
    let text = text(&four());
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "Cluster orders: 4 servers, 3 answer.");
    let header = lines[2].split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "id role state term lag unapplied writes/s reads/s commit p99 fsync p99 log \
                    store memory disk free seen client address";
    assert_eq!(header, expected);
    let first = lines[3].split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "1 follower catching 7 10,400 1 1,201 8,000 2.1 ms 0.9 ms 8.0 MiB 512.0 KiB \
                    38.1 MiB 46.6 GiB 12 ms 10.0.0.1:9000";
    assert_eq!(first, expected);
    assert_eq!(lines[7], "3: 10.0.0.3:9000 refused the connection.");
    assert_eq!(lines.len(), 8);
}

#[test]
fn the_object_has_every_name_and_null_for_what_is_not_known() {
    let line = json(&four()).line();
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line.lines().count(), 1);
    assert_eq!(value["can_lose"], 0);
    assert_eq!(value["leader"], 2);
    assert_eq!(value["servers"][0]["behind_entries"], 10_400);
    assert_eq!(value["servers"][0]["writes_per_second"], 1200.5);
    let down = value["servers"][2].as_object().unwrap();
    assert_eq!(down["is_down"], true);
    for column in Column::ALL.into_iter().filter(|column| *column != Column::Seen) {
        assert!(down[column.json_name()].is_null(), "{column:?}");
    }
    let none: serde_json::Value =
        serde_json::from_str(&json(&View::new("orders", &[])).line()).unwrap();
    assert!(none["can_lose"].is_null() && none["leader"].is_null());
}
