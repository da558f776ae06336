//! The grammar of one command line. A line is read from left to right, and its first fault
//! is the one that the client is told.

use bytes::Bytes;

use super::error_reply::ErrorReply;
use super::fields::{Fields, cmd_err, is, too_large};
use super::member_line;
use super::request::{Limits, Request, SnapshotQuery};
use super::store_line;
use super::text::number;
use crate::commands::{Once, Operation, Query};
use crate::types::{LogIndex, LogPosition, Term};

/// The longest client name of `once`, in bytes.
const CLIENT_BYTES_MAX: usize = 64;
/// The longest time to live: a hundred years, in seconds.
const EXPTIME_MAX: u64 = 3_153_600_000;
/// Maximum number of keys that one `scan` may ask for.
const SCAN_LIMIT_MAX: u64 = 10_000;
/// The longest piece of a snapshot, in bytes.
const PIECE_BYTES_MAX: u64 = 1024 * 1024;

/// A well-formed line.
#[derive(Debug)]
pub(super) enum Line {
    /// The command is whole.
    Request(Request),
    /// A data block follows; the number is its length in bytes.
    Write(WriteHead, usize),
}

/// A write that waits for its value.
#[derive(Debug)]
pub(super) struct WriteHead {
    verb: WriteVerb,
    key: Bytes,
    exptime: u64,
    lease: u64,
    once: Option<Once>,
    noreply: bool,
}

#[derive(Debug)]
enum WriteVerb {
    Set,
    Add,
    Cas { version: u64 },
}

impl WriteHead {
    /// True when the client wants no reply.
    pub(super) fn noreply(&self) -> bool {
        self.noreply
    }

    /// The complete command.
    pub(super) fn with_value(self, value: Bytes) -> Request {
        let WriteHead { verb, key, exptime, lease, once, noreply } = self;
        let operation = match verb {
            WriteVerb::Set => Operation::Set { key, exptime, value, lease },
            WriteVerb::Add => Operation::Add { key, exptime, value, lease },
            WriteVerb::Cas { version } => Operation::Cas { key, exptime, version, value, lease },
        };
        Request::Write { operation, once, noreply }
    }
}

/// Parses a line without its line end.
pub(super) fn parse(line: &[u8], limits: &Limits) -> Result<Line, ErrorReply> {
    let mut fields = Fields::of(line);
    let word = fields.0.next().ok_or(ErrorReply::CmdErr("the line is empty".into()))?;
    if is(word, "once") {
        return once(&mut fields, limits);
    }
    if let Some(write) = write(word, None, &mut fields, limits) {
        return write;
    }
    let request = if let Some(request) = store_line::parse(word, &mut fields, limits) {
        request?
    } else if is(word, "get") {
        Request::Read(Query::Get { key: fields.key(limits)?, at: fields.at()? })
    } else if is(word, "getm") {
        Request::Read(Query::GetMeta { key: fields.key(limits)?, at: fields.at()? })
    } else if is(word, "scan") {
        scan(&mut fields, limits)?
    } else if is(word, "snapshot") {
        snapshot(&mut fields)?
    } else if is(word, "upgrade") {
        upgrade(&mut fields)?
    } else if is(word, "member") {
        member_line::member(&mut fields)?
    } else if is(word, "leader") {
        member_line::leader(&mut fields)?
    } else if is(word, "drain") {
        Request::SetDraining(true)
    } else if is(word, "undrain") {
        Request::SetDraining(false)
    } else if is(word, "digest") {
        Request::Digest { index: LogIndex(fields.number("<index> is not a number")?) }
    } else if is(word, "ping") {
        Request::Ping
    } else if is(word, "status") {
        Request::Status
    } else if is(word, "help") {
        Request::Help
    } else if is(word, "quit") {
        Request::Quit
    } else {
        return cmd_err("unknown command; help lists them");
    };
    fields.end()?;
    Ok(Line::Request(request))
}

/// Parses the rest of a line that begins with `once`.
fn once<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
    limits: &Limits,
) -> Result<Line, ErrorReply> {
    let client = fields.name("the client's name is missing")?;
    if client.len() > CLIENT_BYTES_MAX {
        return cmd_err("a client's name has at most 64 bytes");
    }
    let client = Bytes::copy_from_slice(client);
    let seq = fields.number("<seq> is not a number")?;
    if seq == 0 {
        return cmd_err("<seq> begins at 1");
    }
    let word = fields.field("a command is missing behind once")?;
    let once = Some(Once { client, seq });
    if is(word, "end") {
        let noreply = fields.noreply()?;
        return Ok(Line::Request(Request::Write { operation: Operation::End, once, noreply }));
    }
    if is(word, "commit") {
        fields.end()?;
        return Ok(Line::Request(Request::Commit { once }));
    }
    write(word, once, fields, limits)
        .unwrap_or_else(|| cmd_err("once goes before set, add, cas, delete, commit or end only"))
}

/// The length in bytes of the data block after a line, whatever else is wrong with the
/// line, if its word is one with a data block and the number can be read. The number is
/// found by its position, after any number of `once`.
pub(super) fn block_bytes(line: &[u8]) -> Option<u64> {
    let mut fields = Fields::of(line).0;
    let mut word = fields.next()?;
    while is(word, "once") {
        word = fields.nth(2)?;
    }
    let before = match word {
        word if is(word, "set") || is(word, "add") => 2,
        word if is(word, "cas") => 3,
        _ => return None,
    };
    number(fields.nth(before)?)
}

/// Parses the rest of a line that begins with `word`; `None` when that is no write.
fn write<'a>(
    word: &[u8],
    once: Option<Once>,
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
    limits: &Limits,
) -> Option<Result<Line, ErrorReply>> {
    if is(word, "set") {
        Some(stored(WriteVerb::Set, once, fields, limits))
    } else if is(word, "add") {
        Some(stored(WriteVerb::Add, once, fields, limits))
    } else if is(word, "cas") {
        Some(stored(WriteVerb::Cas { version: 0 }, once, fields, limits))
    } else if is(word, "delete") {
        Some(delete(once, fields, limits))
    } else {
        None
    }
}

fn stored<'a>(
    mut verb: WriteVerb,
    once: Option<Once>,
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
    limits: &Limits,
) -> Result<Line, ErrorReply> {
    let key = fields.key(limits)?;
    let exptime = fields.number("<exptime> is not a number")?;
    if exptime > EXPTIME_MAX {
        return cmd_err("<exptime> is at most 3153600000 seconds");
    }
    if let WriteVerb::Cas { version } = &mut verb {
        *version = fields.number("<version> is not a number")?;
    }
    let value_bytes = fields.number("<numbytes> is not a number")?;
    let (lease, noreply) = fields.lease_and_noreply()?;
    let value_bytes = usize::try_from(value_bytes)
        .ok()
        .filter(|bytes| *bytes <= limits.value_bytes_max)
        .ok_or_else(|| too_large("a value", limits.value_bytes_max))?;
    Ok(Line::Write(WriteHead { verb, key, exptime, lease, once, noreply }, value_bytes))
}

fn delete<'a>(
    once: Option<Once>,
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
    limits: &Limits,
) -> Result<Line, ErrorReply> {
    let operation = Operation::Delete { key: fields.key(limits)? };
    let noreply = fields.noreply()?;
    Ok(Line::Request(Request::Write { operation, once, noreply }))
}

fn scan<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
    limits: &Limits,
) -> Result<Request, ErrorReply> {
    let prefix = fields.prefix(limits)?;
    let limit = fields.number("<limit> is not a number")?;
    if !(1..=SCAN_LIMIT_MAX).contains(&limit) {
        return cmd_err("<limit> is 1 to 10000");
    }
    let mut next = fields.0.next();
    let mut after = None;
    if next.is_some_and(|word| is(word, "after")) {
        after = Some(fields.key(limits)?);
        next = fields.0.next();
    }
    let at = fields.at_from(next)?;
    Ok(Request::Read(Query::Scan { prefix, limit, after, at }))
}

fn snapshot<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
) -> Result<Request, ErrorReply> {
    let word = fields.field("begin, find or read is missing behind snapshot")?;
    if is(word, "begin") {
        return Ok(Request::BeginSnapshot);
    }
    if is(word, "find") {
        let index = LogIndex(fields.number("<index> is not a number")?);
        return Ok(Request::Snapshot(SnapshotQuery::Find { index }));
    }
    if !is(word, "read") {
        return cmd_err("behind snapshot stands begin, find or read");
    }
    let index = LogIndex(fields.number("<index> is not a number")?);
    let term = Term(fields.number("<term> is not a number")?);
    let digest = fields.digest()?;
    let offset = fields.number("<offset> is not a number")?;
    let bytes_max = fields.number("<numbytes> is not a number")?;
    match usize::try_from(bytes_max) {
        Ok(bytes_max) if (1..=PIECE_BYTES_MAX).contains(&(bytes_max as u64)) => {
            let last = LogPosition { index, term };
            Ok(Request::Snapshot(SnapshotQuery::Read { last, digest, offset, bytes_max }))
        }
        _ => cmd_err("<numbytes> is 1 to 1048576"),
    }
}

fn upgrade<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
) -> Result<Request, ErrorReply> {
    let word = fields.field("hold, release or raise is missing behind upgrade")?;
    if is(word, "hold") {
        Ok(Request::SetHold { is_held: true })
    } else if is(word, "release") {
        Ok(Request::SetHold { is_held: false })
    } else if is(word, "raise") {
        Ok(Request::Raise)
    } else {
        cmd_err("behind upgrade stands hold, release or raise")
    }
}
