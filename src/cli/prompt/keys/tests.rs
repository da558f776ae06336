use std::cell::Cell;

use super::*;

/// Gathers from these keys, which are sorted.
fn gathered(keys: &[&[u8]], prefix: &str) -> Vec<String> {
    let next = |after: Option<&[u8]>| -> Result<Option<Vec<u8>>, ()> {
        let is_next = |key: &&&[u8]| {
            key.starts_with(prefix.as_bytes()) && after.is_none_or(|after| **key > after)
        };
        Ok(keys.iter().find(is_next).map(|key| key.to_vec()))
    };
    let gathered = gather(prefix.as_bytes(), next, || false);
    gathered.iter().map(|key| key.escape_ascii().to_string()).collect()
}

#[test]
fn keys_are_offered_up_to_the_next_slash() {
    let keys: [&[u8]; 7] =
        [b"a", b"user", b"user/1/mail", b"user/1/name", b"user/2/name", b"user/\xff", b"users"];
    assert_eq!(gathered(&keys, ""), ["a", "user", "user/", "users"]);
    assert_eq!(gathered(&keys, "user/"), ["user/1/", "user/2/", "user/\\xff"]);
    assert_eq!(gathered(&keys, "user/1/"), ["user/1/mail", "user/1/name"]);
    assert!(gathered(&keys, "x").is_empty());
}

#[test]
fn the_number_of_keys_is_bounded() {
    let keys: Vec<Vec<u8>> = (0..200).map(|number| format!("{number:03}").into_bytes()).collect();
    let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    assert_eq!(gathered(&keys, "").len(), KEYS_MAX);
}

#[test]
fn a_slow_cluster_is_not_waited_for() {
    let asked = Cell::new(0);
    let next = |_: Option<&[u8]>| -> Result<Option<Vec<u8>>, ()> {
        asked.set(asked.get() + 1);
        Ok(Some(format!("{:03}", asked.get()).into_bytes()))
    };
    assert_eq!(gather(b"", next, || asked.get() == 3).len(), 3);
    assert!(gather(b"", |_| Err(()), || false).is_empty());
}
