use super::*;

impl Records {
    /// Size and digest, computed from the records.
    pub(in crate::kv) fn recomputed(&self) -> (u64, u64) {
        self.by_key.iter().fold((0, 0), |(bytes, sum), (key, record)| {
            let Record { value, version, deadline_ms, .. } = record;
            let hash = digest::key_record(key, value, *version, *deadline_ms);
            (bytes + weight_bytes(key, value), sum.wrapping_add(hash))
        })
    }
}

#[test]
fn a_reader_keeps_its_value_while_the_key_is_overwritten() {
    let mut records = Records::default();
    let mut read = Vec::new();
    for (version, value) in ["first", "other", "third, and longer", "", "last"].iter().enumerate() {
        records.put(b"k", value.as_bytes(), version as u64, Some(1000));
        read.push(records.get(b"k").unwrap().value.clone());
    }
    assert_eq!(read, ["first", "other", "third, and longer", "", "last"]);
}

#[test]
fn a_value_of_the_same_size_takes_the_memory_of_one_that_has_no_reader() {
    let mut records = Records::default();
    records.put(b"k", b"first", 1, None);
    let place = records.get(b"k").unwrap().value.as_ptr();
    records.put(b"k", b"other", 2, None);
    let stored = &records.get(b"k").unwrap().value;
    assert_eq!((stored.as_ptr(), &stored[..]), (place, &b"other"[..]));
}

#[test]
fn a_clone_is_not_changed_by_later_writes() {
    let mut records = Records::default();
    records.put(b"a", b"1", 1, None);
    let clone = records.clone();
    records.put(b"a", b"22", 2, Some(5));
    records.put(b"b", b"3", 3, None);
    assert_eq!(clone.get(b"a").map(|record| record.version), Some(1));
    assert_eq!((clone.len(), clone.next_deadline_ms()), (1, None));
    assert_eq!(clone.recomputed(), (clone.bytes(), clone.digest()));
    assert_eq!(records.recomputed(), (records.bytes(), records.digest()));
}

#[test]
fn removed_keys_leave_no_size_digest_or_deadline() {
    let mut records = Records::default();
    records.put(b"a", b"1", 1, Some(10));
    records.put(b"b", b"1", 2, Some(20));
    records.put(b"a", b"2", 3, Some(30));
    assert!(records.remove(b"a"));
    assert!(!records.remove(b"a"));
    records.expire(20);
    assert_eq!((records.len(), records.bytes(), records.digest()), (0, 0, 0));
    assert_eq!(records.next_deadline_ms(), None);
}
