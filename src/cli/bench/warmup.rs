//! The preparation of a load: finds the leader, and writes the keys that are to be read.

use std::cell::Cell;
use std::io;
use std::time::Duration;

use coracle::client::status_of;
use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Input, Malformed, Outcome};
use super::workload::Workload;
use crate::cli::failure::Failure;
use crate::cli::output::LoadBar;

/// The pause between two looks for a leader.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// Number of bytes in flight while the keys are written.
const FILL_BYTES: usize = 64 * 1024;

/// Asks all servers until one says that it leads, and returns its address. One answer is waited
/// for no longer than `patience`.
async fn find_leader(servers: &[String], patience: Duration) -> String {
    loop {
        let asked = servers.iter().map(async |address| {
            let status = status_of(address, patience).await.ok()?;
            let leads = status.get("role") == Some("leader");
            leads.then(|| (status.number("term"), address.clone()))
        });
        // A deposed leader may not know it yet, so the highest term counts.
        if let Some((_, leader)) = join_all(asked).await.into_iter().flatten().max() {
            return leader;
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// The times that the preparation takes at most.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Maximum time for one answer of one server.
    pub try_time: Duration,
    /// Maximum time without a leader, or without one that writes keys.
    pub time: Duration,
}

/// The address of a leader that has the keys, if any are to be read.
///
/// # Errors
/// When there is no leader for too long, or none that writes the keys.
pub async fn find_ready_leader(
    servers: &[String],
    patience: Patience,
    workload: &Workload,
    progress: &LoadBar,
) -> Result<String, Failure> {
    let written_at = Cell::new(Instant::now());
    loop {
        progress.waiting("looking for a leader");
        let look = timeout(patience.time, find_leader(servers, patience.try_time)).await;
        let leader =
            look.map_err(|_| Failure::Unavailable("no server says that it leads".to_owned()))?;
        if !workload.has_reads() {
            return Ok(leader);
        }
        let Err(error) = fill(&leader, workload, progress, (&written_at, patience.time)).await
        else {
            return Ok(leader);
        };
        // The writes fail when the leader has just lost its leadership.
        if written_at.get().elapsed() >= patience.time {
            return Err(Failure::Unavailable(format!(
                "{leader} leads, and does not write the keys that are to be read: {error}"
            )));
        }
        sleep(LOOK_INTERVAL).await;
    }
}

/// Writes every key once, unless the last of them is there, and notes when some were written.
///
/// # Errors
/// When the leader does not write some of them in time.
async fn fill(
    leader: &str,
    workload: &Workload,
    progress: &LoadBar,
    (written_at, time): (&Cell<Instant>, Duration),
) -> io::Result<()> {
    let in_time = |_| io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {time:?}"));
    let mut stream = timeout(time, TcpStream::connect(leader)).await.map_err(in_time)??;
    stream.set_nodelay(true)?;
    let mut input = Input::default();
    let mut output = Vec::new();
    workload.put_read(workload.keys() - 1, &mut output);
    let last = exchange(&mut stream, &mut input, &output, 1);
    if timeout(time, last).await.map_err(in_time)?? {
        return Ok(());
    }
    let mut key = 0;
    while key < workload.keys() {
        output.clear();
        let first = key;
        while key < workload.keys() && output.len() < FILL_BYTES {
            workload.put_write(key, &mut output);
            key += 1;
        }
        let written = exchange(&mut stream, &mut input, &output, key - first);
        timeout(time, written).await.map_err(in_time)??;
        written_at.set(Instant::now());
        progress.doing("writing the keys", key, workload.keys());
    }
    Ok(())
}

/// Sends `commands` commands and waits for their replies; true when every key
/// was found.
async fn exchange(
    stream: &mut TcpStream,
    input: &mut Input,
    output: &[u8],
    commands: u64,
) -> io::Result<bool> {
    stream.write_all(output).await?;
    let mut all_found = true;
    let mut answered = 0;
    while answered < commands {
        input.read(stream, None).await?;
        while let Some(outcome) = input.next().map_err(|Malformed| malformed())? {
            answered += 1;
            match outcome {
                Outcome::Done => {}
                Outcome::NotFound => all_found = false,
                Outcome::Failed(..) => {
                    return Err(io::Error::other("it does not lead, or takes no commands"));
                }
            }
        }
    }
    Ok(all_found)
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is no server of ours")
}

#[cfg(test)]
mod tests;
