//! Prints every change of the keys with a prefix, whatever servers die meanwhile.
//!
//! Start `scripts/start_cluster.sh`, then `cargo run --example watch -- PREFIX`, or without a
//! prefix for every key. Write something with `coracle set`, and kill servers: no change is missing
//! and none comes twice.

use coracle::client::{ChangeKind, Client, Error, Options, WatchSpec};

const SERVERS: [&str; 5] =
    ["127.0.0.1:9000", "127.0.0.1:9002", "127.0.0.1:9004", "127.0.0.1:9006", "127.0.0.1:9008"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let prefix = std::env::args().nth(1).unwrap_or_default();
    let client = Client::connect(SERVERS, Options::default()).await?;
    let mut watch = client.watch(WatchSpec::prefix(&prefix)?.with_previous()).await?;
    println!("watching from revision {}", watch.revision() + 1);
    while let Some(changes) = watch.next().await {
        let changes = match changes {
            Ok(changes) => changes,
            Err(Error::Compacted { revision }) => {
                println!("away for too long: read the keys anew, at revision {revision} or later");
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        for change in changes.changes {
            let key = String::from_utf8_lossy(&change.key).into_owned();
            let before = change.previous.map_or("nothing".into(), |previous| {
                format!("{:?}", String::from_utf8_lossy(&previous.value))
            });
            let revision = changes.revision;
            match change.kind {
                ChangeKind::Set { value, .. } => {
                    let value = String::from_utf8_lossy(&value);
                    println!("{revision}: {key} is {value:?} after {before}");
                }
                ChangeKind::Deleted => println!("{revision}: {key} was deleted, after {before}"),
                ChangeKind::Expired => println!("{revision}: {key} has expired, after {before}"),
            }
        }
    }
    Ok(())
}
