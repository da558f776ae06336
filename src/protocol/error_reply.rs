//! The replies that are errors, printed and parsed.

use std::borrow::Cow;
use std::fmt;

use super::text::number;

/// A reply that is an error. The texts of a server are one line of printable ASCII and
/// never repeat what the client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ErrorReply {
    /// The line is malformed.
    CmdErr(Cow<'static, str>),
    /// The line, the key or the value is over its limit.
    TooLarge(Cow<'static, str>),
    /// There is no such key, or no such snapshot.
    NotFound,
    /// `cas`: the key has another version than the one given.
    Version {
        /// The version of the key; 0 for an absent key.
        version: u64,
    },
    /// `add`: the key is there.
    Exists {
        /// The version of the key.
        version: u64,
    },
    /// `once`: an old sequence number.
    Stale,
    /// Another server leads.
    Redirect {
        /// The leader's name or address; an IPv6 address that was parsed has no brackets.
        host: String,
        /// The leader's client port.
        port: u16,
    },
    /// No leader is known.
    NoLeader,
    /// The server has too much to do.
    Busy,
    /// The store is at its size limit.
    Full,
    /// History below this revision is not kept.
    Compacted {
        /// The compacted revision.
        revision: u64,
    },
    /// The store has not come to the revision that was named.
    Future {
        /// The store's revision.
        revision: u64,
    },
    /// There is no such lease, or no longer.
    NoLease,
    /// `grant`: that id is taken.
    LeaseExists,
    /// The command needs what the cluster's format does not have yet, or the format cannot be
    /// raised yet (docs/adr/0023).
    NotYet {
        /// A sentence that says what is waited for.
        sentence: String,
    },
    /// A change of the members, or a transfer of the leadership, would not be safe now.
    Refused {
        /// A sentence that says why, and what to do.
        sentence: String,
    },
    /// The command is not known to be committed; it may yet be.
    Timeout,
    /// The server cannot serve.
    Internal(Cow<'static, str>),
    /// A line of a newer server, whose error word is not one of the above. Servers never
    /// print it.
    Unknown(String),
}

const CMD_ERR: &str = "ERR_CMD_ERR";
const TOO_LARGE: &str = "ERR_TOO_LARGE";
const NOT_FOUND: &str = "ERR_NOT_FOUND";
const VERSION: &str = "ERR_VERSION";
const EXISTS: &str = "ERR_EXISTS";
const STALE: &str = "ERR_STALE";
const REDIRECT: &str = "ERR_REDIRECT";
const NO_LEADER: &str = "ERR_NO_LEADER";
const BUSY: &str = "ERR_BUSY";
const FULL: &str = "ERR_FULL";
const COMPACTED: &str = "ERR_COMPACTED";
const FUTURE: &str = "ERR_FUTURE";
const NO_LEASE: &str = "ERR_NO_LEASE";
const LEASE_EXISTS: &str = "ERR_LEASE_EXISTS";
const NOT_YET: &str = "ERR_NOT_YET";
const REFUSED: &str = "ERR_REFUSED";
const TIMEOUT: &str = "ERR_TIMEOUT";
const INTERNAL: &str = "ERR_INTERNAL";

impl ErrorReply {
    /// True when the command may have been executed, now or later, although its
    /// outcome is not known.
    pub fn may_have_executed(&self) -> bool {
        matches!(self, ErrorReply::Timeout | ErrorReply::Internal(_) | ErrorReply::Unknown(_))
    }

    /// Parses the word of an error and the text after it. `None` when they are no error
    /// reply.
    pub(super) fn parse(word: &str, text: &[u8]) -> Option<ErrorReply> {
        let lossy = || String::from_utf8_lossy(text).into_owned();
        Some(match word {
            CMD_ERR => ErrorReply::CmdErr(lossy().into()),
            TOO_LARGE => ErrorReply::TooLarge(lossy().into()),
            NOT_FOUND => ErrorReply::NotFound,
            VERSION => ErrorReply::Version { version: number(text)? },
            EXISTS => ErrorReply::Exists { version: number(text)? },
            STALE => ErrorReply::Stale,
            REDIRECT => {
                let (host, port) = std::str::from_utf8(text).ok()?.rsplit_once(':')?;
                let without = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                let host = without.unwrap_or(host);
                let port = u16::try_from(number(port.as_bytes())?).ok()?;
                (!host.is_empty()).then(|| ErrorReply::Redirect { host: host.into(), port })?
            }
            NO_LEADER => ErrorReply::NoLeader,
            BUSY => ErrorReply::Busy,
            FULL => ErrorReply::Full,
            COMPACTED => ErrorReply::Compacted { revision: number(text)? },
            FUTURE => ErrorReply::Future { revision: number(text)? },
            NO_LEASE => ErrorReply::NoLease,
            LEASE_EXISTS => ErrorReply::LeaseExists,
            NOT_YET => ErrorReply::NotYet { sentence: lossy() },
            REFUSED => ErrorReply::Refused { sentence: lossy() },
            TIMEOUT => ErrorReply::Timeout,
            INTERNAL => ErrorReply::Internal(lossy().into()),
            _ if text.is_empty() => ErrorReply::Unknown(word.to_owned()),
            _ => ErrorReply::Unknown(format!("{word} {}", lossy())),
        })
    }
}

impl fmt::Display for ErrorReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ErrorReply::CmdErr(text) => write!(f, "{CMD_ERR} {text}"),
            ErrorReply::TooLarge(text) => write!(f, "{TOO_LARGE} {text}"),
            ErrorReply::NotFound => f.write_str(NOT_FOUND),
            ErrorReply::Version { version } => write!(f, "{VERSION} {version}"),
            ErrorReply::Exists { version } => write!(f, "{EXISTS} {version}"),
            ErrorReply::Stale => f.write_str(STALE),
            ErrorReply::Redirect { host, port } => {
                write!(f, "{REDIRECT} {}", Address { host, port: *port })
            }
            ErrorReply::NoLeader => f.write_str(NO_LEADER),
            ErrorReply::Busy => f.write_str(BUSY),
            ErrorReply::Full => f.write_str(FULL),
            ErrorReply::Compacted { revision } => write!(f, "{COMPACTED} {revision}"),
            ErrorReply::Future { revision } => write!(f, "{FUTURE} {revision}"),
            ErrorReply::NoLease => f.write_str(NO_LEASE),
            ErrorReply::LeaseExists => f.write_str(LEASE_EXISTS),
            ErrorReply::NotYet { sentence } => write!(f, "{NOT_YET} {sentence}"),
            ErrorReply::Refused { sentence } => write!(f, "{REFUSED} {sentence}"),
            ErrorReply::Timeout => f.write_str(TIMEOUT),
            ErrorReply::Internal(text) => write!(f, "{INTERNAL} {text}"),
            ErrorReply::Unknown(line) => f.write_str(line),
        }
    }
}

/// A client address as the protocol prints it: `host:port`.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// A name or an address.
    pub host: &'a str,
    /// The client port.
    pub port: u16,
}

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Address { host, port } = self;
        // Without brackets the colons of an IPv6 address swallow the port's.
        match host.contains(':') && !host.starts_with('[') {
            true => write!(f, "[{host}]:{port}"),
            false => write!(f, "{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests;
