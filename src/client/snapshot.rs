//! Fetching a snapshot for a backup (docs/adr/0011).

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep, timeout};

use super::command::Command;
use super::reply::{ErrorReply, Expect, Reply, read_reply};
use super::{Client, Connection, Error, exchange};

/// How much is asked for at a time ...
const PIECE_BYTES: u64 = 256 * 1024;
/// ... and how often before the first of it is there: the way to the server and back
/// costs no time then.
const PIECES_INFLIGHT: u32 = 4;
/// Between two questions for what is not there yet.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// A snapshot of one server, by what tells it from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotName {
    /// The last entry that is in it.
    pub last_included_index: u64,
    /// That entry's term.
    pub last_included_term: u64,
    /// The size of its file.
    pub bytes: u64,
    /// The digest of its file.
    pub digest: u128,
}

/// A snapshot on its way here. Not cancel-safe: whoever drops a future of it drops it, too.
#[derive(Debug)]
pub struct SnapshotDownload {
    connection: Connection,
    address: String,
    name: SnapshotName,
    /// One reply may take so long.
    try_timeout: Duration,
    deadline: Instant,
    received: u64,
    asked: u64,
    inflight: u32,
}

impl Client {
    /// Has the leader take a snapshot that holds every write acknowledged before this call,
    /// waits for it, and begins to fetch it. Nothing of it is worth anything before all
    /// of it is here and its digest is right.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when that was not done in time, and when the server is lost;
    /// see [`Error`].
    pub async fn begin_snapshot(&mut self) -> Result<SnapshotDownload, Error> {
        let deadline = Instant::now() + self.options.deadline;
        let index = match self.execute(&Command::snapshot_begin(), Expect::Stored).await? {
            Reply::Stored { version: index } => index,
            _ => unreachable!("the parser gives what is expected"),
        };
        let address = self.target.clone();
        // The server that is taking it, and no other. A command that was answered leaves
        // its connection behind.
        let Some(mut connection) = self.connection.take() else {
            return Err(unavailable(&address, "its connection is gone"));
        };
        let find = Command::snapshot_find(index);
        let try_timeout = self.options.try_timeout;
        while Instant::now() < deadline {
            let asked = exchange(&mut connection, &find, Expect::Snapshot);
            let reply = in_time(&address, try_timeout, asked).await?;
            match reply {
                Reply::Snapshot(name) => {
                    return Ok(SnapshotDownload {
                        connection,
                        address,
                        name,
                        try_timeout,
                        deadline,
                        received: 0,
                        asked: 0,
                        inflight: 0,
                    });
                }
                Reply::Error(ErrorReply::NotFound | ErrorReply::Timeout | ErrorReply::Busy) => {
                    sleep(POLL_INTERVAL).await;
                }
                Reply::Error(error) => return Err(unavailable(&address, &error.to_string())),
                _ => unreachable!("the parser gives what is expected"),
            }
        }
        Err(unavailable(&address, "the snapshot was not taken in time"))
    }
}

impl SnapshotDownload {
    /// Which it is.
    pub fn name(&self) -> SnapshotName {
        self.name
    }

    /// The next bytes of the file; `None` behind its end.
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
                    return Ok(Some(piece));
                }
                Reply::Value(piece) => {
                    let reason = format!("it sent {} bytes of a snapshot", piece.len());
                    return Err(unavailable(&self.address, &reason));
                }
                // It is writing the next snapshot, perhaps: once more from here.
                Reply::Error(ErrorReply::Timeout | ErrorReply::Busy) => self.go_back().await?,
                Reply::Error(ErrorReply::NotFound) => {
                    return Err(unavailable(&self.address, "it has the snapshot no longer"));
                }
                Reply::Error(error) => return Err(unavailable(&self.address, &error.to_string())),
                _ => unreachable!("the parser gives what is expected"),
            }
            if Instant::now() >= self.deadline {
                return Err(unavailable(&self.address, "the snapshot was not sent in time"));
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
            let command = Command::snapshot_read(&self.name, self.asked, PIECE_BYTES);
            let sent = async {
                self.connection.get_mut().write_all(command.as_bytes()).await.map_err(Into::into)
            };
            in_time(&self.address, self.try_timeout, sent).await?;
            self.asked += PIECE_BYTES;
            self.inflight += 1;
        }
        Ok(())
    }

    async fn reply(&mut self) -> Result<Reply, Error> {
        self.inflight -= 1;
        let reply = read_reply(&mut self.connection, Expect::Value);
        in_time(&self.address, self.try_timeout, reply).await
    }

    async fn go_back(&mut self) -> Result<(), Error> {
        while self.inflight > 0 {
            self.reply().await?;
        }
        self.asked = self.received;
        sleep(POLL_INTERVAL).await;
        Ok(())
    }
}

async fn in_time<T>(
    address: &str,
    patience: Duration,
    done: impl Future<Output = Result<T, super::reply::ReadError>>,
) -> Result<T, Error> {
    match timeout(patience, done).await {
        Ok(done) => done.map_err(|error| unavailable(address, &error.to_string())),
        Err(_) => Err(unavailable(address, "no reply in time")),
    }
}

fn unavailable(address: &str, reason: &str) -> Error {
    Error::Unavailable { last: format!("{address}: {reason}") }
}
