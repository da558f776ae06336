//! Fetches a snapshot for a backup, in pieces of its file (docs/adr/0011).

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::connection::{Command, Connection, ReadError};
use super::error::Error;
use crate::protocol::{ErrorReply, Expect, Reply, Request, SnapshotQuery};
use crate::types::{LogIndex, LogPosition, Term};

/// Length of a piece in bytes.
const PIECE_BYTES: u64 = 256 * 1024;
/// Maximum number of pieces that are asked for before the first of them is there, so that
/// no time is lost to round trips.
const PIECES_INFLIGHT: u32 = 4;
/// The pause before a server is asked again for something that it could not send yet.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The identity of a snapshot of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotName {
    /// The last entry that is in the snapshot.
    pub last_included_index: u64,
    /// The term of that entry.
    pub last_included_term: u64,
    /// The size of the file in bytes.
    pub bytes: u64,
    /// The digest of the file.
    pub digest: u128,
}

/// A snapshot that is being fetched. Not cancel-safe: a caller that drops a future of it
/// must drop the download, too.
#[derive(Debug)]
pub struct SnapshotDownload {
    server: Server,
    connection: Connection,
    name: SnapshotName,
    /// Bytes that have been returned.
    received: u64,
    /// Bytes that have been asked for.
    asked: u64,
    /// Pieces that have been asked for and have not come.
    inflight: u32,
}

/// The server that a snapshot is fetched from, and no other, with the bounds on waiting.
#[derive(Debug)]
pub(super) struct Server {
    address: String,
    /// Maximum time for one reply.
    try_timeout: Duration,
    deadline: Instant,
}

impl SnapshotDownload {
    /// Waits for the snapshot that reaches `index`, over the connection on which its
    /// server began it.
    pub(super) async fn begin(
        server: Server,
        connection: Option<Connection>,
        index: u64,
    ) -> Result<SnapshotDownload, Error> {
        let Some(mut connection) = connection else {
            return Err(server.unavailable("its connection is gone"));
        };
        let query = SnapshotQuery::Find { index: LogIndex(index) };
        let find = Command::new(Request::Snapshot(query));
        while Instant::now() < server.deadline {
            match server.in_time(connection.exchange(&find)).await? {
                Reply::Snapshot { index, term, bytes, digest } => {
                    let name = SnapshotName {
                        last_included_index: index,
                        last_included_term: term,
                        bytes,
                        digest,
                    };
                    let (received, asked, inflight) = (0, 0, 0);
                    return Ok(SnapshotDownload {
                        server,
                        connection,
                        name,
                        received,
                        asked,
                        inflight,
                    });
                }
                Reply::Error(ErrorReply::NotFound | ErrorReply::Timeout | ErrorReply::Busy) => {
                    sleep(POLL_INTERVAL).await;
                }
                Reply::Error(error) => return Err(server.unavailable(&error.to_string())),
                _ => unreachable!("the parser gives what is expected"),
            }
        }
        Err(server.unavailable("the snapshot was not taken in time"))
    }

    /// The identity of the snapshot.
    pub fn name(&self) -> SnapshotName {
        self.name
    }

    /// The next bytes of the file; `None` at its end.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the server is lost, has the snapshot no longer, or the
    /// deadline has passed: begin again.
    pub async fn next_piece(&mut self) -> Result<Option<Vec<u8>>, Error> {
        while self.received < self.name.bytes {
            self.ask_ahead().await?;
            match self.reply().await? {
                Reply::Value(piece) if piece.len() as u64 == self.due_bytes() => {
                    self.received += piece.len() as u64;
                    return Ok(Some(piece.to_vec()));
                }
                Reply::Value(piece) => {
                    let reason = format!("it sent {} bytes of a snapshot", piece.len());
                    return Err(self.server.unavailable(&reason));
                }
                // Perhaps the server is writing the next snapshot: ask once more from here.
                Reply::Error(ErrorReply::Timeout | ErrorReply::Busy) => self.go_back().await?,
                Reply::Error(ErrorReply::NotFound) => {
                    return Err(self.server.unavailable("it has the snapshot no longer"));
                }
                Reply::Error(error) => return Err(self.server.unavailable(&error.to_string())),
                _ => unreachable!("the parser gives what is expected"),
            }
            if Instant::now() >= self.server.deadline {
                return Err(self.server.unavailable("the snapshot was not sent in time"));
            }
        }
        Ok(None)
    }

    /// The size of the next piece.
    fn due_bytes(&self) -> u64 {
        PIECE_BYTES.min(self.name.bytes - self.received)
    }

    async fn ask_ahead(&mut self) -> Result<(), Error> {
        while self.asked < self.name.bytes && self.inflight < PIECES_INFLIGHT {
            let SnapshotName { last_included_index, last_included_term, digest, .. } = self.name;
            let (index, term) = (LogIndex(last_included_index), Term(last_included_term));
            let command = Command::new(Request::Snapshot(SnapshotQuery::Read {
                last: LogPosition { index, term },
                digest,
                offset: self.asked,
                bytes_max: PIECE_BYTES as usize,
            }));
            self.server.in_time(self.connection.send(&command)).await?;
            self.asked += PIECE_BYTES;
            self.inflight += 1;
        }
        Ok(())
    }

    async fn reply(&mut self) -> Result<Reply, Error> {
        self.inflight -= 1;
        self.server.in_time(self.connection.reply(Expect::Value)).await
    }

    /// Drops the replies that are still to come, and asks again from the last byte that has
    /// been returned.
    async fn go_back(&mut self) -> Result<(), Error> {
        while self.inflight > 0 {
            self.reply().await?;
        }
        self.asked = self.received;
        sleep(POLL_INTERVAL).await;
        Ok(())
    }
}

impl Server {
    /// The server at `address`.
    pub(super) fn new(address: String, try_timeout: Duration, deadline: Instant) -> Server {
        Server { address, try_timeout, deadline }
    }

    async fn in_time<T>(
        &self,
        done: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, Error> {
        match timeout(self.try_timeout, done).await {
            Ok(done) => done.map_err(|error| self.unavailable(&error.to_string())),
            Err(_) => Err(self.unavailable("no reply in time")),
        }
    }

    fn unavailable(&self, reason: &str) -> Error {
        Error::Unavailable { last: format!("{}: {reason}", self.address) }
    }
}
