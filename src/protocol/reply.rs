//! What a command is answered, and how that is printed.

use std::borrow::Cow;
use std::fmt::{self, Write};

use bytes::Bytes;

use crate::kv::Item;

/// Where replies are printed.
pub trait Sink {
    /// Adds a copy of `bytes`.
    fn put_slice(&mut self, bytes: &[u8]);

    /// Adds `bytes`; they need not be copied.
    fn put_bytes(&mut self, bytes: Bytes);
}

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `set`, `add`, `cas`: the new version.
    Stored {
        /// The version.
        version: u64,
    },
    /// `delete`.
    Deleted,
    /// `get`.
    Value(Bytes),
    /// `getm`.
    Meta(Item),
    /// `scan`.
    Scan {
        /// Keys and items in byte order.
        items: Vec<(Bytes, Item)>,
        /// Whether there are further keys.
        more: bool,
    },
    /// `snapshot begin`: a snapshot will reach so far.
    SnapshotBegun {
        /// The entry.
        index: u64,
    },
    /// `snapshot find`. (`snapshot read` is answered by a [`Reply::Value`].)
    Snapshot {
        /// The last entry that is in it.
        index: u64,
        /// That entry's term.
        term: u64,
        /// The size of its file.
        bytes: u64,
        /// The digest of its file.
        digest: u128,
    },
    /// `ping`.
    Pong,
    /// `status`.
    Status(Box<Status>),
    /// `help`.
    Help,
    /// Anything that went wrong.
    Error(ErrorReply),
}

/// One moment of a server, as `status` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The server.
    pub id: u64,
    /// Its role, in the words of docs/PROTOCOL.md.
    pub role: String,
    /// Its term.
    pub term: u64,
    /// The leader of that term, when it knows one.
    pub leader: Option<u64>,
    /// The newest entry that it knows to be committed.
    pub commit_index: u64,
    /// The newest entry that its store has applied.
    pub last_applied: u64,
    /// The end of its log.
    pub last_log_index: u64,
    /// The last entry in its newest snapshot; 0 for none.
    pub snapshot_index: u64,
    /// Keys that have not expired.
    pub keys: u64,
    /// Since the process started.
    pub uptime_seconds: u64,
    /// The size of its store.
    pub store_bytes: u64,
    /// Equal at equal `last_applied`, on every server; printed in hexadecimal.
    pub store_digest: u64,
    /// What its clients take of `[limits] memory_bytes`.
    pub memory_bytes_used: u64,
    /// The servers that are being sent a snapshot: each with the bytes of it that it has,
    /// and all that there are.
    pub snapshot_transfers: Vec<(u64, u64, u64)>,
}

/// A reply that is an error. Texts are one line of printable ASCII and never
/// repeat what the client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorReply {
    /// The line is malformed.
    CmdErr(Cow<'static, str>),
    /// The line, the key or the value is over its limit.
    TooLarge(Cow<'static, str>),
    /// No such key.
    NotFound,
    /// `cas`: the key's version is this one.
    Version {
        /// The version; 0 for an absent key.
        version: u64,
    },
    /// `add`: the key is there.
    Exists {
        /// At this version.
        version: u64,
    },
    /// `once`: an old number.
    Stale,
    /// Another server leads.
    Redirect {
        /// Its name or address.
        host: String,
        /// Its client port.
        port: u16,
    },
    /// No leader is known.
    NoLeader,
    /// The server has too much to do.
    Busy,
    /// The store is at its size limit.
    Full,
    /// Not known to be committed; it may yet be.
    Timeout,
    /// The server cannot serve.
    Internal(Cow<'static, str>),
}

impl ErrorReply {
    /// True when the command may have been executed, now or later, although its
    /// outcome is not known.
    pub fn may_have_executed(&self) -> bool {
        matches!(self, ErrorReply::Timeout | ErrorReply::Internal(_))
    }
}

impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorReply::CmdErr(text) => write!(f, "ERR_CMD_ERR {text}"),
            ErrorReply::TooLarge(text) => write!(f, "ERR_TOO_LARGE {text}"),
            ErrorReply::NotFound => f.write_str("ERR_NOT_FOUND"),
            ErrorReply::Version { version } => write!(f, "ERR_VERSION {version}"),
            ErrorReply::Exists { version } => write!(f, "ERR_EXISTS {version}"),
            ErrorReply::Stale => f.write_str("ERR_STALE"),
            // Without brackets the colons of an IPv6 address swallow the port's.
            ErrorReply::Redirect { host, port } if host.contains(':') && !host.starts_with('[') => {
                write!(f, "ERR_REDIRECT [{host}]:{port}")
            }
            ErrorReply::Redirect { host, port } => write!(f, "ERR_REDIRECT {host}:{port}"),
            ErrorReply::NoLeader => f.write_str("ERR_NO_LEADER"),
            ErrorReply::Busy => f.write_str("ERR_BUSY"),
            ErrorReply::Full => f.write_str("ERR_FULL"),
            ErrorReply::Timeout => f.write_str("ERR_TIMEOUT"),
            ErrorReply::Internal(text) => write!(f, "ERR_INTERNAL {text}"),
        }
    }
}

/// What a reply weighs in budgets beside the bytes of keys and values.
const REPLY_OVERHEAD_BYTES: usize = 64;

/// The answer to `help`.
const HELP: &str = "\
set <key> <exptime> <numbytes> [noreply], then the data: write\r
add <key> <exptime> <numbytes> [noreply], then the data: write if the key is absent\r
cas <key> <exptime> <version> <numbytes> [noreply], then the data: write if at that version\r
delete <key> [noreply]: remove\r
get <key>: the value\r
getm <key>: the value with its version and the seconds it has left\r
scan <prefix> <limit> [after <key>]: keys and values in byte order; * is every key\r
once <client> <seq> <write>: execute a write exactly once, however often it is sent\r
snapshot begin: have a snapshot taken, for a backup; then snapshot find <index>\r
snapshot find <index>: the newest snapshot here that reaches that entry\r
snapshot read <index> <term> <digest> <offset> <numbytes>: a piece of its file\r
ping: is the server there?\r
status: the server's state\r
help: this text\r
quit: close the connection\r
END\r
";

impl Reply {
    /// What the reply keeps in memory until it is sent, in bytes: a round
    /// figure for budgets.
    pub fn weight_bytes(&self) -> usize {
        let content = match self {
            Reply::Value(value) => value.len(),
            Reply::Meta(item) => item.value.len(),
            Reply::Scan { items, .. } => items
                .iter()
                .map(|(key, item)| key.len() + item.value.len() + REPLY_OVERHEAD_BYTES)
                .sum(),
            Reply::Status(_) => size_of::<Status>(),
            _ => 0,
        };
        content + REPLY_OVERHEAD_BYTES
    }

    /// Prints the reply, all its lines with their line ends.
    pub fn print(self, sink: &mut impl Sink) {
        match self {
            Reply::Stored { version } => line(sink, format_args!("OK {version}")),
            Reply::Deleted => sink.put_slice(b"DELETED\r\n"),
            Reply::Value(value) => {
                line(sink, format_args!("VALUE {}", value.len()));
                block(sink, value);
            }
            Reply::Meta(Item { value, version, exptime }) => {
                line(sink, format_args!("VALUE {version} {exptime} {}", value.len()));
                block(sink, value);
            }
            Reply::Scan { items, more } => {
                for (key, Item { value, version, exptime }) in items {
                    sink.put_slice(b"KEY ");
                    sink.put_slice(&key);
                    line(sink, format_args!(" {version} {exptime} {}", value.len()));
                    block(sink, value);
                }
                sink.put_slice(if more { b"MORE\r\n" } else { b"END\r\n" });
            }
            Reply::SnapshotBegun { index } => line(sink, format_args!("OK {index}")),
            Reply::Snapshot { index, term, bytes, digest } => {
                line(sink, format_args!("SNAPSHOT {index} {term} {bytes} {digest:032x}"));
            }
            Reply::Pong => sink.put_slice(b"PONG\r\n"),
            Reply::Status(status) => status.print(sink),
            Reply::Help => sink.put_slice(HELP.as_bytes()),
            Reply::Error(error) => line(sink, format_args!("{error}")),
        }
    }
}

impl Status {
    fn print(&self, sink: &mut impl Sink) {
        line(sink, format_args!("id {}", self.id));
        line(sink, format_args!("role {}", self.role));
        line(sink, format_args!("term {}", self.term));
        match self.leader {
            Some(leader) => line(sink, format_args!("leader {leader}")),
            None => line(sink, format_args!("leader none")),
        }
        line(sink, format_args!("commit_index {}", self.commit_index));
        line(sink, format_args!("last_applied {}", self.last_applied));
        line(sink, format_args!("last_log_index {}", self.last_log_index));
        line(sink, format_args!("snapshot_index {}", self.snapshot_index));
        line(sink, format_args!("keys {}", self.keys));
        line(sink, format_args!("uptime_seconds {}", self.uptime_seconds));
        line(sink, format_args!("store_bytes {}", self.store_bytes));
        line(sink, format_args!("store_digest {:016x}", self.store_digest));
        line(sink, format_args!("memory_bytes_used {}", self.memory_bytes_used));
        let transfers = self.snapshot_transfers.iter();
        let transfers: Vec<String> =
            transfers.map(|(id, acked, bytes)| format!("{id}:{acked}/{bytes}")).collect();
        match transfers.is_empty() {
            true => line(sink, format_args!("snapshot_transfers none")),
            false => line(sink, format_args!("snapshot_transfers {}", transfers.join(","))),
        }
        sink.put_slice(b"END\r\n");
    }
}

fn block(sink: &mut impl Sink, data: Bytes) {
    sink.put_bytes(data);
    sink.put_slice(b"\r\n");
}

fn line(sink: &mut impl Sink, text: fmt::Arguments<'_>) {
    /// Lets numbers be printed straight into the sink.
    struct Text<'a, S>(&'a mut S);

    impl<S: Sink> Write for Text<'_, S> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.put_slice(text.as_bytes());
            Ok(())
        }
    }

    Text(sink).write_fmt(text).expect("a sink takes everything");
    sink.put_slice(b"\r\n");
}
