//! A client's connection: lines to send, and replies to parse.

use std::io;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::kv;
use crate::net::{Network, Stream};
use crate::protocol::{ErrorReply, Expect, Reply, ReplyLine, ReplyParser, Status};
use crate::testing::simulation::history::{Action, Answer, Item};
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
        let reply = self.parse(line.clone(), expected_reply(action)).await?;
        Ok(reply.and_then(|reply| result(reply, key, action)).ok_or(line))
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

fn expected_reply(action: &Action) -> Expect {
    match action {
        Action::Get => Expect::Meta,
        Action::GetBare => Expect::Value,
        Action::Scan { limit, .. } => Expect::Scan { limit: *limit },
        // The answer to a write may be a remembered one, of another kind of command.
        Action::Set(_) | Action::SetFor(..) | Action::Add(_) | Action::Cas(..) | Action::Delete => {
            Expect::Written
        }
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
        Reply::Error(error) => return result_of_error(error, action),
        _ => return None,
    };
    Some(Try::Answer(answer))
}

fn result_of_error(error: ErrorReply, action: &Action) -> Option<Try> {
    let (is_write, is_scan) = (!action.is_read(), matches!(action, Action::Scan { .. }));
    let answer = match error {
        ErrorReply::NotFound if !is_scan => Answer::NotFound,
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

fn listed(key: Bytes, item: kv::Item) -> Item {
    let kv::Item { value, version, exptime } = item;
    Item { key, version, exptime, value }
}
