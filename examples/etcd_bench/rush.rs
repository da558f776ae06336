//! Many watches that see every write of a steady load, as `examples/watch_load` has them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::sync::Semaphore;
use tokio::time::{sleep_until, timeout};

use crate::grpc::{Channel, Fault};

/// The load.
#[derive(Clone, Copy)]
pub struct Load {
    pub watches: u64,
    /// Writes a second.
    pub rate: u64,
    pub seconds: f64,
    pub value_bytes: usize,
}

/// The pause between two bursts of writes.
const BEAT: Duration = Duration::from_millis(5);
/// The time that the watches may need after the last write, in which a broken run ends.
const PATIENCE: Duration = Duration::from_secs(120);
/// Number of writes in flight: an HTTP/2 server need not take more than 100 calls at a time.
const WRITES_MAX: usize = 100;

/// Writes for some time, and returns the figures once every watch has seen every change.
pub async fn play(endpoint: &str, load: Load) -> Result<String, Fault> {
    let mut watches = Vec::new();
    for _ in 0..load.watches {
        watches.push(Channel::connect(endpoint).await?.watch(b"r").await?);
    }
    let writes = (load.rate as f64 * load.seconds) as u64;
    let began = Instant::now();
    let acked_at = Rc::new(Cell::new(began));
    let read = try_join_all(watches.into_iter().map(async |mut watch| {
        let (mut events, mut last) = (0, 0);
        while events < writes {
            for revision in watch.next().await? {
                if revision <= last {
                    return Err(Fault("a watch repeats a change"));
                }
                last = revision;
                events += 1;
            }
        }
        Ok((events, Instant::now()))
    }));
    let write = write(endpoint, load, writes, Rc::clone(&acked_at));
    let limit = Duration::from_secs_f64(load.seconds) + PATIENCE;
    let (seen, ()) = timeout(limit, async { tokio::try_join!(read, write) })
        .await
        .map_err(|_| Fault("not every watch has seen every change in time"))??;
    let events: u64 = seen.iter().map(|(events, _)| events).sum();
    let ended = seen.iter().map(|(_, at)| *at).max().unwrap_or(began);
    let time = (ended - began).as_secs_f64();
    Ok(format!(
        "fan-out: {} watches saw {writes} changes each: {events} events in {time:.2} s, {:.0} a \
         second; the last one {} ms after the last acknowledgement\n",
        load.watches,
        events as f64 / time,
        ended.saturating_duration_since(acked_at.get()).as_millis()
    ))
}

/// Sends the writes in bursts over one connection.
async fn write(
    endpoint: &str,
    load: Load,
    writes: u64,
    acked_at: Rc<Cell<Instant>>,
) -> Result<(), Fault> {
    let channel = Channel::connect(endpoint).await?;
    let value = vec![b'v'; load.value_bytes];
    let room = Semaphore::new(WRITES_MAX);
    let began = tokio::time::Instant::now();
    let put = async |number: u64| {
        let due = Duration::from_secs_f64(number as f64 / load.rate as f64);
        let bursts = due.as_millis() / BEAT.as_millis() + 1;
        sleep_until(began + BEAT * bursts as u32).await;
        let _place = room.acquire().await.map_err(|_| Fault("the load has ended"))?;
        let key = format!("r{:07}", number % 1000);
        let key = key.as_bytes().try_into().map_err(|_| Fault("a key has 8 bytes"))?;
        channel.clone().put(key, &value).await?;
        acked_at.set(Instant::now());
        Ok(())
    };
    try_join_all((0..writes).map(put)).await.map(drop)
}
