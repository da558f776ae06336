//! A script without a runtime of its own: the blocking client.
//!
//! Start `scripts/start_cluster.sh`, then `cargo run --example blocking`.

use std::time::Duration;

use coracle::client::blocking::{Client, Counter, Lock};
use coracle::client::{Error, Options, Transaction, WatchSpec};

const SERVERS: [&str; 5] =
    ["127.0.0.1:9000", "127.0.0.1:9002", "127.0.0.1:9004", "127.0.0.1:9006", "127.0.0.1:9008"];

fn main() -> Result<(), Error> {
    let mut client = Client::connect(SERVERS, Options::default())?;
    let lock = Lock::new("locks/script")?;
    let Some(guard) = lock.acquire_within(&mut client, Duration::from_secs(5))? else {
        println!("somebody else runs this script");
        return Ok(());
    };
    let runs = Counter::new("script/runs")?.add(&mut client, 1)?;
    let text = format!("run {runs}");
    let write = Transaction::new().fence(guard.fence()).set("script/last", 0, text.as_bytes());
    let revision = client.transaction(write)?.revision;
    println!("{text}, written at revision {revision}");
    let mut watch = client.watch(WatchSpec::key("script/last")?.from(revision))?;
    if let Some(changes) = watch.next_within(Duration::from_secs(5)) {
        println!("and seen by a watch at revision {}", changes?.revision);
    }
    guard.release()?;
    client.close()
}
