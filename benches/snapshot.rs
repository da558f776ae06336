//! Measures how much a snapshot of a million keys delays the store, which applies entries
//! at the same time: the times of `apply` without a snapshot, and while one is written on
//! another thread. It measures reads, and the steps of the scrub. Then it measures the times of
//! `apply` while a million keys and clients that expired together are removed.
//!
//! ```sh
//! cargo bench --bench snapshot
//! ```
//!
//! Pauses of the machine are in both figures, so compare the two.

use std::time::{Duration, Instant};

use bytes::Bytes;
use coracle::actors::kv::SCRUB_BUDGET;
use coracle::kv::{Command, Once, Operation, Query, Scrub, Store, StoreLoader};
use coracle::types::{Entry, LogIndex, Payload, Term};

/// Number of keys in the store.
const KEYS: u64 = 1_000_000;
/// Size of each value in bytes.
const VALUE_BYTES: usize = 100;
/// Number of entries applied without a snapshot. With a snapshot, entries are applied until
/// it is written.
const ENTRIES_WITHOUT_SNAPSHOT: u64 = 1_000_000;

/// Exptime in seconds of the keys that all expire at one entry.
const EXPTIME: u64 = 3_600;

/// The entry with this index, a `set` of one of the keys.
fn set(index: u64) -> Entry {
    set_for(index, 0)
}

/// The same for a time, by a client of its own.
fn set_for(index: u64, exptime: u64) -> Entry {
    // The keys are written in a scattered order, so that each write copies another path of
    // the tree.
    let key = format!("{:08}", index.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS);
    let value = Bytes::from(vec![b'v'; VALUE_BYTES]);
    let operation = Operation::Set { key: key.into_bytes().into(), exptime, value, lease: 0 };
    let client = Bytes::from(format!("c{index}"));
    let once = (exptime > 0).then_some(Once { client, seq: 1 });
    let command = Command { once, store_bytes_max: 0, operation };
    let payload = Payload::Command(command.encode());
    Entry { index: LogIndex(index), term: Term(1), stamp_ms: 0, payload }
}

/// The duration of each call.
struct Times(Vec<Duration>);

impl Times {
    fn print(mut self, what: &str) {
        self.0.sort_unstable();
        let at = |part: f64| self.0[((self.0.len() - 1) as f64 * part) as usize];
        println!(
            "{what:26} {:>8} calls  p50 {:>8.1?}  p99.9 {:>8.1?}  p99.99 {:>8.1?}  max {:>8.1?}",
            self.0.len(),
            at(0.5),
            at(0.999),
            at(0.9999),
            at(1.0)
        );
    }
}

/// Applies entries, and measures each, as long as `goes_on` returns true for their number.
fn apply_while(store: &mut Store, mut goes_on: impl FnMut(u64) -> bool) -> Times {
    let mut times = Vec::new();
    while goes_on(times.len() as u64) {
        let entry = set(store.last_applied().next().0);
        let begin = Instant::now();
        store.apply(&entry).expect("a set is always known");
        times.push(begin.elapsed());
    }
    Times(times)
}

fn main() {
    let mut store = Store::new();
    while store.keys() < KEYS * 99 / 100 {
        let entry = set(store.last_applied().next().0);
        store.apply(&entry).expect("a set is always known");
    }
    println!("{} keys of 8 bytes, values of {VALUE_BYTES} bytes", store.keys());
    apply_while(&mut store, |done| done < ENTRIES_WITHOUT_SNAPSHOT).print("apply, no snapshot");
    verify_all(&store);

    let begin = Instant::now();
    let clone = store.clone();
    println!("clone                        {:.1?}", begin.elapsed());
    let writer = std::thread::spawn(move || {
        let begin = Instant::now();
        let blocks: Vec<Vec<u8>> =
            clone.snapshot_blocks().map(|block| block.expect("it is whole")).collect();
        (blocks, begin.elapsed())
    });
    apply_while(&mut store, |_| !writer.is_finished()).print("apply, during a snapshot");
    let (blocks, encoding) = writer.join().expect("nothing panics there");
    let bytes: usize = blocks.iter().map(Vec::len).sum();
    println!("encode                       {encoding:.1?} for {bytes} bytes");

    let begin = Instant::now();
    let mut loader = StoreLoader::new();
    for block in &blocks {
        loader.load(block).expect("it was just made");
    }
    let loaded = loader.finish().expect("it was just made");
    println!("load                         {:.1?}", begin.elapsed());
    let begin = Instant::now();
    drop(loaded);
    println!("drop                         {:.1?}", begin.elapsed());
    drop((store, blocks));
    expire_all();
}

/// Reads keys, each of which is verified, and walks over the store once, in the steps that a
/// server takes every 100 ms.
fn verify_all(store: &Store) {
    let mut reads = Vec::new();
    for number in 0..KEYS {
        let key = format!("{:08}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % KEYS);
        let query = Query::Get { key: key.into_bytes().into(), at: 0 };
        let begin = Instant::now();
        store.query(&query, 0).expect("nothing has changed it");
        reads.push(begin.elapsed());
    }
    Times(reads).print("get");
    let (mut scrub, mut steps) = (Scrub::default(), Vec::new());
    loop {
        let begin = Instant::now();
        let is_over = store.scrub(&mut scrub, SCRUB_BUDGET).expect("nothing has changed it");
        steps.push(begin.elapsed());
        if is_over {
            break;
        }
    }
    Times(steps).print("scrub, a step");
}

/// A million keys and clients expire at one entry, while a snapshot is taken of them. Half of
/// them are removed by no-ops, and the rest by commands.
fn expire_all() {
    let mut store = Store::new();
    while store.last_applied().0 < KEYS {
        let entry = set_for(store.last_applied().next().0, EXPTIME);
        store.apply(&entry).expect("a set is always known");
    }
    println!("{} keys and {} clients that expire together", store.keys(), store.clients());
    let snapshot = store.clone();
    let mut noops = Vec::new();
    while noops.is_empty() || store.clients() as u64 > KEYS / 2 {
        let index = store.last_applied().next();
        let (stamp_ms, payload) = (EXPTIME * 1_000, Payload::Noop);
        let entry = Entry { index, term: Term(1), stamp_ms, payload };
        let begin = Instant::now();
        store.apply(&entry).expect("a no-op is always known");
        noops.push(begin.elapsed());
    }
    println!("the first no-op hides all    {:.1?}", noops[0]);
    Times(noops).print("apply, a no-op");
    let mut commands = Vec::new();
    while store.has_hidden() {
        let entry = set(store.last_applied().next().0);
        let begin = Instant::now();
        store.apply(&entry).expect("a set is always known");
        commands.push(begin.elapsed());
    }
    Times(commands).print("apply, a command");
    drop(snapshot);
}
