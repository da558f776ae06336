//! Recognises clients that speak another protocol than this one.
//!
//! A browser sends an HTTP request to whatever port a web page names, and the page chooses the
//! body. If a line of HTTP were only a malformed command, the lines of the body would be executed
//! as commands after it. So such a line ends the connection (docs/bugs.md C17).
//!
//! A line is looked at only when it is not a well-formed command. `get HTTP/1.1` reads a key.

use std::fmt;

/// A protocol that is not this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignProtocol {
    /// HTTP, of any version.
    Http,
    /// TLS, which is all that can be known of what is inside.
    Tls,
    /// The protocol of Redis.
    Redis,
    /// SOCKS, version 4 or 5.
    Socks,
    /// SSH.
    Ssh,
    /// DICT, in which `curl dict://` sends commands of its caller's choosing.
    Dict,
    /// The line that a load balancer puts before what its client sends.
    Proxy,
    /// Any protocol that is not text.
    Binary,
}

impl fmt::Display for ForeignProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ForeignProtocol::Http => "HTTP",
            ForeignProtocol::Tls => "TLS",
            ForeignProtocol::Redis => "the protocol of Redis",
            ForeignProtocol::Socks => "SOCKS",
            ForeignProtocol::Ssh => "SSH",
            ForeignProtocol::Dict => "DICT",
            ForeignProtocol::Proxy => "the PROXY protocol",
            ForeignProtocol::Binary => "a binary protocol",
        })
    }
}

/// The protocol of a connection that begins with this byte; `None` when a line of text may
/// begin with it.
pub(super) fn of_first_byte(byte: u8) -> Option<ForeignProtocol> {
    match byte {
        // An escape is an arrow key, typed into `nc`.
        b'\t' | b'\n' | b'\r' | 0x1b => None,
        0x04 | 0x05 => Some(ForeignProtocol::Socks),
        0x16 => Some(ForeignProtocol::Tls),
        // No character of UTF-8 begins with a byte of the second range. The bytes after it do
        // begin one, and telnet clients send 0xff to negotiate.
        0..0x20 | 0x7f..0xc0 => Some(ForeignProtocol::Binary),
        _ => None,
    }
}

/// The protocol of a malformed line. `is_first`: it is the first line of its connection, and
/// more is taken for another protocol. Later, a person may have mistyped it.
pub(super) fn of_line(line: &[u8], is_first: bool) -> Option<ForeignProtocol> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    let mut fields = line.split(is_blank).filter(|field| !field.is_empty());
    let word = fields.next()?;
    let second = fields.next();
    let last = fields.next_back().or(second).unwrap_or(word);
    if is_http_version(last) || is_http_version(word) || is_header_name(word) {
        return Some(ForeignProtocol::Http);
    }
    if !is_first {
        return None;
    }
    let begins_with = |start: &str| {
        line.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes()))
    };
    if is_method(word) && second.is_some_and(is_target) {
        Some(ForeignProtocol::Http)
    } else if matches!(word, [b'*' | b'$', digits @ ..] if is_number(digits)) && second.is_none() {
        Some(ForeignProtocol::Redis)
    } else if begins_with("SSH-") {
        Some(ForeignProtocol::Ssh)
    } else if begins_with("CLIENT libcurl") {
        Some(ForeignProtocol::Dict)
    } else if begins_with("PROXY TCP") || begins_with("PROXY UNKNOWN") {
        Some(ForeignProtocol::Proxy)
    } else {
        None
    }
}

/// True for the last field of a request line and the first of a status line: `HTTP/1.1`, in any
/// case.
fn is_http_version(field: &[u8]) -> bool {
    matches!(field.split_at_checked(5), Some((name, version))
        if name.eq_ignore_ascii_case(b"http/") && version.first().is_some_and(u8::is_ascii_digit))
}

/// True for the first field of a line such as `Host: example.org`. No word of a command has a
/// colon.
fn is_header_name(field: &[u8]) -> bool {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    matches!(field, [name @ .., b':'] if !name.is_empty() && name.iter().all(is_token))
}

/// True for a method of HTTP that is not also a word of ours.
fn is_method(word: &[u8]) -> bool {
    const METHODS: &[&str] =
        &["CONNECT", "HEAD", "OPTIONS", "PATCH", "POST", "PRI", "PUT", "TRACE"];
    METHODS.iter().any(|method| word.eq_ignore_ascii_case(method.as_bytes()))
}

/// True for the second field of a request line: a path, an address or `*`.
fn is_target(field: &[u8]) -> bool {
    field == b"*" || field.starts_with(b"/") || field.windows(3).any(|part| part == b"://")
}

fn is_number(digits: &[u8]) -> bool {
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests;
