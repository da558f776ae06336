//! Measures the baseline of a machine: the time of one sync of an overwrite, and of one
//! round trip over the loopback. No system that replicates to disks over sockets is faster.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use hdrhistogram::Histogram;

const SYNCS: u64 = 1000;
const ROUND_TRIPS: u64 = 5000;
/// About the size of a log record with a value of 256 bytes, and of a command.
const BLOCK_BYTES: usize = 300;
const FILE_BYTES: usize = 4 * 1024 * 1024;

/// Measures both, the sync in a new file in `dir`. Returns one line of JSON with the medians
/// in microseconds.
pub fn measure(dir: &Path) -> io::Result<String> {
    let sync_us = measure_sync(dir)?;
    let round_trip_us = measure_round_trip()?;
    Ok(format!("{{\"fdatasync_us\":{sync_us},\"loopback_round_trip_us\":{round_trip_us}}}\n"))
}

fn measure_sync(dir: &Path) -> io::Result<u64> {
    let path = dir.join("floor");
    let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    file.write_all_at(&vec![0; FILE_BYTES], 0)?;
    file.sync_all()?;
    let block = [1; BLOCK_BYTES];
    let median = median_us(SYNCS, |turn| {
        file.write_all_at(&block, turn * BLOCK_BYTES as u64)?;
        file.sync_data()
    });
    std::fs::remove_file(&path)?;
    median
}

fn measure_round_trip() -> io::Result<u64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut near = TcpStream::connect(listener.local_addr()?)?;
    let (mut far, _) = listener.accept()?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let echo = std::thread::spawn(move || -> io::Result<()> {
        let mut block = [0; BLOCK_BYTES];
        for _ in 0..ROUND_TRIPS {
            far.read_exact(&mut block)?;
            far.write_all(&block)?;
        }
        Ok(())
    });
    let mut block = [1; BLOCK_BYTES];
    let median = median_us(ROUND_TRIPS, |_| {
        near.write_all(&block)?;
        near.read_exact(&mut block)
    });
    echo.join().expect("the echo thread does not panic")?;
    median
}

fn median_us(turns: u64, mut turn: impl FnMut(u64) -> io::Result<()>) -> io::Result<u64> {
    let mut histogram = Histogram::<u64>::new(3).expect("three digits are allowed");
    for number in 0..turns {
        let begin = Instant::now();
        turn(number)?;
        histogram.saturating_record(begin.elapsed().as_micros() as u64);
    }
    Ok(histogram.value_at_quantile(0.5))
}
