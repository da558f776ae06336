//! Several clients raise one counter, while servers may die.
//!
//! Start `scripts/start_cluster.sh`, then `cargo run --example counter`; kill a server
//! meanwhile. The count is exact all the same: a write whose reply is lost is retried under
//! its number, and executed once.

use std::time::Duration;

use coracle::client::recipes::Counter;
use coracle::client::{Client, Error, Options};

const SERVERS: [&str; 5] =
    ["127.0.0.1:9000", "127.0.0.1:9002", "127.0.0.1:9004", "127.0.0.1:9006", "127.0.0.1:9008"];
const CLIENTS: i64 = 4;
const STEPS: i64 = 250;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let options = Options { deadline: Duration::from_secs(30), ..Options::default() };
    let mut client = Client::connect(SERVERS, options).await?;
    let mut counter = Counter::new("counter")?;
    let before = counter.get(&mut client).await?;

    futures_util::future::try_join_all((0..CLIENTS).map(|_| count(options))).await?;

    let after = counter.get(&mut client).await?;
    println!("counted from {before} to {after}");
    assert_eq!(after - before, CLIENTS * STEPS, "unless another counter runs beside this one");
    Ok(())
}

/// Raises the counter `STEPS` times.
async fn count(options: Options) -> Result<(), Error> {
    let mut client = Client::connect(SERVERS, options).await?;
    let mut counter = Counter::new("counter")?;
    for _ in 0..STEPS {
        counter.add(&mut client, 1).await?;
    }
    // A name that the servers do not hear of again is forgotten after an hour.
    let _ = client.close().await;
    Ok(())
}
