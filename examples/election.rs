//! Several processes of which one leads, and all of which know it.
//!
//! Start `scripts/start_cluster.sh`, then `cargo run --example election -- NAME` in several
//! windows. End the leader with Ctrl-C or with `kill -9`, and kill servers: there is one leader at
//! a time, and it is the one that came first of those who live.

use coracle::client::recipes::Election;
use coracle::client::{Client, Error, Options};

const SERVERS: [&str; 5] =
    ["127.0.0.1:9000", "127.0.0.1:9002", "127.0.0.1:9004", "127.0.0.1:9006", "127.0.0.1:9008"];

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let name = std::env::args().nth(1).unwrap_or_else(|| std::process::id().to_string());
    let mut client = Client::connect(SERVERS, Options::default()).await?;
    let election = Election::new("elections/example")?.seconds(5);
    let mut observer = election.observe(&client).await?;
    let observe = async {
        loop {
            match observer.next().await? {
                Some(leader) => {
                    let value = String::from_utf8_lossy(&leader.value).into_owned();
                    println!("{value} leads, with token {}", leader.fence.token);
                }
                None => println!("nobody leads"),
            }
        }
    };
    let lead = async {
        let interrupted = async { tokio::signal::ctrl_c().await.unwrap_or_default() };
        let elected = election.campaign_until(&mut client, name.as_bytes(), interrupted).await?;
        let Some(leadership) = elected else { return Ok(()) };
        println!("this process leads until Ctrl-C");
        tokio::select! {
            lost = leadership.lost() => println!("the leadership may be lost: {lost}"),
            _ = tokio::signal::ctrl_c() => println!("resigned: {}", leadership.resign().await?),
        }
        Ok(())
    };
    tokio::select! {
        ended = lead => ended,
        failed = observe => failed,
    }
}
