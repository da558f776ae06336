use super::*;
use crate::kv::record::RecordHead;

/// A record that is the first of its key.
fn new(value: &[u8], mod_revision: u64, deadline_ms: Option<u64>) -> NewRecord<'_> {
    let (create_revision, version, lease, change) = (mod_revision, 1, 0, 0);
    NewRecord { value, create_revision, mod_revision, version, lease, deadline_ms, change }
}

/// Writes a key as [`crate::kv::edit::Edit`] does.
fn put(records: &mut Records, key: &[u8], new: NewRecord<'_>) {
    match records.replace(key, |_| new).unwrap() {
        Replacing::Done(written) => return assert!(written.is_none(), "the change has no number"),
        Replacing::Hidden => assert!(records.remove(key).is_some()),
        Replacing::Absent => {}
    }
    records.insert(key, new);
}

impl Records {
    /// Changes a stored record, and nothing else.
    pub(in crate::kv) fn change(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut RecordHead, &mut Vec<u8>),
    ) {
        let stored = self.by_key.get_mut(key).unwrap();
        *stored = stored.with(change);
    }

    /// Checks that the leases are those that a snapshot would give back.
    pub(in crate::kv) fn check_leases(&self) {
        let stored = self
            .by_key
            .iter()
            .map(|(key, record)| (key.clone(), record.clone(), weight_bytes(key, record.value())));
        assert_eq!(self.leases.rebuilt(stored), self.leases);
    }

    /// Changes the name of a stored record, and nothing else.
    pub(in crate::kv) fn rename(&mut self, key: &[u8], renamed: &[u8]) {
        let record = self.by_key.remove(key).unwrap();
        self.by_key.insert(KeyBytes::from(renamed), record);
    }

    /// Changes the digest and the size that are kept.
    pub(in crate::kv) fn change_totals(&mut self, change: impl FnOnce(&mut u64, &mut u64)) {
        change(&mut self.digest, &mut self.bytes);
    }

    /// Size and digest, computed from the records.
    pub(in crate::kv) fn recomputed(&self) -> (u64, u64) {
        self.by_key.iter().fold((0, 0), |(bytes, sum), (key, record)| {
            let hash = record.computed_hash(key);
            (bytes + weight_bytes(key, record.value()), sum.wrapping_add(hash))
        })
    }
}

#[test]
fn a_reader_keeps_its_value_while_the_key_is_overwritten() {
    let mut records = Records::default();
    let mut read = Vec::new();
    for (version, value) in ["first", "other", "third, and longer", "", "last"].iter().enumerate() {
        put(&mut records, b"k", new(value.as_bytes(), version as u64, Some(1000)));
        read.push(records.get(b"k").unwrap().unwrap().value_bytes());
    }
    assert_eq!(read, ["first", "other", "third, and longer", "", "last"]);
}

#[test]
fn a_value_of_the_same_size_takes_the_memory_of_one_that_has_no_reader() {
    let mut records = Records::default();
    put(&mut records, b"k", new(b"first", 1, None));
    let place = records.get(b"k").unwrap().unwrap().value().as_ptr();
    put(&mut records, b"k", new(b"other", 2, None));
    let stored = records.get(b"k").unwrap().unwrap().value();
    assert_eq!((stored.as_ptr(), stored), (place, &b"other"[..]));
}

#[test]
fn a_clone_is_not_changed_by_later_writes() {
    let mut records = Records::default();
    put(&mut records, b"a", new(b"1", 1, None));
    let clone = records.clone();
    put(&mut records, b"a", new(b"22", 2, Some(5)));
    put(&mut records, b"b", new(b"3", 3, None));
    assert_eq!(clone.get(b"a").unwrap().map(|record| record.mod_revision), Some(1));
    assert_eq!((clone.visible().names, clone.next_deadline_ms()), (1, None));
    assert_eq!(clone.recomputed(), (clone.visible().bytes, clone.digest()));
    assert_eq!(records.recomputed(), (records.visible().bytes, records.digest()));
}

#[test]
fn removed_keys_leave_no_size_digest_or_deadline() {
    let mut records = Records::default();
    put(&mut records, b"a", new(b"1", 1, Some(10)));
    put(&mut records, b"b", new(b"1", 2, Some(20)));
    put(&mut records, b"a", new(b"2", 3, Some(30)));
    assert!(records.remove(b"a").is_some());
    assert!(records.remove(b"a").is_none());
    records.advance(20);
    assert_eq!(records.first_due().map(|key| &key[..]), Some(&b"b"[..]));
    assert!(records.remove(b"b").is_some(), "hidden");
    assert_eq!((records.stored_len(), records.bytes, records.digest()), (0, 0, 0));
    assert_eq!(records.next_deadline_ms(), None);
    assert_eq!((&records.due, records.has_hidden()), (&totals_at(20), false));
}

/// No totals, at this time.
fn totals_at(clock_ms: u64) -> DueTotals {
    let mut totals = DueTotals::default();
    totals.advance(clock_ms);
    totals
}

#[test]
fn a_hidden_key_is_absent_and_counts_for_nothing_but_the_digest() {
    let mut records = Records::default();
    put(&mut records, b"a", new(b"1", 1, Some(10)));
    put(&mut records, b"b", new(b"22", 2, None));
    let (visible, digest) = (records.visible(), records.digest());
    assert_eq!(
        visible,
        Total { names: 2, bytes: weight_bytes(b"a", b"1") + weight_bytes(b"b", b"22") }
    );
    records.advance(10);
    assert!(records.get(b"a") == Ok(None) && records.has_hidden());
    assert_eq!(records.visible(), Total { names: 1, bytes: weight_bytes(b"b", b"22") });
    assert_eq!(records.stored_from(Bound::Unbounded).count(), 2);
    assert_eq!((records.stored_len(), records.digest()), (2, digest));
    assert_eq!(records.next_deadline_ms(), None);
}

#[test]
fn a_write_over_a_hidden_key_leaves_nothing_of_it() {
    for deadline_ms in [None, Some(30)] {
        let mut records = Records::default();
        put(&mut records, b"a", new(b"1", 1, Some(10)));
        records.advance(10);
        put(&mut records, b"a", new(b"longer", 2, deadline_ms));
        let mut expected = Records::default();
        expected.advance(10);
        put(&mut expected, b"a", new(b"longer", 2, deadline_ms));
        assert_eq!(records, expected);
    }
}

#[test]
fn keys_of_all_lengths_are_found_and_replaced() {
    let mut records = Records::default();
    let keys: Vec<Vec<u8>> = (1..50).map(|len| vec![b'k'; len]).collect();
    for key in &keys {
        put(&mut records, key, new(key, 1, None));
        put(&mut records, key, new(b"other", 2, None));
    }
    assert_eq!(records.stored_len(), keys.len() as u64);
    for key in &keys {
        assert_eq!(records.get(key).unwrap().unwrap().value(), b"other");
        assert_eq!(records.weight_of(key), weight_bytes(key, b"other"));
    }
}
