//! The facts that the kernel knows of the process and of its disk.
//!
//! The numbers of the process are read when they are asked for: the kernel has them in memory.
//! Those of the disk are read by [`ProcessMetrics::measure_disk`], which blocks for as long as the
//! disk does, and are as old as its last run.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::measures::{from_gauge, to_gauge};

/// Maximum number of files of a directory whose sizes are added up.
const FILES_MAX: usize = 100_000;

/// The facts that the kernel knows of the process and of its disk. Clones share the numbers.
#[derive(Clone)]
pub struct ProcessMetrics(Arc<Facts>);

struct Facts {
    version: &'static str,
    data_dir: PathBuf,
    /// Seconds since the Unix epoch.
    started: f64,
    disk: Vec<DiskGauge>,
    /// True when the disk was measured at least once.
    is_measured: AtomicBool,
}

/// Reads a number from the disk of a data directory.
type ReadDisk = fn(&Path) -> Option<u64>;

/// A number that is read from the disk.
struct DiskGauge {
    name: &'static str,
    help: &'static str,
    read: ReadDisk,
    gauge: Gauge,
}

/// The facts that the kernel knows, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessSample {
    /// The memory in bytes that the process occupies.
    pub resident_bytes: u64,
    /// The facts about the disk; `None` until it was measured.
    pub disk: Option<DiskSample>,
}

/// The facts about the disk that has the data directory, as of its last measurement.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskSample {
    /// Free space in bytes.
    pub free_bytes: u64,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Size of the files of the log in bytes.
    pub log_bytes: u64,
    /// Number of files of the log.
    pub log_files: u64,
    /// Size of the snapshots that are kept, in bytes.
    pub snapshots_bytes: u64,
}

impl ProcessMetrics {
    /// The metrics of this process, whose version this is, and which keeps its files there.
    pub fn new(version: &'static str, data_dir: PathBuf) -> ProcessMetrics {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let disk: [(_, _, ReadDisk); 6] = [
            ("disk_free_bytes", "Free space of the disk that has the data directory", free_bytes),
            ("disk_size_bytes", "Size of the disk that has the data directory", size_bytes),
            ("log_bytes", "Size of the files of the log", |dir| Some(files_in(&dir.join("log")).1)),
            ("log_files", "Files of the log", |dir| Some(files_in(&dir.join("log")).0)),
            ("snapshots_bytes", "Size of the snapshots that are kept", |dir| {
                Some(files_in(&dir.join("snapshot")).1)
            }),
            ("snapshots_files", "Snapshots that are kept", |dir| {
                Some(files_in(&dir.join("snapshot")).0)
            }),
        ];
        let disk = disk.map(|(name, help, read)| {
            let gauge = Gauge::default();
            DiskGauge { name, help, read, gauge }
        });
        let started = since.as_secs_f64();
        let is_measured = AtomicBool::default();
        ProcessMetrics(Arc::new(Facts {
            version,
            data_dir,
            started,
            disk: disk.into(),
            is_measured,
        }))
    }

    /// The memory of the machine in bytes; 0 when the kernel does not say.
    pub(super) fn memory_bytes(&self) -> u64 {
        kib_in("/proc/meminfo", "MemTotal:")
    }

    /// The facts of this moment.
    pub(super) fn sample(&self) -> ProcessSample {
        let of_disk = |name: &str| {
            let found = self.0.disk.iter().find(|of| of.name == name);
            found.map_or(0, |of| from_gauge(&of.gauge))
        };
        let disk = || DiskSample {
            free_bytes: of_disk("disk_free_bytes"),
            size_bytes: of_disk("disk_size_bytes"),
            log_bytes: of_disk("log_bytes"),
            log_files: of_disk("log_files"),
            snapshots_bytes: of_disk("snapshots_bytes"),
        };
        let is_measured = self.0.is_measured.load(Ordering::Relaxed);
        ProcessSample { resident_bytes: resident_bytes(), disk: is_measured.then(disk) }
    }

    /// Reads the numbers of the disk anew. It blocks for as long as the disk does.
    pub fn measure_disk(&self) {
        for DiskGauge { read, gauge, .. } in &self.0.disk {
            if let Some(value) = read(&self.0.data_dir) {
                gauge.set(to_gauge(value));
            }
        }
        self.0.is_measured.store(true, Ordering::Relaxed);
    }
}

fn free_bytes(dir: &Path) -> Option<u64> {
    statvfs(dir).ok().map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn size_bytes(dir: &Path) -> Option<u64> {
    statvfs(dir).ok().map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize))
}

/// The number of files in a directory, and the sum of their sizes.
fn files_in(dir: &Path) -> (u64, u64) {
    let Ok(entries) = fs::read_dir(dir) else { return (0, 0) };
    let files = entries.take(FILES_MAX).filter_map(|entry| entry.ok()?.metadata().ok());
    let sizes = files.filter(fs::Metadata::is_file).map(|file| file.len());
    sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
}

/// The processor time of the process, in seconds.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The memory in bytes that the process occupies.
fn resident_bytes() -> u64 {
    kib_in("/proc/self/status", "VmRSS:")
}

/// A number of bytes that the kernel gives in a file, in KiB; 0 when it does not.
fn kib_in(path: &str, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0).saturating_mul(1024)
}

fn open_files() -> u64 {
    fs::read_dir("/proc/self/fd").map_or(0, |files| files.count() as u64)
}

impl fmt::Debug for ProcessMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProcessMetrics")
    }
}

impl Collector for ProcessMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Facts { version, started, disk, .. } = &*self.0;
        let build = ConstGauge::new(1_i64);
        let help = "1, with the version of the program";
        let mut info =
            encoder.encode_descriptor("coracle_build_info", help, None, build.metric_type())?;
        build.encode(info.encode_family(&[("version", *version)])?)?;
        let cpu = ConstCounter::new(cpu_seconds());
        let help = "Processor time of the process";
        let name = "process_cpu_seconds";
        cpu.encode(encoder.encode_descriptor(name, help, None, cpu.metric_type())?)?;
        let started = ConstGauge::new(*started);
        let help = "Start of the process, in seconds since the Unix epoch";
        let name = "process_start_time_seconds";
        started.encode(encoder.encode_descriptor(name, help, None, started.metric_type())?)?;
        let files_max = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let gauges = [
            ("process_resident_memory_bytes", "Memory of the process", resident_bytes()),
            ("process_open_fds", "Files and sockets that the process has open", open_files()),
            ("process_max_fds", "Files and sockets that it may have open", files_max),
        ];
        let disk = disk.iter().map(|of| (of.name, of.help, of.gauge.get().unsigned_abs()));
        for (name, help, value) in gauges.into_iter().chain(disk) {
            let gauge = ConstGauge::new(to_gauge(value));
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
