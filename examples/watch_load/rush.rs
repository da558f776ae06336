//! Many watches that see every write of a steady load.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use coracle::testing::drill::Failure;
use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep_until, timeout};

use crate::cluster::{Cluster, cpu_time};
use crate::stream::{BUFFER_BYTES, Stream};

/// The load of this part.
#[derive(Clone, Copy)]
pub struct Load {
    pub watches: u64,
    /// Writes a second.
    pub rate: u64,
    pub seconds: u64,
    pub value_bytes: usize,
}

/// The pause between two bursts of writes.
const BEAT: Duration = Duration::from_millis(5);
/// The time that the watches may need after the last write, in which a broken run ends.
const PATIENCE: Duration = Duration::from_secs(120);

/// Writes for some time, and returns the figures once every watch has seen every change.
pub async fn play(
    cluster: &Cluster,
    leader: u64,
    watched: u64,
    load: Load,
) -> Result<String, Failure> {
    let address = cluster.address(watched);
    let mut streams = Vec::new();
    for _ in 0..load.watches {
        streams.push(Stream::begin(&address, "prefix r").await?);
    }
    let writes = load.rate * load.seconds;
    let cpu_before = (cluster.cpu_time(watched)?, cpu_time(std::process::id())?);
    let began = Instant::now();
    let acked_at = Rc::new(Cell::new(began));
    let buffer = Rc::new(RefCell::new(vec![0; BUFFER_BYTES]));
    let read = try_join_all(streams.into_iter().map(|mut stream| {
        let buffer = Rc::clone(&buffer);
        async move {
            while stream.events < writes || stream.ended < stream.first + writes - 1 {
                // Nobody else runs between the end of a wait and that of the read.
                stream.wait().await?;
                stream.take_ready(&mut buffer.borrow_mut())?;
            }
            Ok::<_, Failure>((stream.events, Instant::now()))
        }
    }));
    let write = write(cluster.address(leader), load, Rc::clone(&acked_at));
    let (seen, ()) = timeout(Duration::from_secs(load.seconds) + PATIENCE, async {
        tokio::try_join!(read, write)
    })
    .await
    .map_err(|_| Failure::new("not every watch has seen every change in time"))??;
    let events: u64 = seen.iter().map(|(events, _)| events).sum();
    let ended = seen.iter().map(|(_, at)| *at).max().unwrap_or(began);
    let time = (ended - began).as_secs_f64();
    let behind = ended.saturating_duration_since(acked_at.get());
    let server = cluster.cpu_time(watched)?.saturating_sub(cpu_before.0).as_secs_f64();
    let own = cpu_time(std::process::id())?.saturating_sub(cpu_before.1).as_secs_f64();
    Ok(format!(
        "fan-out: {} watches saw {writes} changes each, once and in order: {events} events in \
         {time:.2} s, {:.0} a second; the last one {} ms after the last acknowledgement; CPU of \
         the server {:.0} %, of this program {:.0} %",
        load.watches,
        events as f64 / time,
        behind.as_millis(),
        100.0 * server / time,
        100.0 * own / time
    ))
}

/// Sends the writes in bursts, over one connection, and takes the acknowledgements.
async fn write(address: String, load: Load, acked_at: Rc<Cell<Instant>>) -> Result<(), Failure> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut input, mut output) = stream.into_split();
    let writes = load.rate * load.seconds;
    let value = "v".repeat(load.value_bytes);
    let send = async move {
        let (began, mut sent) = (tokio::time::Instant::now(), 0);
        let mut beat = began;
        while sent < writes {
            beat += BEAT;
            sleep_until(beat).await;
            let due = (load.rate as f64 * (beat - began).as_secs_f64()) as u64;
            let mut text = String::new();
            while sent < due.min(writes) {
                text += &format!("set r{} 0 {}\r\n{value}\r\n", sent % 1000, load.value_bytes);
                sent += 1;
            }
            output.write_all(text.as_bytes()).await?;
        }
        // The connection stays open until the acknowledgements have come.
        Ok::<_, Failure>(output)
    };
    let take = async move {
        let (mut buffer, mut acked) = (vec![0; 16 * 1024], 0);
        while acked < writes {
            let read = input.read(&mut buffer).await?;
            if read == 0 || buffer[..read].windows(4).any(|bytes| bytes == b"ERR_") {
                return Err(Failure::new("a write was not acknowledged"));
            }
            acked += buffer[..read].iter().filter(|byte| **byte == b'\n').count() as u64;
            acked_at.set(Instant::now());
        }
        Ok(())
    };
    tokio::try_join!(send, take)?;
    Ok(())
}
