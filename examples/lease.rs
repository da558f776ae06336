//! A service that registers itself for as long as it lives.
//!
//! Start `scripts/start_cluster.sh`, then `cargo run --example lease -- NAME` in several windows.
//! Each prints who is there. End one with Ctrl-C, and another one with `kill -9`: the first is gone
//! at once, the second after ten seconds. Killed servers change nothing.

use coracle::client::recipes::Cache;
use coracle::client::{Client, Error, Options};

const SERVERS: [&str; 5] =
    ["127.0.0.1:9000", "127.0.0.1:9002", "127.0.0.1:9004", "127.0.0.1:9006", "127.0.0.1:9008"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let name = std::env::args().nth(1).unwrap_or_else(|| std::process::id().to_string());
    let mut client = Client::connect(SERVERS, Options::default()).await?;
    let lease = client.lease(10).await?;
    client.set_with_lease(format!("services/{name}"), 0, b"here", lease.id()).await?;
    let mut services = Cache::load(&client, "services/").await?;
    let mut printed = Vec::new();
    loop {
        let view = services.view();
        let names = view.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned());
        let names: Vec<String> = names.collect();
        if names != printed {
            println!("there are: {}", names.join(" "));
            printed = names;
        }
        tokio::select! {
            changed = services.changed() => changed?,
            lost = lease.lost() => {
                println!("not registered for certain any more: {lost}");
                return Ok(());
            }
            _ = tokio::signal::ctrl_c() => {
                lease.revoke().await?;
                return client.close().await;
            }
        }
    }
}
