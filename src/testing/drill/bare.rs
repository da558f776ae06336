//! A client that sends each command once, as plain text, and never with `once`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::PATIENCE;
use super::failure::Failure;
use crate::kv::{Operation, Query};
use crate::protocol::{Address, ErrorReply, Reply, ReplyParser, Request};
use crate::testing::simulation::{Action, Answer};

/// The time for one reply.
const REPLY_PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a command that was not executed.
const PAUSE: Duration = Duration::from_millis(10);

/// A client of a cluster.
pub(super) struct BareClient {
    servers: Vec<String>,
    /// The place of the next server to ask in the list.
    next: usize,
    connection: Option<TcpStream>,
}

/// The end of one try.
enum Try {
    Answered(Answer),
    /// The command was not executed. The leader is at this address, if one is known.
    NotExecuted(Option<String>),
}

impl BareClient {
    /// A client of the cluster with these addresses.
    pub(super) fn new(servers: Vec<String>, number: u64) -> BareClient {
        let next = number as usize % servers.len();
        BareClient { servers, next, connection: None }
    }

    /// Asks one server after the other until the command may have been executed.
    pub(super) fn ask(&mut self, key: &Bytes, action: &Action) -> Result<Answer, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let mut target = None;
        while Instant::now() < deadline {
            match self.attempt(target.take(), key, action)? {
                Try::Answered(answer) => return Ok(answer),
                Try::NotExecuted(leader) => {
                    self.connection = None;
                    if leader.is_none() {
                        self.next = (self.next + 1) % self.servers.len();
                        sleep(PAUSE);
                    }
                    target = leader;
                }
            }
        }
        Ok(Answer::Refused)
    }

    fn attempt(
        &mut self,
        target: Option<String>,
        key: &Bytes,
        action: &Action,
    ) -> Result<Try, Failure> {
        let address = target.unwrap_or_else(|| self.servers[self.next].clone());
        let mut stream = match self.connection.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(&address) {
                Ok(stream) => stream,
                Err(_) => return Ok(Try::NotExecuted(None)),
            },
        };
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_PATIENCE))?;
        let request = request(key, action);
        let Some(reply) = exchange(&mut stream, request) else {
            return Ok(Try::Answered(Answer::Unknown));
        };
        let tried = judge(reply)?;
        if let Try::Answered(_) = tried {
            self.connection = Some(stream);
        }
        Ok(tried)
    }
}

/// Sends a command and reads its reply; `None` without a whole reply.
fn exchange(stream: &mut TcpStream, request: Request) -> Option<Reply> {
    let mut parser = ReplyParser::new(request.expect()?);
    let mut bytes = Vec::new();
    request.print(&mut bytes);
    stream.write_all(&bytes).ok()?;
    let mut input = BytesMut::new();
    let mut piece = [0; 4096];
    loop {
        if let Some(reply) = parser.next(&mut input).ok()? {
            return Some(reply);
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            length => input.extend_from_slice(&piece[..length]),
        }
    }
}

fn judge(reply: Reply) -> Result<Try, Failure> {
    let error = match reply {
        Reply::Stored { version } => return Ok(Try::Answered(Answer::Stored(version))),
        Reply::Deleted => return Ok(Try::Answered(Answer::Deleted)),
        Reply::Meta(item) => return Ok(Try::Answered(Answer::Value(item.version, item.value))),
        Reply::Error(error) => error,
        reply => return Err(Failure::new(format!("no reply to such a command: {reply:?}"))),
    };
    Ok(match error {
        ErrorReply::NotFound => Try::Answered(Answer::NotFound),
        ErrorReply::Version { version } => Try::Answered(Answer::Mismatch(version)),
        ErrorReply::Exists { version } => Try::Answered(Answer::Exists(version)),
        ErrorReply::Timeout | ErrorReply::Internal(_) => Try::Answered(Answer::Unknown),
        ErrorReply::NoLeader | ErrorReply::Busy => Try::NotExecuted(None),
        ErrorReply::Redirect { host, port } => {
            Try::NotExecuted(Some(Address { host: &host, port }.to_string()))
        }
        error => return Err(Failure::new(format!("a server replied {error}"))),
    })
}

fn request(key: &Bytes, action: &Action) -> Request {
    let (key, exptime) = (key.clone(), 0);
    let operation = match action.clone() {
        Action::Set(value) => Operation::Set { key, exptime, value, lease: 0 },
        Action::Add(value) => Operation::Add { key, exptime, value, lease: 0 },
        Action::Cas(version, value) => Operation::Cas { key, exptime, version, value, lease: 0 },
        Action::Delete => Operation::Delete { key },
        _ => return Request::Read(Query::GetMeta { key, at: 0 }),
    };
    Request::Write { operation, once: None, noreply: false }
}
