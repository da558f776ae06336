//! Many watches for which nothing happens.

use coracle::testing::drill::Failure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::Cluster;
use crate::stream::Stream;

/// Opens connections and then as many watches, and returns what they cost.
pub async fn play(cluster: &Cluster, watched: u64, count: u64) -> Result<String, Failure> {
    let address = cluster.address(watched);
    let before = cluster.resident_bytes(watched)?;
    let mut idle = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(b"ping\r\n").await?;
        stream.read_exact(&mut [0; 6]).await?;
        idle.push(stream);
    }
    let connections = cluster.resident_bytes(watched)?.saturating_sub(before);
    // The allocator keeps what they had, so the watches are counted on top of connections.
    for stream in &mut idle {
        stream.write_all(b"watch key never\r\n").await?;
    }
    for stream in &mut idle {
        let mut begun = [0; 9];
        stream.read_exact(&mut begun).await?;
        if &begun != b"WATCHING " {
            return Err(Failure::new("a watch did not begin"));
        }
    }
    let watches = cluster.resident_bytes(watched)?.saturating_sub(before);
    drop(idle);
    let mut distinct = Vec::new();
    for number in 0..count {
        distinct.push(Stream::begin(&address, &format!("key idle-{number}")).await?);
    }
    let distinct_bytes = cluster.resident_bytes(watched)?.saturating_sub(before);
    Ok(format!(
        "idle: {count} connections cost {} bytes each; with a watch of one key {} bytes, with \
         watches of a key each {} bytes: {} MB together",
        connections / count,
        watches / count,
        distinct_bytes / count,
        distinct_bytes / 1_000_000
    ))
}
