//! Runs many seeds, and sums up their reports.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use coracle::testing::simulation::{Fault, InstallCounts, Report, SnapshotCounts, simulate};

use super::{Options, check};

/// The progress is printed after each group of this many seeds.
const PRINTED_EVERY: u64 = 100;

/// The sums over all seeds so far.
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
    answers: BTreeMap<String, u64>,
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
        for (answer, times) in &report.answers {
            *self.answers.entry(answer.clone()).or_default() += times;
        }
        let (all, one) = (&mut self.snapshots, &report.snapshots);
        all.taken += one.taken;
        all.received += one.received;
        all.segments_void += one.segments_void;
        all.segments_recycled += one.segments_recycled;
        all.installs.begun += one.installs.begun;
        all.installs.resumed += one.installs.resumed;
        all.installs.installed += one.installs.installed;
        all.installs.abandoned += one.installs.abandoned;
        all.installs.bytes += one.installs.bytes;
    }

    fn print_snapshots(&self) {
        let SnapshotCounts { taken, received, segments_void, segments_recycled, installs } =
            self.snapshots;
        let InstallCounts { begun, resumed, installed, abandoned, bytes } = installs;
        println!(
            "snapshots: {taken} taken, {received} received; installs: {begun} begun, {resumed} \
             resumed, {abandoned} abandoned, {installed} confirmed, {bytes} bytes; {segments_void} \
             segments dropped, {segments_recycled} recycled"
        );
    }

    fn print(&self, elapsed: Duration, threads: usize) {
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

/// Runs the seeds. Returns true when none failed.
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
            let mut soak = soak.lock().expect("no thread panics while it holds the lock");
            soak.add(&report);
            if !check(&report) {
                soak.failed.push(seed);
            }
            if soak.seeds.is_multiple_of(PRINTED_EVERY) {
                soak.print(begin.elapsed(), threads);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let soak = soak.into_inner().expect("no thread panics while it holds the lock");
    soak.print(begin.elapsed(), threads);
    let faults: Vec<_> = soak.faults.iter().map(|(fault, n)| format!("{fault:?} {n}")).collect();
    println!("faults: {}", faults.join(", "));
    soak.print_snapshots();
    soak.answers.iter().for_each(|(answer, times)| println!("{times} times {answer}"));
    println!(
        "longest recovery: {} ms; searches for an order given up: {}; failed seeds: {:?}",
        soak.recovery_ms_max, soak.given_up, soak.failed
    );
    soak.failed.is_empty()
}
