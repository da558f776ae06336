//! Loads a cluster with watches, and prints how fast changes come to them, how soon, and what
//! watches cost.
//!
//! ```sh
//! cargo build --release
//! cargo run --release --example watch_load -- --program target/release/coracle
//! ```
//!
//! It starts servers of its own and plays three parts. In the first, a client writes now and then,
//! and the watches of one connection each see it: how long after the acknowledgement? In the
//! second, many watches see every write of a steady load, and each of them has to be sent every
//! change once and in order. In the third, many watches wait for keys that nobody writes: how much
//! memory does the server have for them?

mod cluster;
mod idle;
mod latency;
mod rush;
mod stream;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use coracle::testing::drill::Failure;

use crate::cluster::Cluster;

/// Loads a cluster with watches.
#[derive(Parser)]
#[command(name = "watch_load")]
struct Options {
    /// The program of the servers
    #[arg(long, value_name = "BINARY")]
    program: PathBuf,
    /// Servers
    #[arg(long, value_name = "N", default_value_t = 3)]
    servers: u64,
    /// Watches are at a server that does not lead
    #[arg(long)]
    follower: bool,
    /// Writes of the first part, of which each is seen before the next one is sent
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    single_writes: u64,
    /// Watches of the second part
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    watches: u64,
    /// Writes a second of the second part
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    rate: u64,
    /// Time of the second part
    #[arg(long, value_name = "S", default_value_t = 10)]
    seconds: u64,
    /// Bytes of a value
    #[arg(long, value_name = "B", default_value_t = 16)]
    value_bytes: usize,
    /// Watches of the third part
    #[arg(long, value_name = "N", default_value_t = 9_000)]
    idle: u64,
    /// Text before the list of servers in servers.toml
    #[arg(long, value_name = "TOML", default_value = "")]
    settings: String,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("watch_load: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Failure> {
    let mut cluster = Cluster::start(&options.program, options.servers, &options.settings)?;
    let leader = cluster.fleet.wait_for_leader()?;
    cluster.wait_for_revisions()?;
    let watched = match options.follower {
        true => cluster.fleet.ids().into_iter().find(|id| *id != leader).unwrap_or(leader),
        false => leader,
    };
    println!(
        "servers {}, watches at {}",
        options.servers,
        match watched == leader {
            true => "the leader",
            false => "a follower",
        }
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if options.single_writes > 0 {
        let part = latency::play(&cluster, leader, watched, options.single_writes);
        println!("{}", runtime.block_on(part)?);
    }
    if options.watches > 0 {
        let load = rush::Load {
            watches: options.watches,
            rate: options.rate,
            seconds: options.seconds,
            value_bytes: options.value_bytes,
        };
        println!("{}", runtime.block_on(rush::play(&cluster, leader, watched, load))?);
    }
    if options.idle > 0 {
        println!("{}", runtime.block_on(idle::play(&cluster, watched, options.idle))?);
    }
    cluster.end()
}
