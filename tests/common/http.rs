//! Questions to the HTTP ports of servers, in bytes of our own making.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;

use coracle::testing::drill::free_ports;

use super::{Cluster, PATIENCE};

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    /// The headers, by names in small letters.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// The HTTP port of each server.
pub struct HttpPorts(BTreeMap<u64, u16>);

impl HttpPorts {
    /// Free ports for the servers of a cluster.
    pub fn draw(cluster: &Cluster) -> HttpPorts {
        let ids = cluster.ids();
        let ports = free_ports(ids.len()).expect("ports are free");
        HttpPorts(ids.into_iter().zip(ports).collect())
    }

    /// Starts a server of the cluster with its port.
    pub fn start_server(&self, cluster: &mut Cluster, id: u64) {
        let address = format!("127.0.0.1:{}", self.port(id));
        cluster.start_server_with(id, &["--http-listen", &address]);
    }

    /// Starts all servers of the cluster.
    pub fn start_all(&self, cluster: &mut Cluster) {
        for id in cluster.ids() {
            self.start_server(cluster, id);
        }
    }

    pub fn port(&self, id: u64) -> u16 {
        self.0[&id]
    }

    /// Asks a server for a path; `None` when it does not answer.
    pub fn get(&self, id: u64, path: &str) -> Option<Answer> {
        ask(self.port(id), &format!("GET {path} HTTP/1.1\r\nHost: a\r\n")).ok()
    }

    /// The status of a server's answer; 0 when there is none.
    pub fn status(&self, id: u64, path: &str) -> u16 {
        self.get(id, path).map_or(0, |answer| answer.status)
    }

    /// The value of a time series, whose name has its labels; `None` when it is not printed.
    pub fn series(&self, id: u64, name: &str) -> Option<f64> {
        value_of(&self.get(id, "/metrics")?.body, name)
    }
}

/// The value of a time series in a text of metrics.
pub fn value_of(text: &str, name: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(value)
}

/// Sends the first lines of a request, and reads the answer to its end.
pub fn ask(port: u16, head: &str) -> io::Result<Answer> {
    exchange(port, format!("{head}Connection: close\r\n\r\n").as_bytes())
}

/// Sends a request that asks for the end of the connection, and reads the answer to its end.
pub fn exchange(port: u16, request: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    parse(&text).ok_or_else(|| io::Error::other(format!("this is no answer: {text:?}")))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    };
    Some(Answer { status, headers: lines.filter_map(header).collect(), body: body.to_owned() })
}
