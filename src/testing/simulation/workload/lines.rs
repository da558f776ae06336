//! A client's connection: lines to send, and replies to parse.

use std::io;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::net::{Network, Stream};
use crate::testing::simulation::history::{Action, Answer, Item};
use crate::testing::simulation::network::SimHost;

/// A connection to a node. Its halves can be used at the same time.
pub(crate) struct Lines {
    pub(super) reader: LineReader,
    pub(super) writer: Box<dyn AsyncWrite + Send + Unpin>,
}

/// The replies of a node.
pub(crate) struct LineReader(BufReader<Box<dyn AsyncRead + Send + Unpin>>);

impl Lines {
    pub(crate) async fn connect(from: &SimHost, to: &str) -> io::Result<Lines> {
        let Stream { reader, writer } = from.connect(to, 9000).await?;
        Ok(Lines { reader: LineReader(BufReader::new(reader)), writer })
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await
    }

    pub(crate) async fn line(&mut self) -> io::Result<String> {
        self.reader.line().await
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

    async fn block(&mut self, bytes: usize) -> io::Result<Bytes> {
        let mut block = vec![0; bytes];
        self.0.read_exact(&mut block).await?;
        self.line().await?;
        Ok(block.into())
    }

    /// The result of `action` on `key`, whose reply begins with `line`. An inner `Err` is a reply
    /// that docs/protocol.md does not allow for this command.
    pub(super) async fn reply(
        &mut self,
        line: String,
        key: &Bytes,
        action: &Action,
    ) -> io::Result<Result<Try, String>> {
        let fields: Vec<&str> = line.split(' ').collect();
        let is_listing = matches!(fields[0], "KEY" | "END" | "MORE");
        let answer = match fields.as_slice() {
            ["OK", version] => number(version).map(Answer::Stored),
            ["DELETED"] => Some(Answer::Deleted),
            ["ERR_NOT_FOUND"] => Some(Answer::NotFound),
            ["ERR_STALE"] => Some(Answer::Stale),
            ["ERR_VERSION", version] => number(version).map(Answer::Mismatch),
            ["ERR_EXISTS", version] => number(version).map(Answer::Exists),
            ["VALUE", bytes] => match bytes.parse() {
                Ok(bytes) => Some(Answer::Bare(self.block(bytes).await?)),
                Err(_) => None,
            },
            ["VALUE", numbers @ ..] => self.item(key.clone(), numbers).await?.map(value),
            _ if is_listing => self.page(line.clone()).await?,
            ["ERR_REDIRECT", address] => {
                let host = address.split(':').next().map(str::to_owned);
                return Ok(Ok(Try::Elsewhere(host)));
            }
            ["ERR_NO_LEADER"] | ["ERR_BUSY"] => return Ok(Ok(Try::Elsewhere(None))),
            ["ERR_TIMEOUT"] | ["ERR_INTERNAL", ..] => return Ok(Ok(Try::Lost)),
            _ => None,
        };
        Ok(answer.filter(|answer| is_answer_to(answer, action)).map(Try::Answer).ok_or(line))
    }

    async fn item(&mut self, key: Bytes, numbers: &[&str]) -> io::Result<Option<Item>> {
        let [version, exptime, bytes] = numbers else { return Ok(None) };
        let (Some(version), Some(exptime)) = (number(version), number(exptime)) else {
            return Ok(None);
        };
        let Ok(bytes) = bytes.parse() else { return Ok(None) };
        Ok(Some(Item { key, version, exptime, value: self.block(bytes).await? }))
    }

    async fn page(&mut self, mut line: String) -> io::Result<Option<Answer>> {
        let mut items = Vec::new();
        loop {
            let fields: Vec<&str> = line.split(' ').collect();
            match fields.as_slice() {
                ["END"] => return Ok(Some(Answer::Page(items, false))),
                ["MORE"] => return Ok(Some(Answer::Page(items, true))),
                ["KEY", key, numbers @ ..] => {
                    let key = Bytes::copy_from_slice(key.as_bytes());
                    match self.item(key, numbers).await? {
                        Some(item) => items.push(item),
                        None => return Ok(None),
                    }
                }
                _ => return Ok(None),
            }
            line = self.line().await?;
        }
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

fn number(field: &str) -> Option<u64> {
    field.parse().ok()
}

fn value(item: Item) -> Answer {
    match item.exptime {
        0 => Answer::Value(item.version, item.value),
        _ => Answer::Expiring(item),
    }
}

fn is_answer_to(answer: &Answer, action: &Action) -> bool {
    match answer {
        // The answer to a write may be a remembered one, of another kind of command.
        Answer::Stored(_)
        | Answer::Deleted
        | Answer::Mismatch(_)
        | Answer::Exists(_)
        | Answer::Stale => !action.is_read(),
        Answer::NotFound => !matches!(action, Action::Scan { .. }),
        Answer::Value(..) | Answer::Expiring(_) => *action == Action::Get,
        Answer::Bare(_) => *action == Action::GetBare,
        Answer::Page(..) => matches!(action, Action::Scan { .. }),
        Answer::Unknown | Answer::Refused => false,
    }
}
