//! Keys as lines of JSON, as `export` writes and `import` reads them (docs/adr/0033).
//!
//! The first line names the format, the revision and the prefix. Each further line is a key, in
//! byte order. The last line counts them, so that a file that was cut is told from a whole one.

use std::io::{self, BufRead, Read};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coracle::client::Item;
use serde::Deserialize;

use super::json::Object;

/// The name of the format, in the first line.
const FORMAT: &str = "coracle-export";
/// The version of the format that is written, and the highest that is read.
const VERSION: u64 = 1;
/// Maximum number of bytes of a line: that of the largest value whose every byte is written as six.
const LINE_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Maximum of the seconds until a key expires: a hundred years, as in the protocol.
const EXPTIME_MAX: u64 = 3_153_600_000;

/// The contents of the first line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The revision at which all keys were read.
    pub revision: u64,
    /// The bytes with which they begin; empty for all keys.
    pub prefix: Vec<u8>,
}

/// A key to be imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    /// The number of its line, from 1.
    pub number: u64,
    pub key: Vec<u8>,
    pub value: Vec<u8>,
    /// The seconds until it expires, counted from its import; 0 for never.
    pub exptime: u64,
}

/// The reason why a file cannot be read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    #[error("line {number}, column {column}: {reason}")]
    Line { number: u64, column: usize, reason: String },
    #[error(
        "it ends after line {lines} without the last line, which counts the keys: it was cut, and \
         some keys are missing"
    )]
    Cut { lines: u64 },
}

/// The first line.
pub fn header(header: &Header) -> String {
    let object = Object::new().text("format", FORMAT).raw("format_version", VERSION);
    bytes(object.raw("revision", header.revision), "prefix", &header.prefix).line()
}

/// The line of a key.
pub fn key_line(item: &Item) -> String {
    let object = bytes(bytes(Object::new(), "key", &item.key), "value", &item.value);
    let object = object.raw("version", item.version);
    match item.exptime {
        0 => object.line(),
        seconds => object.raw("expires_in_s", seconds).line(),
    }
}

/// The last line.
pub fn trailer(keys: u64) -> String {
    Object::new().raw("end", true).raw("keys", keys).line()
}

/// Adds bytes: as a text when they are one, and otherwise in base64 under another name.
fn bytes(object: Object, name: &str, bytes: &[u8]) -> Object {
    match std::str::from_utf8(bytes) {
        Ok(text) => object.text(name, text),
        Err(_) => object.text(&format!("{name}_base64"), &STANDARD.encode(bytes)),
    }
}

#[derive(Deserialize)]
struct HeaderFields {
    format: String,
    format_version: u64,
}

#[derive(Deserialize)]
struct HeaderRest {
    revision: u64,
    prefix: Option<String>,
    prefix_base64: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFields {
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<String>,
    value_base64: Option<String>,
    /// It is for people: an imported key gets a version of its own.
    #[serde(rename = "version")]
    _version: Option<u64>,
    expires_in_s: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrailerFields {
    end: bool,
    keys: u64,
}

/// Reads the keys of a file from its first line to its last.
#[derive(Debug)]
pub struct KeyReader<R> {
    input: R,
    line: Vec<u8>,
    /// The number of the line that was read last.
    number: u64,
    keys: u64,
    last_key: Vec<u8>,
    header: Header,
}

/// The place in a line, and the reason why the line is wrong.
struct Fault {
    column: usize,
    reason: String,
}

impl<R: BufRead> KeyReader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// It is not that of an export, or of a newer version.
    pub fn begin(input: R) -> Result<KeyReader<R>, ReadError> {
        let header = Header { revision: 0, prefix: Vec::new() };
        let (line, last_key) = (Vec::new(), Vec::new());
        let mut reader = KeyReader { input, line, number: 0, keys: 0, last_key, header };
        if !reader.read_line()? {
            return Err(ReadError::Cut { lines: 0 });
        }
        reader.header = parse_header(&reader.line).map_err(|fault| reader.error(fault))?;
        Ok(reader)
    }

    /// The contents of the first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Number of keys that were read.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// The next key; `None` after the last line, which was right.
    ///
    /// # Errors
    /// The line is no key, its key does not come after the one before it, or the file ends without
    /// its last line or goes on behind it.
    pub fn next(&mut self) -> Result<Option<KeyLine>, ReadError> {
        if !self.read_line()? {
            return Err(ReadError::Cut { lines: self.number });
        }
        let fields: KeyFields = match serde_json::from_slice(&self.line) {
            Ok(fields) => fields,
            Err(error) => return self.end(&error),
        };
        let key = self.parse_key(fields).map_err(|fault| self.error(fault))?;
        self.last_key.clone_from(&key.key);
        self.keys += 1;
        Ok(Some(key))
    }

    fn parse_key(&self, fields: KeyFields) -> Result<KeyLine, Fault> {
        let key = self.bytes("key", fields.key, fields.key_base64)?;
        let value = self.bytes("value", fields.value, fields.value_base64)?;
        let is_allowed = |byte: &u8| *byte > b' ' && *byte != 0x7f;
        if key.is_empty() || !key.iter().all(is_allowed) {
            return Err(self.fault_in(
                "key",
                "a key has at least one byte, and no spaces or \
                                             control characters",
            ));
        }
        if self.keys > 0 && key <= self.last_key {
            return Err(self.fault_in(
                "key",
                "the keys must be in byte order, each of them once, \
                                             and this one does not come after the one before it",
            ));
        }
        let exptime = match fields.expires_in_s {
            None => 0,
            Some(seconds @ 1..=EXPTIME_MAX) => seconds,
            Some(_) => {
                let reason = format!("expires_in_s is from 1 to {EXPTIME_MAX}");
                return Err(self.fault_in("expires_in_s", &reason));
            }
        };
        Ok(KeyLine { number: self.number, key, value, exptime })
    }

    fn bytes(
        &self,
        name: &'static str,
        text: Option<String>,
        encoded: Option<String>,
    ) -> Result<Vec<u8>, Fault> {
        decoded(name, text, encoded).map_err(|reason| self.fault_in(name, &reason))
    }

    /// The line is no key, for this reason: it must be the last one.
    fn end(&mut self, no_key: &serde_json::Error) -> Result<Option<KeyLine>, ReadError> {
        let Ok(TrailerFields { end: true, keys }) = serde_json::from_slice(&self.line) else {
            // Only a line that was cut has no end.
            return Err(match self.line.ends_with(b"\n") {
                true => self.error(Fault::of(no_key)),
                false => ReadError::Cut { lines: self.number - 1 },
            });
        };
        if keys != self.keys {
            let reason = format!("it counts {keys} keys, and there are {}", self.keys);
            return Err(self.error(self.fault_in("keys", &reason)));
        }
        if self.read_line()? {
            let reason = "nothing may follow the line that counts the keys".into();
            return Err(self.error(Fault { column: 1, reason }));
        }
        Ok(None)
    }

    /// Reads the next line; false at the end of the file.
    fn read_line(&mut self) -> Result<bool, ReadError> {
        self.line.clear();
        let mut bounded = self.input.by_ref().take(LINE_BYTES_MAX + 1);
        if bounded.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.line.len() as u64 > LINE_BYTES_MAX {
            let reason = format!("a line has at most {LINE_BYTES_MAX} bytes");
            return Err(self.error(Fault { column: self.line.len(), reason }));
        }
        Ok(true)
    }

    /// A fault of the field with this name, whichever of its two forms is there.
    fn fault_in(&self, name: &str, reason: &str) -> Fault {
        let line = String::from_utf8_lossy(&self.line);
        let at = |name: String| line.find(&name);
        let column = at(format!("\"{name}\"")).or_else(|| at(format!("\"{name}_base64\"")));
        Fault { column: column.unwrap_or(0) + 1, reason: reason.to_owned() }
    }

    fn error(&self, Fault { column, reason }: Fault) -> ReadError {
        ReadError::Line { number: self.number, column, reason }
    }
}

impl Fault {
    fn of(error: &serde_json::Error) -> Fault {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        let reason = text.strip_suffix(&place).unwrap_or(&text).to_owned();
        Fault { column: error.column().max(1), reason }
    }
}

fn parse_header(line: &[u8]) -> Result<Header, Fault> {
    let no_export = |error: serde_json::Error| {
        let Fault { column, reason } = Fault::of(&error);
        Fault { column, reason: format!("this is not the first line of an export: {reason}") }
    };
    let HeaderFields { format, format_version } =
        serde_json::from_slice(line).map_err(no_export)?;
    let fault = |reason: String| Fault { column: 1, reason };
    if format != FORMAT {
        return Err(fault(format!("the format is {format:?}, and not {FORMAT:?}")));
    }
    if format_version != VERSION {
        return Err(fault(format!(
            "the export is of format version {format_version}, and this program reads version \
             {VERSION}: import it with a newer one"
        )));
    }
    let HeaderRest { revision, prefix, prefix_base64 } =
        serde_json::from_slice(line).map_err(no_export)?;
    let prefix = decoded("prefix", prefix, prefix_base64).map_err(fault)?;
    Ok(Header { revision, prefix })
}

/// The bytes of a field that is there in one of its two forms.
fn decoded(name: &str, text: Option<String>, encoded: Option<String>) -> Result<Vec<u8>, String> {
    match (text, encoded) {
        (Some(text), None) => Ok(text.into_bytes()),
        (None, Some(encoded)) => {
            STANDARD.decode(encoded).map_err(|error| format!("{name}_base64 is no base64: {error}"))
        }
        _ => Err(format!("there must be either {name} or {name}_base64")),
    }
}

#[cfg(test)]
mod tests;
