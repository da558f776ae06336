//! A job that must not run twice at the same time.
//!
//! Start `scripts/start_cluster.sh`, then `cargo run --example lock` in several windows: they work
//! one after the other, in the order in which they were started. Kill servers, or a window; stop
//! one that works with Ctrl-Z for longer than five seconds, let it go on with `fg`, and see its
//! write refused.

use std::time::Duration;

use coracle::client::recipes::Lock;
use coracle::client::{Client, Error, Options, Transaction};

const SERVERS: [&str; 5] =
    ["127.0.0.1:9000", "127.0.0.1:9002", "127.0.0.1:9004", "127.0.0.1:9006", "127.0.0.1:9008"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut client = Client::connect(SERVERS, Options::default()).await?;
    let own = format!("process {}", std::process::id());
    let lock = Lock::new("locks/job")?.seconds(5).holder(own.as_bytes());
    if let Some(holder) = lock.holder_of(&mut client).await? {
        println!("waiting; {} works", String::from_utf8_lossy(&holder));
    }
    let guard = lock.acquire(&mut client).await?;
    println!("holding the lock, with token {}", guard.token());
    for step in 1..=10 {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            lost = guard.lost() => println!("the lock may be lost: {lost}"),
        }
        // Right even when the lock was lost and nobody has noticed: then nothing is written.
        let value = format!("{own}, step {step}");
        let write = Transaction::new().fence(guard.fence()).set("job", 0, value.as_bytes());
        match client.transaction(write).await {
            Ok(committed) => println!("step {step}, written at revision {}", committed.revision),
            Err(Error::Aborted { .. }) => {
                println!("step {step} was refused: somebody else holds the lock");
                return client.close().await;
            }
            Err(error) => return Err(error),
        }
    }
    guard.release().await?;
    println!("released");
    client.close().await
}
