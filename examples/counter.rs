//! Several clients raise one counter by compare-and-swap, while servers may die.
//!
//! Start `scripts/start_cluster.sh`, then `cargo run --example counter`; kill a server
//! meanwhile. The count is exact all the same: a write whose reply is lost is retried under
//! its number, and executed once.

use std::time::Duration;

use coracle::client::{Client, Error, Options};

const SERVERS: [&str; 5] =
    ["127.0.0.1:9000", "127.0.0.1:9002", "127.0.0.1:9004", "127.0.0.1:9006", "127.0.0.1:9008"];
const CLIENTS: u64 = 4;
const STEPS: u64 = 250;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let options = Options { deadline: Duration::from_secs(30), ..Options::default() };
    let mut client = Client::connect(SERVERS, options).await?;
    let before = read(&mut client).await?.0;

    let counting = (0..CLIENTS).map(|_| count(options));
    let retries: u64 = futures_util::future::try_join_all(counting).await?.iter().sum();

    let after = read(&mut client).await?.0;
    println!("counted from {before} to {after}; {retries} times another client was faster");
    assert_eq!(after - before, CLIENTS * STEPS, "unless another counter runs beside this one");
    Ok(())
}

/// Raises the counter `STEPS` times; returns the number of times that it had to try again.
async fn count(options: Options) -> Result<u64, Error> {
    let mut client = Client::connect(SERVERS, options).await?;
    let mut retries = 0;
    for _ in 0..STEPS {
        loop {
            let (count, version) = read(&mut client).await?;
            let next = (count + 1).to_string();
            match client.cas("counter", 0, version, next.as_bytes()).await {
                Ok(_) => break,
                Err(Error::VersionMismatch { .. }) => retries += 1,
                Err(error) => return Err(error),
            }
        }
    }
    // A name that the servers do not hear of again is forgotten after an hour.
    let _ = client.close().await;
    Ok(retries)
}

/// The count and its version; an absent counter is 0 at version 0.
async fn read(client: &mut Client) -> Result<(u64, u64), Error> {
    match client.getm("counter").await {
        Ok(item) => {
            let count = String::from_utf8_lossy(&item.value).parse();
            Ok((count.expect("nothing but counters write this key"), item.version))
        }
        Err(Error::NotFound) => Ok((0, 0)),
        Err(error) => Err(error),
    }
}
