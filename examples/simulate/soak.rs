//! Many seeds, and what they come to.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coracle::testing::simulation::{Fault, Report, SnapshotCounts, TransferCounts, simulate};

use super::{Options, check};

/// Progress is told each so many seeds.
const TOLD_EVERY: u64 = 100;

/// What many seeds came to.
#[derive(Default)]
struct Soak {
    seeds: u64,
    failed: Vec<u64>,
    simulated_ms: u64,
    operations: u64,
    events: u64,
    given_up: u64,
    recovery_ms_max: u64,
    faults: BTreeMap<Fault, u64>,
    snapshots: SnapshotCounts,
}

impl Soak {
    fn add(&mut self, report: &Report) {
        self.seeds += 1;
        self.simulated_ms += report.simulated_ms;
        self.operations += report.operations;
        self.events += report.events;
        self.given_up += u64::from(report.is_given_up);
        self.recovery_ms_max = self.recovery_ms_max.max(report.recovery_ms);
        for (fault, times) in &report.faults {
            *self.faults.entry(*fault).or_default() += times;
        }
        let (all, one) = (&mut self.snapshots, &report.snapshots);
        all.taken += one.taken;
        all.received += one.received;
        all.segments_void += one.segments_void;
        all.segments_recycled += one.segments_recycled;
        all.transfers.begun += one.transfers.begun;
        all.transfers.resumed += one.transfers.resumed;
        all.transfers.installed += one.transfers.installed;
        all.transfers.abandoned += one.transfers.abandoned;
    }

    fn tell_snapshots(&self) {
        let SnapshotCounts { taken, received, segments_void, segments_recycled, transfers } =
            self.snapshots;
        let TransferCounts { begun, resumed, installed, abandoned } = transfers;
        println!(
            "snapshots: {taken} taken, {received} received; transfers: {begun} begun, {resumed} \
             resumed, {abandoned} abandoned, {installed} confirmed; {segments_void} segments \
             let go of, {segments_recycled} made of such"
        );
    }

    fn tell(&self, elapsed: Duration, threads: usize) {
        let seconds = elapsed.as_secs_f64();
        println!(
            "{} seeds in {seconds:.0} s: {:.2} simulated hours, {} operations, {} events \
             ({:.0} a second on each of {threads} cores), {} failed",
            self.seeds,
            self.simulated_ms as f64 / 3_600_000.0,
            self.operations,
            self.events,
            self.events as f64 / seconds / threads as f64,
            self.failed.len()
        );
    }
}

/// Runs the seeds; true when none failed.
pub(super) fn run(options: &Options) -> bool {
    let begin = Instant::now();
    let (threads, limit) = (options.threads(), options.limit());
    let end = options.first.saturating_add(options.seeds);
    let (next, soak) = (AtomicU64::new(options.first), Mutex::new(Soak::default()));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end || begin.elapsed() > limit {
                break;
            }
            let report = simulate(seed, false);
            let mut soak = soak.lock().expect("nobody panics while it holds the lock");
            soak.add(&report);
            if !check(&report) {
                soak.failed.push(seed);
            }
            if soak.seeds.is_multiple_of(TOLD_EVERY) {
                soak.tell(begin.elapsed(), threads);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let soak = soak.into_inner().expect("nobody panics while it holds the lock");
    soak.tell(begin.elapsed(), threads);
    let faults: Vec<_> = soak.faults.iter().map(|(fault, n)| format!("{fault:?} {n}")).collect();
    println!("faults: {}", faults.join(", "));
    soak.tell_snapshots();
    println!(
        "longest recovery: {} ms; searches for an order given up: {}; failed seeds: {:?}",
        soak.recovery_ms_max, soak.given_up, soak.failed
    );
    soak.failed.is_empty()
}
