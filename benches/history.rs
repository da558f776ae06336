//! Measures what the history costs: the time of `apply` for overwrites and for new keys, the
//! memory a key, the time in which a snapshot is encoded and the one in which the scrub walks the
//! store, without a history and with one. Each case runs in a process of its own, so that none
//! inherits the memory of another.
//!
//! ```sh
//! cargo bench --bench history
//! ```

use std::process::Command as Process;
use std::time::Instant;

use bytes::Bytes;
use coracle::actors::kv::SCRUB_BUDGET;
use coracle::kv::{Command, HistoryLimits, HistoryView, Operation, Scrub, Store};
use coracle::types::{Entry, Format, FormatInForce, LogIndex, Payload, Term};

/// Number of keys in the store.
const KEYS: u64 = 200_000;
/// Size of each value in bytes.
const VALUE_BYTES: usize = 100;
/// Number of overwrites: ten times as many as the history keeps.
const OVERWRITES: u64 = 1_000_000;
/// Number of entries that a server applies at a time under load. After them the watchers get a
/// view, and the one before is dropped.
const BATCH: u64 = 32;

/// The cases, by their names.
const CASES: [&str; 4] = ["format 1", "keep 0", "default", "default, views"];

fn entry(index: u64, payload: Payload) -> Entry {
    Entry { index: LogIndex(index), term: Term(1), stamp_ms: index / 100, payload }
}

fn command(index: u64, operation: Operation) -> Entry {
    let command = Command { once: None, store_bytes_max: 0, operation };
    entry(index, Payload::Command(command.encode()))
}

/// A `set` of one of the keys, in a scattered order.
fn set(index: u64, number: u64) -> Entry {
    let key = Bytes::from(format!("{:08}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS));
    let value = Bytes::from(vec![b'v'; VALUE_BYTES]);
    command(index, Operation::Set { key, exptime: 0, value, lease: 0 })
}

/// The memory of this process in bytes.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

/// A store of the case, without keys.
fn prepare(case: &str) -> Store {
    let mut store = Store::new();
    let mut apply = |payload| {
        let index = store.last_applied().next().0;
        store.apply(&entry(index, payload)).expect("it is known");
    };
    if case != "format 1" {
        apply(Payload::Format(FormatInForce::of(Format(4))));
    }
    if case == "keep 0" {
        let limits = HistoryLimits { keep_revisions: 0, bytes_max: 0 };
        let set =
            Command { once: None, store_bytes_max: 0, operation: Operation::SetHistory(limits) };
        apply(Payload::Command(set.encode()));
    }
    store
}

/// Applies `sets` sets. Returns the nanoseconds of each.
fn apply(store: &mut Store, sets: u64, has_views: bool) -> u64 {
    let mut spent = 0;
    let mut view: Option<HistoryView> = None;
    for batch in 0..sets.div_ceil(BATCH) {
        let first = store.last_applied().next().0;
        let entries: Vec<Entry> =
            (0..BATCH).map(|number| set(first + number, batch * BATCH + number)).collect();
        let begin = Instant::now();
        for entry in &entries {
            store.apply(entry).expect("a set is always known");
        }
        if has_views {
            view = Some(store.history_view());
        }
        spent += begin.elapsed().as_nanos() as u64;
    }
    drop(view);
    spent / sets
}

/// Verifies the whole store, as the steps of the scrub do.
fn walk(store: &Store) {
    let mut scrub = Scrub::default();
    while !store.scrub(&mut scrub, SCRUB_BUDGET).expect("nothing has changed in memory") {}
}

fn run(case: &str) {
    let has_views = case == "default, views";
    let mut store = prepare(case);
    let empty_bytes = resident_bytes();
    let new_ns = apply(&mut store, KEYS, has_views);
    let keys = store.keys();
    let full_bytes = resident_bytes() - empty_bytes;
    let overwrite_ns = apply(&mut store, OVERWRITES, has_views);
    let after_bytes = resident_bytes() - empty_bytes;
    let begin = Instant::now();
    let snapshot_bytes: usize =
        store.snapshot_blocks().map(|block| block.expect("it is whole").len()).sum();
    let snapshot_ms = begin.elapsed().as_millis();
    let begin = Instant::now();
    walk(&store);
    let walk_ms = begin.elapsed().as_millis();
    let status = store.status();
    println!(
        "{case:16} new key {new_ns:>5} ns  overwrite {overwrite_ns:>5} ns  bytes a key {:>4}, \
         after overwrites {:>4}  snapshot {snapshot_ms:>3} ms, {} MiB  scrub {walk_ms:>3} ms  \
         changes {}, weighing {} MiB",
        full_bytes / keys,
        after_bytes / keys,
        snapshot_bytes >> 20,
        status.history_changes,
        status.history_bytes >> 20
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(case) = CASES.iter().find(|case| arguments.iter().any(|given| given == *case)) {
        return run(case);
    }
    println!("{KEYS} keys of 8 bytes, values of {VALUE_BYTES} bytes, {OVERWRITES} overwrites");
    let program = std::env::current_exe().expect("the program has a path");
    for _ in 0..3 {
        for case in CASES {
            let status = Process::new(&program).arg(case).status().expect("it is this program");
            assert!(status.success(), "{case}");
        }
    }
}
