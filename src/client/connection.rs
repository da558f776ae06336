//! One connection to one server: commands out, replies in.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::error::Error;
use crate::commands::{Once, Operation};
use crate::protocol::{Expect, Malformed, Mode, Reply, ReplyParser, Request};

/// The bytes of one command, which can be sent as often as necessary. A transaction is one command
/// of several lines.
#[derive(Clone, Debug)]
pub(super) struct Command {
    bytes: Vec<u8>,
    /// The replies that it gets; the last one is the answer.
    expects: Vec<Expect>,
    repeat: Repeat,
    is_waited_for: bool,
    /// The number of its first bytes that are `begin`; 0 when it is no transaction.
    begin_bytes: usize,
}

/// The effect of another try of a command that has got no answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Repeat {
    /// Nothing: it has no effect.
    Read,
    /// Nothing: the servers remember the first execution.
    Once,
    /// Nothing: what is done already cannot be done a second time. An error that says so settles
    /// the earlier tries as well.
    Settled(fn(&Error) -> bool),
    /// Anything, so that there is none.
    Never,
}

/// A connection, and the bytes of later replies that were read with an earlier one.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    input: BytesMut,
    /// The command that sets the mode, until it is sent with the first one.
    unsent_mode: Option<Command>,
    /// True when the reply to that command has not been read.
    owes_mode: bool,
    /// True when the server has said that it knows transactions.
    knows_transactions: bool,
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
        let is_waited_for = matches!(
            request,
            Request::Member(_) | Request::Transfer(_) | Request::WaitForChange { .. }
        );
        let repeat = Repeat::of(&request);
        let mut bytes = Vec::new();
        request.print(&mut bytes);
        Command { bytes, expects: vec![expect], repeat, is_waited_for, begin_bytes: 0 }
    }

    /// A transaction of these commands, in bytes.
    pub(super) fn transaction(requests: Vec<Request>, once: Option<Once>) -> Command {
        let repeat = if once.is_some() { Repeat::Once } else { Repeat::Read };
        let mut expects = vec![Expect::Done];
        expects.extend(requests.iter().map(|_| Expect::Queued));
        expects.push(Expect::Committed);
        let mut bytes = Vec::new();
        Request::Begin.print(&mut bytes);
        let begin_bytes = bytes.len();
        requests.into_iter().for_each(|request| request.print(&mut bytes));
        Request::Commit { once }.print(&mut bytes);
        Command { bytes, expects, repeat, is_waited_for: false, begin_bytes }
    }

    /// True when the command may have an effect.
    pub(super) fn is_write(&self) -> bool {
        matches!(self.repeat, Repeat::Once | Repeat::Settled(_))
    }

    /// True when a copy of the command that still comes to a server is known there by its number.
    pub(super) fn is_once(&self) -> bool {
        matches!(self.repeat, Repeat::Once)
    }

    /// True when another try may follow one without an answer. A change of the members or of the
    /// leader may have begun, and a second one is not the same.
    pub(super) fn may_be_repeated(&self) -> bool {
        !matches!(self.repeat, Repeat::Never)
    }

    /// True when this answer says what became of earlier tries without an answer, too.
    pub(super) fn is_settled_by(&self, error: &Error) -> bool {
        match self.repeat {
            Repeat::Read | Repeat::Never => true,
            Repeat::Once => error.is_remembered(),
            Repeat::Settled(settles) => settles(error),
        }
    }

    /// True when the server may take all its time for the answer.
    pub(super) fn is_waited_for(&self) -> bool {
        self.is_waited_for
    }
}

impl Repeat {
    fn of(request: &Request) -> Repeat {
        match request {
            Request::Write { once: Some(_), .. } => Repeat::Once,
            Request::Write { operation, .. } => match operation {
                Operation::Grant { .. } => {
                    Repeat::Settled(|error| matches!(error, Error::LeaseExists))
                }
                Operation::Revoke { .. } => {
                    Repeat::Settled(|error| matches!(error, Error::NoLease))
                }
                Operation::Compact { .. } => {
                    Repeat::Settled(|error| matches!(error, Error::Compacted { .. }))
                }
                _ => Repeat::Never,
            },
            Request::Member(request) if !request.is_dry_run => Repeat::Never,
            Request::Transfer(_) => Repeat::Never,
            _ => Repeat::Read,
        }
    }
}

impl Connection {
    /// Connects to the server at `address`, for commands in this mode.
    ///
    /// A server that does not know the command for it redirects, and that is no failure.
    pub(super) async fn dial(address: &str, mode: Mode) -> Result<Connection, ReadError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let unsent_mode = match mode {
            Mode::Leader => None,
            Mode::Any | Mode::Stale => Some(Command::new(Request::SetMode(mode))),
        };
        let (owes_mode, knows_transactions) = (false, false);
        let input = BytesMut::new();
        Ok(Connection { stream, input, unsent_mode, owes_mode, knows_transactions })
    }

    pub(super) async fn send(&mut self, command: &Command) -> Result<(), ReadError> {
        self.send_bytes(&[&command.bytes]).await
    }

    async fn send_bytes(&mut self, parts: &[&[u8]]) -> Result<(), ReadError> {
        let mut bytes = Vec::new();
        if let Some(mode) = self.unsent_mode.take() {
            bytes = mode.bytes;
            self.owes_mode = true;
        }
        // One packet for all of it, and no copy for one part.
        if let ([part], true) = (parts, bytes.is_empty()) {
            return Ok(self.stream.write_all(part).await?);
        }
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        Ok(self.stream.write_all(&bytes).await?)
    }

    pub(super) async fn reply(&mut self, expect: Expect) -> Result<Reply, ReadError> {
        if std::mem::take(&mut self.owes_mode) {
            read_reply(&mut self.stream, &mut self.input, Expect::Done).await?;
        }
        read_reply(&mut self.stream, &mut self.input, expect).await
    }

    /// Sends a command and reads its answer.
    pub(super) async fn exchange(&mut self, command: &Command) -> Result<Reply, ReadError> {
        if command.begin_bytes > 0 && !self.knows_transactions {
            return self.begin_and_exchange(command).await;
        }
        self.send(command).await?;
        self.answer(&command.expects).await
    }

    /// Sends two commands at once, and reads both answers.
    pub(super) async fn exchange_both(
        &mut self,
        first: &Command,
        second: &Command,
    ) -> Result<(Reply, Reply), ReadError> {
        if second.begin_bytes > 0 && !self.knows_transactions {
            let first = self.exchange(first).await?;
            return Ok((first, self.exchange(second).await?));
        }
        self.send_bytes(&[&first.bytes, &second.bytes]).await?;
        Ok((self.answer(&first.expects).await?, self.answer(&second.expects).await?))
    }

    /// Executes the first transaction of the connection. A server that does not know `begin` would
    /// execute the commands behind it one by one, so they wait for its answer.
    async fn begin_and_exchange(&mut self, command: &Command) -> Result<Reply, ReadError> {
        let (begin, rest) = command.bytes.split_at(command.begin_bytes);
        self.send_bytes(&[begin]).await?;
        let begun = self.reply(command.expects[0]).await?;
        if matches!(begun, Reply::Error(_)) {
            return Ok(begun);
        }
        self.knows_transactions = true;
        self.send_bytes(&[rest]).await?;
        self.answer(&command.expects[1..]).await
    }

    /// Reads the replies of one command, and returns the last one. When that is an error, and one
    /// came before it, the first one is the reason and is returned.
    async fn answer(&mut self, expects: &[Expect]) -> Result<Reply, ReadError> {
        let mut refusal = None;
        let mut last = None;
        for expect in expects {
            let reply = self.reply(*expect).await?;
            if matches!(reply, Reply::Error(_)) && refusal.is_none() {
                refusal = Some(reply.clone());
            }
            last = Some(reply);
        }
        let last = last.expect("every command gets a reply");
        Ok(match refusal {
            Some(refusal) if matches!(last, Reply::Error(_)) => refusal,
            _ => last,
        })
    }

    /// Reads further bytes. Cancel-safe: what was read is in [`Connection::input`].
    pub(super) async fn fill(&mut self) -> Result<(), ReadError> {
        fill(&mut self.stream, &mut self.input).await
    }

    /// The bytes that were read and not taken.
    pub(super) fn input(&mut self) -> &mut BytesMut {
        &mut self.input
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
        fill(reader, input).await?;
    }
}

async fn fill(
    reader: &mut (impl AsyncRead + Unpin),
    input: &mut BytesMut,
) -> Result<(), ReadError> {
    input.reserve(READ_BYTES);
    match reader.read_buf(input).await? {
        0 => Err(ReadError::Closed),
        _ => Ok(()),
    }
}
