//! Commands as bytes. Nothing that could break out of its field gets in.

use super::{Error, SnapshotName};

/// The bytes of one command, ready to be sent, as often as it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    bytes: Vec<u8>,
    is_write: bool,
}

impl Command {
    pub(super) fn set(key: &[u8], exptime: u64, value: &[u8]) -> Result<Command, Error> {
        Ok(write(&[b"set", key_field(key)?, number(exptime).as_bytes()], Some(value)))
    }

    pub(super) fn add(key: &[u8], exptime: u64, value: &[u8]) -> Result<Command, Error> {
        Ok(write(&[b"add", key_field(key)?, number(exptime).as_bytes()], Some(value)))
    }

    pub(super) fn cas(
        key: &[u8],
        exptime: u64,
        version: u64,
        value: &[u8],
    ) -> Result<Command, Error> {
        let (exptime, version) = (number(exptime), number(version));
        let fields = [b"cas", key_field(key)?, exptime.as_bytes(), version.as_bytes()];
        Ok(write(&fields, Some(value)))
    }

    pub(super) fn delete(key: &[u8]) -> Result<Command, Error> {
        Ok(write(&[b"delete", key_field(key)?], None))
    }

    pub(super) fn get(key: &[u8]) -> Result<Command, Error> {
        Ok(read(&[b"get", key_field(key)?]))
    }

    pub(super) fn getm(key: &[u8]) -> Result<Command, Error> {
        Ok(read(&[b"getm", key_field(key)?]))
    }

    pub(super) fn scan(prefix: &[u8], limit: u64, after: Option<&[u8]>) -> Result<Command, Error> {
        let prefix = match prefix {
            b"" => b"*",
            b"*" => {
                let reason = "the prefix * alone would mean every key: scan every key instead";
                return Err(Error::InvalidArgument(reason.into()));
            }
            prefix => key_field(prefix)?,
        };
        let limit = number(limit);
        let mut fields = vec![b"scan".as_slice(), prefix, limit.as_bytes()];
        if let Some(after) = after {
            fields.extend([b"after".as_slice(), key_field(after)?]);
        }
        Ok(read(&fields))
    }

    pub(super) fn snapshot_begin() -> Command {
        read(&[b"snapshot", b"begin"])
    }

    pub(super) fn snapshot_find(index: u64) -> Command {
        read(&[b"snapshot", b"find", number(index).as_bytes()])
    }

    pub(super) fn snapshot_read(name: &SnapshotName, offset: u64, bytes: u64) -> Command {
        let SnapshotName { last_included_index, last_included_term, digest, .. } = name;
        let place = format!("{last_included_index} {last_included_term} {digest:032x} {offset}");
        read(&[b"snapshot", b"read", place.as_bytes(), number(bytes).as_bytes()])
    }

    pub(super) fn status() -> Command {
        read(&[b"status"])
    }

    /// The same with the exactly-once prefix.
    pub(super) fn once(mut self, name: &str, seq: u64) -> Command {
        let prefix = format!("once {name} {seq} ");
        self.bytes.splice(0..0, prefix.into_bytes());
        self
    }

    pub(super) fn is_write(&self) -> bool {
        self.is_write
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn read(fields: &[&[u8]]) -> Command {
    let mut bytes = fields.join(&b' ');
    bytes.extend_from_slice(b"\r\n");
    Command { bytes, is_write: false }
}

fn write(fields: &[&[u8]], value: Option<&[u8]>) -> Command {
    let mut bytes = fields.join(&b' ');
    if let Some(value) = value {
        bytes.extend_from_slice(format!(" {}\r\n", value.len()).as_bytes());
        bytes.extend_from_slice(value);
    }
    bytes.extend_from_slice(b"\r\n");
    Command { bytes, is_write: true }
}

fn number(number: u64) -> String {
    number.to_string()
}

/// A key, if it can be one: how long it may be is for the servers to say.
fn key_field(key: &[u8]) -> Result<&[u8], Error> {
    if key.is_empty() {
        return Err(Error::InvalidArgument("a key has at least one byte".into()));
    }
    if key.iter().any(|byte| *byte <= b' ' || *byte == 0x7f) {
        let reason = "a key holds no spaces and no control characters";
        return Err(Error::InvalidArgument(reason.into()));
    }
    Ok(key)
}
