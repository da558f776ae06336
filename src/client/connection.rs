//! One connection to one server: commands out, replies in.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::protocol::{Expect, Malformed, Reply, ReplyParser, Request};

/// The bytes of one command, which can be sent as often as necessary.
#[derive(Clone, Debug)]
pub(super) struct Command {
    bytes: Vec<u8>,
    expect: Expect,
    is_write: bool,
    may_be_repeated: bool,
    is_waited_for: bool,
}

/// A connection, and the bytes of later replies that were read with an earlier one.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    input: BytesMut,
}

/// The reason why there is no reply. The connection is of no further use.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The connection broke.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The connection ended.
    #[error("the server closed the connection")]
    Closed,
    /// The bytes are not Coracle's protocol, or beyond its bounds.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Minimum room for a read, in bytes. The buffer grows with the bytes that come, not with
/// the lengths that are announced.
const READ_BYTES: usize = 8 * 1024;

impl Command {
    /// The command in bytes. It must be one that gets a reply.
    pub(super) fn new(request: Request) -> Command {
        let expect = request.expect().expect("this client sends no command without a reply");
        let is_write = matches!(request, Request::Write { .. });
        let may_be_repeated = match &request {
            Request::Member(request) => request.is_dry_run,
            Request::Transfer(_) => false,
            _ => true,
        };
        let is_waited_for = matches!(
            request,
            Request::Member(_) | Request::Transfer(_) | Request::WaitForChange { .. }
        );
        let mut bytes = Vec::new();
        request.print(&mut bytes);
        Command { bytes, expect, is_write, may_be_repeated, is_waited_for }
    }

    pub(super) fn is_write(&self) -> bool {
        self.is_write
    }

    /// True when another try may follow one without an answer. A change of the members or of the
    /// leader may have begun, and a second one is not the same.
    pub(super) fn may_be_repeated(&self) -> bool {
        self.may_be_repeated
    }

    /// True when the server may take all its time for the answer.
    pub(super) fn is_waited_for(&self) -> bool {
        self.is_waited_for
    }
}

impl Connection {
    pub(super) async fn dial(address: &str) -> Result<Connection, ReadError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, input: BytesMut::new() })
    }

    pub(super) async fn send(&mut self, command: &Command) -> Result<(), ReadError> {
        Ok(self.stream.write_all(&command.bytes).await?)
    }

    pub(super) async fn reply(&mut self, expect: Expect) -> Result<Reply, ReadError> {
        read_reply(&mut self.stream, &mut self.input, expect).await
    }

    /// Sends a command and reads its reply.
    pub(super) async fn exchange(&mut self, command: &Command) -> Result<Reply, ReadError> {
        self.send(command).await?;
        self.reply(command.expect).await
    }

    /// Sends two commands at once, and reads both replies.
    pub(super) async fn exchange_both(
        &mut self,
        first: &Command,
        second: &Command,
    ) -> Result<(Reply, Reply), ReadError> {
        let bytes = [&first.bytes[..], &second.bytes[..]].concat();
        self.stream.write_all(&bytes).await?;
        Ok((self.reply(first.expect).await?, self.reply(second.expect).await?))
    }
}

/// Reads one reply; `input` keeps the bytes that come after it.
pub(super) async fn read_reply(
    reader: &mut (impl AsyncRead + Unpin),
    input: &mut BytesMut,
    expect: Expect,
) -> Result<Reply, ReadError> {
    let mut parser = ReplyParser::new(expect);
    loop {
        if let Some(reply) = parser.next(input)? {
            return Ok(reply);
        }
        input.reserve(READ_BYTES);
        if reader.read_buf(input).await? == 0 {
            return Err(ReadError::Closed);
        }
    }
}
