//! A client's connection: lines to send, and replies to parse.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::kv;
use crate::net::{Network, Stream};
use crate::protocol::{
    ErrorReply, Expect, Reply, ReplyLine, ReplyParser, Status, WatchParser, WatchPart,
};
use crate::testing::simulation::history::{Action, Answer, Item, Part};
use crate::testing::simulation::network::SimHost;
use crate::testing::simulation::world::CLIENT_PORT;

/// A connection to a node. Its halves can be used at the same time.
pub(crate) struct Lines {
    pub(super) reader: LineReader,
    pub(super) writer: Box<dyn AsyncWrite + Send + Unpin>,
}

/// The replies of a node.
pub(crate) struct LineReader(BufReader<Box<dyn AsyncRead + Send + Unpin>>);

impl Lines {
    pub(crate) async fn connect(from: &SimHost, to: &str) -> io::Result<Lines> {
        let Stream { reader, writer } = from.connect(to, CLIENT_PORT).await?;
        Ok(Lines { reader: LineReader(BufReader::new(reader)), writer })
    }

    /// Connects, and asks for a mode of the connection.
    pub(crate) async fn connect_in_mode(
        from: &SimHost,
        to: &str,
        mode: Option<&str>,
    ) -> io::Result<Lines> {
        let mut lines = Lines::connect(from, to).await?;
        if let Some(mode) = mode {
            lines.send(format!("mode {mode}\r\n").as_bytes()).await?;
            if lines.line().await? != "OK" {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
        }
        Ok(lines)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    pub(crate) async fn line(&mut self) -> io::Result<String> {
        self.reader.line().await
    }

    /// Requests the status of the node.
    pub(crate) async fn status(&mut self) -> io::Result<Status> {
        self.send(b"status\r\n").await?;
        let line = self.line().await?;
        match self.reader.parse(line, Expect::Status).await? {
            Some(Reply::Status(status)) => Ok(status),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

impl LineReader {
    pub(super) async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).await?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The next part of the stream of a watch; `None` when there is another thing. It loses nothing
    /// when it is dropped.
    pub(super) async fn part(
        &mut self,
        parser: &mut WatchParser,
        input: &mut BytesMut,
    ) -> io::Result<Option<WatchPart>> {
        loop {
            match parser.next(input) {
                Ok(Some(part)) => return Ok(Some(part)),
                Ok(None) => {}
                Err(_) => return Ok(None),
            }
            if self.0.read_buf(input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// The bytes of a data block, and of the line end that follows it.
    async fn block(&mut self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut block = vec![0; bytes];
        self.0.read_exact(&mut block).await?;
        let rest = self.line().await?;
        block.extend_from_slice(rest.as_bytes());
        block.extend_from_slice(b"\r\n");
        Ok(block)
    }

    /// The reply that begins with `line`, which is read already; `None` when it is not a reply of
    /// the expected kind.
    async fn parse(&mut self, mut line: String, expect: Expect) -> io::Result<Option<Reply>> {
        let (mut parser, mut input) = (ReplyParser::new(expect), BytesMut::new());
        loop {
            input.extend_from_slice(line.as_bytes());
            input.extend_from_slice(b"\r\n");
            let mut parsed = parser.next(&mut input);
            let block_bytes = ReplyLine::parse(line.as_bytes()).and_then(|line| line.block_bytes());
            if let (Ok(None), Some(bytes)) = (&parsed, block_bytes) {
                input.extend_from_slice(&self.block(bytes).await?);
                parsed = parser.next(&mut input);
            }
            match parsed {
                Ok(Some(reply)) => return Ok(Some(reply)),
                Ok(None) => line = self.line().await?,
                Err(_) => return Ok(None),
            }
        }
    }

    /// The result of `action` on `key`, whose reply begins with `line`. An inner `Err` is a reply
    /// that docs/protocol.md does not allow for this command.
    pub(super) async fn reply(
        &mut self,
        line: String,
        key: &Bytes,
        action: &Action,
    ) -> io::Result<Result<Try, String>> {
        let line = match action {
            Action::Transaction(parts) => match self.last_line(line, parts).await? {
                Ok(line) => line,
                Err(line) => return Ok(if line == "ERR_BUSY" { Ok(BUSY) } else { Err(line) }),
            },
            _ => line,
        };
        let reply = self.parse(line.clone(), expected_reply(action)).await?;
        Ok(reply.and_then(|reply| result(reply, key, action)).ok_or(line))
    }

    /// The line with which the reply to `commit` begins, after those to `begin` and to the commands
    /// of a transaction, the first of which is read already. An inner `Err` is a line that does not
    /// belong there.
    async fn last_line(
        &mut self,
        mut line: String,
        parts: &[Part],
    ) -> io::Result<Result<String, String>> {
        let mut is_spoilt = false;
        for place in 0..=parts.len() {
            // A server without memory refuses a command of a transaction, and all of it at the end.
            if place > 0 && line == "ERR_BUSY" {
                is_spoilt = true;
            } else if line != if place == 0 { "OK" } else { "QUEUED" } {
                return Ok(Err(line));
            }
            line = self.line().await?;
        }
        let is_refused = is_spoilt && line.contains("ERR");
        Ok(if is_refused { Err("ERR_BUSY".to_owned()) } else { Ok(line) })
    }
}

/// The result of one attempt to execute a command.
pub(super) enum Try {
    Answer(Answer),
    /// It was not executed. The next attempt goes to this node, or to any other.
    Elsewhere(Option<String>),
    /// It is not known whether it was executed.
    Lost,
}

/// A server that takes no more connections answers the first command of one so, and hangs up.
const BUSY: Try = Try::Elsewhere(None);

fn expected_reply(action: &Action) -> Expect {
    match action {
        Action::Get => Expect::Meta,
        Action::GetBare => Expect::Value,
        Action::Scan { limit, .. } => Expect::Scan { limit: *limit },
        // The answer to a write may be a remembered one, of another kind of command.
        Action::Set(_)
        | Action::SetFor(..)
        | Action::SetLeased(..)
        | Action::Add(_)
        | Action::Cas(..)
        | Action::Delete => Expect::Written,
        Action::Transaction(_) => Expect::Committed,
        Action::Grant(_) | Action::Renew => Expect::Lease,
        Action::Revoke => Expect::Revoked,
        Action::Compact(_) => Expect::Compacted,
    }
}

/// The result that a reply of the expected kind, or an error, gives for `action` on `key`; `None`
/// for an error that it never gives.
fn result(reply: Reply, key: &Bytes, action: &Action) -> Option<Try> {
    let answer = match reply {
        Reply::Stored { version } => Answer::Stored(version),
        Reply::Deleted => Answer::Deleted,
        Reply::Value(value) => Answer::Bare(value),
        Reply::Meta(kv::Item { value, version, exptime: 0 }) => Answer::Value(version, value),
        Reply::Meta(item) => Answer::Expiring(listed(key.clone(), item)),
        Reply::Scan { items, more } => {
            Answer::Page(items.into_iter().map(|(key, item)| listed(key, item)).collect(), more)
        }
        Reply::Committed { revision, replies } => {
            let parts: Vec<&Part> = action.parts().iter().filter(|part| part.has_reply()).collect();
            if parts.len() != replies.len() {
                return None;
            }
            let answers = parts.into_iter().zip(replies);
            let answers = answers.map(|(part, reply)| answer_to(part, reply));
            Answer::Committed(revision, answers.collect::<Option<_>>()?)
        }
        Reply::Aborted { key, version } => Answer::Aborted(key, version),
        Reply::Lease { id, seconds } => {
            if lease_name(id) != *key {
                return None;
            }
            Answer::Lease(seconds)
        }
        Reply::Revoked => Answer::Revoked,
        Reply::Compacted { revision } => Answer::Compacted(revision),
        Reply::Error(error) => return result_of_error(error, action),
        _ => return None,
    };
    Some(Try::Answer(answer))
}

/// The answer that a reply gives to a command of a transaction; `None` when it never gives it.
fn answer_to(part: &Part, reply: Reply) -> Option<Answer> {
    Some(match (part, reply) {
        (Part::Set(..), Reply::Stored { version }) => Answer::Stored(version),
        (Part::Delete(_), Reply::Deleted) => Answer::Deleted,
        (Part::Delete(_) | Part::Get(_), Reply::Error(ErrorReply::NotFound)) => Answer::NotFound,
        (Part::Get(_), Reply::Meta(kv::Item { value, version, exptime: 0 })) => {
            Answer::Value(version, value)
        }
        (Part::Get(key), Reply::Meta(item)) => Answer::Expiring(listed(key.clone(), item)),
        (Part::Get(_), Reply::Error(ErrorReply::Compacted { revision })) => {
            Answer::Forgotten(revision)
        }
        _ => return None,
    })
}

/// The name of a lease in the history.
pub(super) fn lease_name(id: u64) -> Bytes {
    format!("lease {id}").into()
}

fn result_of_error(error: ErrorReply, action: &Action) -> Option<Try> {
    let (is_write, is_scan) = (!action.is_read(), matches!(action, Action::Scan { .. }));
    let is_compaction = matches!(action, Action::Compact(_));
    let answer = match error {
        // Before the newest format is in force the store knows some commands not yet.
        ErrorReply::NotYet { .. } if needs_format(action) => Answer::Refused,
        ErrorReply::NoLease if is_of_leases(action) => Answer::NoLease,
        ErrorReply::LeaseExists if matches!(action, Action::Grant(_)) => Answer::LeaseExists,
        ErrorReply::Compacted { revision } if is_compaction => Answer::Forgotten(revision),
        ErrorReply::Future { revision } if is_compaction => Answer::Future(revision),
        ErrorReply::NotFound if !is_scan && !needs_format(action) => Answer::NotFound,
        ErrorReply::Stale if is_write => Answer::Stale,
        ErrorReply::Version { version } if is_write => Answer::Mismatch(version),
        ErrorReply::Exists { version } if is_write => Answer::Exists(version),
        ErrorReply::Redirect { host, .. } => return Some(Try::Elsewhere(Some(host))),
        ErrorReply::NoLeader | ErrorReply::Busy => return Some(Try::Elsewhere(None)),
        ErrorReply::Timeout | ErrorReply::Internal(_) => return Some(Try::Lost),
        _ => return None,
    };
    Some(Try::Answer(answer))
}

fn is_of_leases(action: &Action) -> bool {
    matches!(action, Action::SetLeased(..) | Action::Renew | Action::Revoke)
}

/// True of a command that the first formats do not have.
fn needs_format(action: &Action) -> bool {
    is_of_leases(action)
        || matches!(action, Action::Transaction(_) | Action::Grant(_) | Action::Compact(_))
}

fn listed(key: Bytes, item: kv::Item) -> Item {
    let kv::Item { value, version, exptime } = item;
    Item { key, version, exptime, value }
}
