//! Settings that a program reads from memory, and that are always those of one moment.
//!
//! Start `scripts/start_cluster.sh`, then `cargo run --example cache`. It prints the settings
//! whenever they change: write some with `coracle set settings/color blue`, and kill servers.

use coracle::client::recipes::Cache;
use coracle::client::{Client, Error, Options};

const SERVERS: [&str; 5] =
    ["127.0.0.1:9000", "127.0.0.1:9002", "127.0.0.1:9004", "127.0.0.1:9006", "127.0.0.1:9008"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut client = Client::connect(SERVERS, Options::default()).await?;
    let mut settings = Cache::load(&client, "settings/").await?;
    let revision = client.set("settings/started", 0, b"just now").await?;
    // The copy trails the store; so one's own write is waited for.
    settings.wait_for(revision).await?;
    client.close().await?;
    let mut printed = Vec::new();
    loop {
        let view = settings.view();
        let lines = view.iter().map(|(key, item)| {
            let (key, value) = (String::from_utf8_lossy(key), String::from_utf8_lossy(&item.value));
            format!("  {key} = {value}, since revision {}", item.version)
        });
        let lines: Vec<String> = lines.collect();
        if lines != printed {
            println!("at revision {}:\n{}", view.revision(), lines.join("\n"));
            printed = lines;
        }
        settings.changed().await?;
    }
}
