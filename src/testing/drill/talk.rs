//! Single commands as text.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::PATIENCE;

/// Sends a command as text to a server; returns the reply, one line. `None` without a reply.
pub fn say(address: &str, command: &str) -> Option<String> {
    let mut reply = send(address, command)?;
    line(&mut reply)
}

/// Sends a command with a reply of many lines as text to a server; returns the lines before `END`.
/// `None` without a whole reply.
pub(super) fn say_for_lines(address: &str, command: &str) -> Option<Vec<String>> {
    let mut reply = send(address, command)?;
    let mut lines = Vec::new();
    loop {
        let line = line(&mut reply)?;
        if line == "END" {
            return Some(lines);
        }
        lines.push(line);
    }
}

fn send(address: &str, command: &str) -> Option<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
    Some(BufReader::new(stream))
}

fn line(reply: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = String::new();
    reply.read_line(&mut line).ok()?;
    let line = line.trim_end();
    (!line.is_empty()).then(|| line.to_owned())
}
