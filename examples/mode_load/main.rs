//! Loads the servers of a running cluster with reads and writes in a mode, and prints their rate
//! and latencies (docs/adr/0031).
//!
//! ```sh
//! cargo run --release --example mode_load -- --mode any --reads-percent 100 127.0.0.1:9000 ...
//! ```
//!
//! Each connection stays with one of the given servers, whether that leads or not, and sends its
//! next command when it has the reply to the one before. Give only the servers that do not lead to
//! measure those.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;

/// Loads the servers of a running cluster with reads and writes in a mode.
#[derive(Clone, Parser)]
#[command(name = "mode_load")]
struct Options {
    /// Addresses of servers
    #[arg(required = true, value_name = "HOST:PORT")]
    servers: Vec<String>,
    /// Mode of the connections: leader, any or stale
    #[arg(long, default_value = "any")]
    mode: String,
    /// Connections
    #[arg(long, value_name = "N", default_value_t = 16)]
    connections: usize,
    /// Percentage of reads among the commands
    #[arg(long, value_name = "P", default_value_t = 100)]
    reads_percent: usize,
    /// Time to load
    #[arg(long, value_name = "S", default_value_t = 5)]
    duration_s: u64,
    /// Pause of each connection between two commands
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pause_ms: u64,
}

/// One connection.
struct Client {
    stream: BufReader<TcpStream>,
    line: String,
}

impl Client {
    fn open(address: &str, mode: &str) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut client = Client { stream: BufReader::new(stream), line: String::new() };
        client.ask(format!("mode {mode}\r\n").as_bytes())?;
        Ok(client)
    }

    /// Sends a command, and reads its reply to the end.
    fn ask(&mut self, command: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(command)?;
        self.line.clear();
        self.stream.read_line(&mut self.line)?;
        if self.line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if self.line.starts_with("ERR_") && !self.line.starts_with("ERR_NOT_FOUND") {
            return Err(io::Error::other(self.line.trim_end().to_owned()));
        }
        if let Some(length) = self.line.strip_prefix("VALUE ") {
            let length: u64 = length.trim_end().parse().map_err(io::Error::other)?;
            io::copy(&mut self.stream.by_ref().take(length + 2), &mut io::sink())?;
        }
        Ok(())
    }
}

/// Loads one server until the time is over. Returns the latency of each command.
fn load(options: &Options, number: usize, end: Instant) -> io::Result<Vec<Duration>> {
    let address = &options.servers[number % options.servers.len()];
    let mut client = Client::open(address, &options.mode)?;
    let (write, read) = (
        format!("set mode_load:{number} 0 16\r\n0123456789abcdef\r\n"),
        format!("get mode_load:{number}\r\n"),
    );
    client.ask(write.as_bytes())?;
    let mut latencies = Vec::new();
    for turn in number.. {
        let began_at = Instant::now();
        if began_at >= end {
            break;
        }
        // Spread evenly, and differently for each connection.
        let is_read = turn * 61 % 100 < options.reads_percent;
        client.ask(if is_read { read.as_bytes() } else { write.as_bytes() })?;
        latencies.push(began_at.elapsed());
        if options.pause_ms > 0 {
            std::thread::sleep(Duration::from_millis(options.pause_ms));
        }
    }
    Ok(latencies)
}

fn main() -> ExitCode {
    let options = Options::parse();
    let end = Instant::now() + Duration::from_secs(options.duration_s);
    let threads: Vec<_> = (0..options.connections)
        .map(|number| {
            let options = options.clone();
            std::thread::spawn(move || load(&options, number, end))
        })
        .collect();
    let mut latencies = Vec::new();
    for thread in threads {
        match thread.join().expect("a connection does not panic") {
            Ok(more) => latencies.extend(more),
            Err(error) => {
                eprintln!("a connection has failed: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    latencies.sort_unstable();
    let Some(last) = latencies.last() else {
        eprintln!("no command was answered in time");
        return ExitCode::FAILURE;
    };
    let quantile = |of: usize| latencies[latencies.len() * of / 1000].as_micros();
    println!(
        "{} commands, {} a second; us: p50 {} p99 {} p99.9 {} max {}",
        latencies.len(),
        latencies.len() as u64 / options.duration_s.max(1),
        quantile(500),
        quantile(990),
        quantile(999),
        last.as_micros()
    );
    ExitCode::SUCCESS
}
