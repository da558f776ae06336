//! The disk of a data directory: its room, and how fast it makes appended bytes durable.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::fs::statvfs;

use super::super::facts::{Disk, Fsync, Local};

/// Number of appends that are measured.
const APPENDS: usize = 50;
/// Bytes of one append: a block of the log.
const APPEND_BYTES: usize = 4096;
/// Time after which no further append is begun.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Time after which a disk that has not finished is given up.
const GIVE_UP: Duration = Duration::from_secs(10);

/// Looks at a directory, which need not exist, without measuring its disk.
pub fn look(data_dir: &Path) -> Local {
    Local {
        data_dir: data_dir.to_owned(),
        disk: disk_of(existing(data_dir)).ok(),
        log_bytes: bytes_in(&data_dir.join("log")),
        snapshot_bytes: bytes_in(&data_dir.join("snapshot")),
        fsync: Err("it was not measured".into()),
    }
}

/// The directory, or the nearest one above it that exists.
fn existing(data_dir: &Path) -> &Path {
    let above = data_dir.ancestors().filter(|path| !path.as_os_str().is_empty());
    above.into_iter().find(|path| path.is_dir()).unwrap_or(Path::new("."))
}

fn disk_of(directory: &Path) -> io::Result<Disk> {
    let device = fs::metadata(directory)?.dev();
    let disk = statvfs(directory)?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Ok(Disk { device, free_bytes: bytes(disk.f_bavail), bytes: bytes(disk.f_blocks) })
}

/// The sum of the sizes of the files in a directory; 0 when there is none.
fn bytes_in(directory: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let files = entries.filter_map(|entry| entry.ok()?.metadata().ok());
    files.filter(fs::Metadata::is_file).map(|file| file.len()).sum()
}

/// Measures syncs of a file in the directory, or in the nearest one above it that exists. The file
/// has no name any more when it is measured, so that nothing stays, whatever happens.
///
/// # Errors
/// A clause that says why there is no measurement.
pub fn measure(data_dir: &Path) -> Result<Fsync, String> {
    let directory = existing(data_dir).to_owned();
    let (sender, receiver) = mpsc::channel();
    // A thread of its own: nothing ends a call to a disk that does not answer.
    std::thread::spawn(move || {
        let times = times(&directory).map_err(|error| format!("{}: {error}", directory.display()));
        // Nobody waits any more when it took too long.
        let _ = sender.send(times);
    });
    match receiver.recv_timeout(GIVE_UP) {
        Ok(times) => times.map(summary),
        Err(_) => Err(format!("the disk has not finished within {} s", GIVE_UP.as_secs())),
    }
}

fn times(directory: &Path) -> io::Result<Vec<Duration>> {
    let path = directory.join(format!("doctor.{}", std::process::id()));
    let mut file = File::create_new(&path)?;
    fs::remove_file(&path)?;
    let block = [0x5a; APPEND_BYTES];
    let start = Instant::now();
    let mut times = Vec::with_capacity(APPENDS);
    while times.len() < APPENDS && start.elapsed() < TIME_MAX {
        let before = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.push(before.elapsed());
    }
    Ok(times)
}

fn summary(mut times: Vec<Duration>) -> Fsync {
    times.sort_unstable();
    let count = times.len();
    let at = |per_cent: usize| {
        let rank = (per_cent * count).div_ceil(100).max(1);
        times.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    Fsync { count, p50_ms: at(50), p99_ms: at(99) }
}

#[cfg(test)]
mod tests;
