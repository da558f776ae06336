//! Reads replies, trusting nobody: every line, block and list has a bound.

use std::fmt;
use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

use super::SnapshotName;

/// The longest line of a reply, in bytes: it holds any key and any message.
const LINE_BYTES_MAX: u64 = 128 * 1024;
/// The largest value that the protocol can carry, in bytes.
const VALUE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// All values of one page together, in bytes: a server ends a page after a few
/// MiB, or behind its first key.
const PAGE_BYTES_MAX: u64 = 2 * VALUE_BYTES_MAX;
/// Lines of a status.
const STATUS_LINES_MAX: usize = 1_000;

/// A key with its value, as `getm` and `scan` tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The key; empty from `getm`, where it is known.
    pub key: Vec<u8>,
    /// The log index of the write that produced the value.
    pub version: u64,
    /// The whole seconds left, rounded up; 0 for never.
    pub exptime: u64,
    /// The value.
    pub value: Vec<u8>,
}

/// What one `scan` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The keys in byte order.
    pub items: Vec<Item>,
    /// Whether there are further keys.
    pub more: bool,
}

/// One moment of one server: names and values, as it sent them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    lines: Vec<(String, String)>,
}

impl Status {
    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|line| line.0 == name).map(|line| line.1.as_str())
    }

    /// The value of this name, where it is a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// All of them, in the server's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What the command should be answered with, if not with an error.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expect {
    Stored,
    Deleted,
    Value,
    Item,
    Page { limit: u64 },
    Snapshot,
    Status,
}

/// The reply to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Stored { version: u64 },
    Deleted,
    Value(Vec<u8>),
    Item(Item),
    Page(Page),
    Snapshot(SnapshotName),
    Status(Status),
    Error(ErrorReply),
}

/// One of the protocol's errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ErrorReply {
    CmdErr(String),
    TooLarge(String),
    NotFound,
    Version(u64),
    Exists(u64),
    Stale,
    Redirect(String),
    NoLeader,
    Busy,
    Full,
    Timeout,
    /// Also an error that this client does not know: it may have been executed.
    Internal(String),
}

impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorReply::CmdErr(text) => write!(f, "ERR_CMD_ERR {text}"),
            ErrorReply::TooLarge(text) => write!(f, "ERR_TOO_LARGE {text}"),
            ErrorReply::NotFound => f.write_str("ERR_NOT_FOUND"),
            ErrorReply::Version(version) => write!(f, "ERR_VERSION {version}"),
            ErrorReply::Exists(version) => write!(f, "ERR_EXISTS {version}"),
            ErrorReply::Stale => f.write_str("ERR_STALE"),
            ErrorReply::Redirect(address) => write!(f, "ERR_REDIRECT {address}"),
            ErrorReply::NoLeader => f.write_str("ERR_NO_LEADER"),
            ErrorReply::Busy => f.write_str("ERR_BUSY"),
            ErrorReply::Full => f.write_str("ERR_FULL"),
            ErrorReply::Timeout => f.write_str("ERR_TIMEOUT"),
            ErrorReply::Internal(text) => f.write_str(text),
        }
    }
}

/// Why there is no reply. The connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The connection broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It ended.
    #[error("the server closed the connection")]
    Closed,
    /// This is not Coracle's protocol, or beyond its bounds.
    #[error("not a reply to the command: {0:?}")]
    Malformed(String),
}

/// Reads one reply.
pub(super) async fn read_reply<R>(reader: &mut R, expect: Expect) -> Result<Reply, ReadError>
where
    R: AsyncBufRead + Unpin,
{
    let line = read_line(reader).await?;
    if line.starts_with(b"ERR_") {
        return parse_error(&line).map(Reply::Error).ok_or_else(|| malformed(&line));
    }
    match expect {
        Expect::Stored => match fields(&line).as_slice() {
            [b"OK", version] => number(version).map(|version| Reply::Stored { version }),
            _ => None,
        }
        .ok_or_else(|| malformed(&line)),
        Expect::Deleted if line == b"DELETED" => Ok(Reply::Deleted),
        Expect::Deleted => Err(malformed(&line)),
        Expect::Value => {
            let length = match fields(&line).as_slice() {
                [b"VALUE", length] => number(length),
                _ => None,
            };
            let length = length.ok_or_else(|| malformed(&line))?;
            Ok(Reply::Value(read_block(reader, length).await?))
        }
        Expect::Item => {
            let header = match fields(&line).as_slice() {
                [b"VALUE", numbers @ ..] => item_header(numbers),
                _ => None,
            };
            let header = header.ok_or_else(|| malformed(&line))?;
            Ok(Reply::Item(read_item(reader, Vec::new(), header).await?))
        }
        Expect::Snapshot => {
            snapshot_name(&line).map(Reply::Snapshot).ok_or_else(|| malformed(&line))
        }
        Expect::Page { limit } => read_page(reader, line, limit).await.map(Reply::Page),
        Expect::Status => read_status(reader, line).await.map(Reply::Status),
    }
}

fn snapshot_name(line: &[u8]) -> Option<SnapshotName> {
    let fields = fields(line);
    let [b"SNAPSHOT", numbers @ .., digest] = fields.as_slice() else { return None };
    let [index, term, bytes] = numbers else { return None };
    if digest.len() != 32 || !digest.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    Some(SnapshotName {
        last_included_index: number(index)?,
        last_included_term: number(term)?,
        bytes: number(bytes)?,
        digest: u128::from_str_radix(std::str::from_utf8(digest).ok()?, 16).ok()?,
    })
}

async fn read_page<R>(reader: &mut R, first: Vec<u8>, limit: u64) -> Result<Page, ReadError>
where
    R: AsyncBufRead + Unpin,
{
    let mut items: Vec<Item> = Vec::new();
    let mut page_bytes = 0;
    let mut line = first;
    loop {
        let (key, header) = match fields(&line).as_slice() {
            [b"END"] => return Ok(Page { items, more: false }),
            // Without a key there would be nothing to go on behind.
            [b"MORE"] if !items.is_empty() => return Ok(Page { items, more: true }),
            [b"KEY", key, numbers @ ..] => (key.to_vec(), item_header(numbers)),
            _ => return Err(malformed(&line)),
        };
        let header = header.ok_or_else(|| malformed(&line))?;
        page_bytes += header.length;
        if items.len() as u64 == limit || page_bytes > PAGE_BYTES_MAX {
            return Err(malformed(&line));
        }
        items.push(read_item(reader, key, header).await?);
        line = read_line(reader).await?;
    }
}

async fn read_status<R>(reader: &mut R, first: Vec<u8>) -> Result<Status, ReadError>
where
    R: AsyncBufRead + Unpin,
{
    let mut lines = Vec::new();
    let mut line = first;
    while line != b"END" {
        let text = String::from_utf8_lossy(&line);
        let (name, value) = text.split_once(' ').ok_or_else(|| malformed(&line))?;
        if lines.len() == STATUS_LINES_MAX {
            return Err(malformed(&line));
        }
        lines.push((name.to_owned(), value.to_owned()));
        line = read_line(reader).await?;
    }
    Ok(Status { lines })
}

/// The numbers of an item.
struct ItemHeader {
    version: u64,
    exptime: u64,
    length: u64,
}

fn item_header(numbers: &[&[u8]]) -> Option<ItemHeader> {
    let [version, exptime, length] = numbers else { return None };
    let length = number(length).filter(|length| *length <= VALUE_BYTES_MAX)?;
    Some(ItemHeader { version: number(version)?, exptime: number(exptime)?, length })
}

async fn read_item<R>(reader: &mut R, key: Vec<u8>, header: ItemHeader) -> Result<Item, ReadError>
where
    R: AsyncBufRead + Unpin,
{
    let value = read_block(reader, header.length).await?;
    Ok(Item { key, version: header.version, exptime: header.exptime, value })
}

/// A data block and its line end. Memory grows with what really comes, not with
/// what was announced.
async fn read_block<R>(reader: &mut R, length: u64) -> Result<Vec<u8>, ReadError>
where
    R: AsyncBufRead + Unpin,
{
    if length > VALUE_BYTES_MAX {
        return Err(ReadError::Malformed(format!("a value of {length} bytes")));
    }
    let mut block = Vec::new();
    (&mut *reader).take(length).read_to_end(&mut block).await?;
    if (block.len() as u64) < length {
        return Err(ReadError::Closed);
    }
    match read_line(reader).await?.as_slice() {
        b"" => Ok(block),
        behind => Err(malformed(behind)),
    }
}

/// A line without its end.
async fn read_line<R>(reader: &mut R) -> Result<Vec<u8>, ReadError>
where
    R: AsyncBufRead + Unpin,
{
    let mut line = Vec::new();
    (&mut *reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await?;
    if line.pop_if(|byte| *byte == b'\n').is_none() {
        let too_long = line.len() as u64 == LINE_BYTES_MAX;
        return Err(if too_long { malformed(&line) } else { ReadError::Closed });
    }
    line.pop_if(|byte| *byte == b'\r');
    Ok(line)
}

fn parse_error(line: &[u8]) -> Option<ErrorReply> {
    let text = String::from_utf8_lossy(line);
    let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
    let version = || number(rest.as_bytes());
    Some(match word {
        "ERR_CMD_ERR" => ErrorReply::CmdErr(rest.into()),
        "ERR_TOO_LARGE" => ErrorReply::TooLarge(rest.into()),
        "ERR_NOT_FOUND" => ErrorReply::NotFound,
        "ERR_VERSION" => ErrorReply::Version(version()?),
        "ERR_EXISTS" => ErrorReply::Exists(version()?),
        "ERR_STALE" => ErrorReply::Stale,
        "ERR_REDIRECT" if !rest.is_empty() => ErrorReply::Redirect(rest.into()),
        "ERR_REDIRECT" => return None,
        "ERR_NO_LEADER" => ErrorReply::NoLeader,
        "ERR_BUSY" => ErrorReply::Busy,
        "ERR_FULL" => ErrorReply::Full,
        "ERR_TIMEOUT" => ErrorReply::Timeout,
        _ => ErrorReply::Internal(text.into_owned()),
    })
}

fn fields(line: &[u8]) -> Vec<&[u8]> {
    line.split(|byte| *byte == b' ').collect()
}

fn number(field: &[u8]) -> Option<u64> {
    if !field.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn malformed(line: &[u8]) -> ReadError {
    let shown = &line[..line.len().min(80)];
    ReadError::Malformed(String::from_utf8_lossy(shown).into_owned())
}
