//! The time until a watch sees a write, when there is nothing else to do.

use std::time::{Duration, Instant};

use coracle::testing::drill::Failure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::stream::{BUFFER_BYTES, Stream};

/// The pause between two writes, in which the cluster is idle.
const PAUSE: Duration = Duration::from_millis(5);

/// Writes one key after the other, and returns the times from the acknowledgement to the event.
pub async fn play(
    cluster: &Cluster,
    leader: u64,
    watched: u64,
    writes: u64,
) -> Result<String, Failure> {
    let mut watch = Stream::begin(&cluster.address(watched), "prefix l").await?;
    let mut writer = TcpStream::connect(cluster.address(leader)).await?;
    writer.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut after_ack, mut after_send) = (Vec::new(), Vec::new());
    let mut before_ack = 0_u64;
    for number in 0..writes {
        sleep(PAUSE).await;
        let sent_at = Instant::now();
        writer.write_all(format!("set l{number} 0 1\r\nv\r\n").as_bytes()).await?;
        let (mut acked_at, mut seen_at) = (None, None);
        let mut reply = [0; 64];
        while acked_at.is_none() || seen_at.is_none() {
            tokio::select! {
                biased;
                read = writer.read(&mut reply), if acked_at.is_none() => {
                    if !reply[..read?].starts_with(b"OK ") {
                        return Err(Failure::new("a write was not acknowledged"));
                    }
                    acked_at = Some(Instant::now());
                }
                read = watch.read(&mut buffer), if seen_at.is_none() => {
                    read?;
                    if watch.events > number {
                        seen_at = Some(Instant::now());
                    }
                }
            }
        }
        let (Some(acked_at), Some(seen_at)) = (acked_at, seen_at) else { continue };
        before_ack += u64::from(seen_at < acked_at);
        after_ack.push(seen_at.saturating_duration_since(acked_at));
        after_send.push(seen_at - sent_at);
    }
    Ok(format!(
        "latency: {writes} writes, one at a time: an event is there {} after its \
         acknowledgement ({before_ack} were there before it), and {} after the write was sent",
        quantiles(&mut after_ack),
        quantiles(&mut after_send)
    ))
}

fn quantiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(place).copied().unwrap_or_default().as_micros()
    };
    format!("{} us (median; 99th: {} us)", at(50), at(99))
}
