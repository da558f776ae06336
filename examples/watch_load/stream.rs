//! One watch, read with as little work as possible: a million events a second come to this program
//! on the processors that the servers run on.

use std::io;

use coracle::testing::drill::Failure;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// A watch of all keys that begin with a prefix.
pub struct Stream {
    stream: TcpStream,
    /// The line that has come in part.
    rest: Vec<u8>,
    /// The first revision whose changes are sent.
    pub first: u64,
    /// The last revision whose end has come.
    pub ended: u64,
    /// Number of keys that were written, and whose events have come.
    pub events: u64,
    /// The revision of the event before an end.
    open: Option<u64>,
}

/// Size of the buffer that all streams read into.
pub const BUFFER_BYTES: usize = 256 * 1024;

impl Stream {
    /// Begins a watch of `keys`, `key <key>` or `prefix <prefix>`, from now on.
    pub async fn begin(address: &str, keys: &str) -> Result<Stream, Failure> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(format!("watch {keys}\r\n").as_bytes()).await?;
        let rest = Vec::new();
        let mut begun = Stream { stream, rest, first: 0, ended: 0, events: 0, open: None };
        let mut buffer = vec![0; 1024];
        while begun.first == 0 {
            begun.read(&mut buffer).await?;
        }
        Ok(begun)
    }

    /// Waits for bytes, and takes what has come.
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        self.wait().await?;
        self.take_ready(buffer)
    }

    /// Waits until bytes have come.
    pub async fn wait(&self) -> Result<(), Failure> {
        Ok(self.stream.readable().await?)
    }

    /// Takes the bytes that have come. Each revision has one change, of a key whose value has no
    /// line end.
    pub fn take_ready(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        loop {
            match self.stream.try_read(buffer) {
                Ok(0) => return Err(Failure::new("the server has ended a watch")),
                Ok(read) => self.take(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), Failure> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            if self.rest.is_empty() {
                self.take_line(&bytes[..end])?;
            } else {
                let mut line = std::mem::take(&mut self.rest);
                line.extend_from_slice(&bytes[..end]);
                self.take_line(&line)?;
            }
            bytes = &bytes[end + 1..];
        }
        self.rest.extend_from_slice(bytes);
        Ok(())
    }

    fn take_line(&mut self, line: &[u8]) -> Result<(), Failure> {
        let wrong = || {
            let line = line.escape_ascii();
            Failure::new(format!("a watch got \"{line}\" after revision {}", self.ended))
        };
        if let Some(rest) = line.strip_prefix(b"SET ") {
            let revision = rest.split(|byte| *byte == b' ').nth(1).and_then(number);
            let expected = self.ended.max(self.first.saturating_sub(1)) + 1;
            if self.open.is_some() || revision != Some(expected) {
                return Err(wrong());
            }
            self.open = revision;
            self.events += 1;
        } else if let Some(rest) = line.strip_prefix(b"END ") {
            let revision = number(rest.trim_ascii_end()).ok_or_else(wrong)?;
            if self.open.take().is_some_and(|open| open != revision) || revision < self.ended {
                return Err(wrong());
            }
            self.ended = revision;
        } else if let Some(rest) = line.strip_prefix(b"WATCHING ") {
            self.first = number(rest.trim_ascii_end()).ok_or_else(wrong)?;
        } else if line.starts_with(b"ERR_") {
            return Err(wrong());
        }
        Ok(())
    }
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
