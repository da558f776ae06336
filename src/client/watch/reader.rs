//! The side of a watch that talks to servers: one connection after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::changes::{Change, Changes};
use crate::client::connection::{Command, Connection, ReadError};
use crate::client::{Client, Error, Failure, PAUSE_MAX, failure_or_error, members_command};
use crate::protocol::{ErrorReply, Reply, Request, WatchParser, WatchPart, WatchRequest};

/// Time without a byte after which a connection is given up. A server says something every five
/// seconds.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// The times after which a watch looks whether its server is cut off.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckTimes {
    /// Time without a change after which the cluster is asked for its revision.
    pub silence: Duration,
    /// Time that the server has from then on to come to that revision.
    pub patience: Duration,
}

/// Reads a watch, over as many connections as it takes.
///
/// Invariants: `next` is the first revision of which nothing was returned, and the changes of
/// `next` and later ones that were received on a connection that broke are dropped with it.
pub(super) struct Reader {
    /// The servers, and the one that is watched. It executes no commands.
    client: Client,
    request: WatchRequest,
    wants_progress: bool,
    /// The first revision whose changes have not been returned; `None` until a server has said it.
    next: Option<u64>,
    /// The highest revision that a server has told of.
    seen: u64,
    /// The revision up to which everything was returned, for the watch's owner.
    position: Arc<AtomicU64>,
    stream: Option<Streaming>,
    failures: u32,
    check: Check,
}

/// A connection that is a stream of changes.
struct Streaming {
    connection: Connection,
    parser: WatchParser,
    /// The changes of the revision that has not ended.
    changes: Vec<Change>,
    /// The revision of these changes.
    revision: u64,
}

/// The question whether the server is cut off from the others.
struct Check {
    times: CheckTimes,
    /// The time of the next question, or of the verdict.
    at: Instant,
    /// The revision that the server has to have reached by then.
    owed: Option<u64>,
}

/// The reason why the connection is of no more use.
enum Broken {
    /// It broke, or the server does not help.
    Lost,
    /// The server has ended the watch, with an answer that no other server would give.
    Ended(Error),
}

impl From<ReadError> for Broken {
    fn from(_: ReadError) -> Broken {
        Broken::Lost
    }
}

impl Reader {
    /// A watch that has not begun.
    pub(super) fn new(
        client: Client,
        request: WatchRequest,
        wants_progress: bool,
        position: Arc<AtomicU64>,
    ) -> Reader {
        let times =
            CheckTimes { silence: Duration::from_secs(30), patience: Duration::from_secs(10) };
        let check = Check { times, at: Instant::now() + times.silence, owed: None };
        let next = request.from;
        let (seen, stream, failures) = (0, None, 0);
        Reader { client, request, wants_progress, next, seen, position, stream, failures, check }
    }

    /// Asks servers for the watch until one begins it; for ever, or for a time.
    ///
    /// # Errors
    /// When a server refuses it for good, and [`Error::Unavailable`] when the time is over.
    pub(super) async fn begin(&mut self, patience: Option<Duration>) -> Result<(), Error> {
        let deadline = patience.map(|patience| Instant::now() + patience);
        loop {
            let until = Instant::now() + self.client.options.try_timeout;
            let until = deadline.map_or(until, |deadline| deadline.min(until));
            let last = match timeout_at(until, self.ask()).await {
                Ok(Ok(Reply::Watching { revision })) => {
                    let next = *self.next.get_or_insert(revision);
                    self.seen_up_to(next - 1);
                    self.client.servers.note_answer(&self.client.target);
                    return Ok(());
                }
                Ok(Ok(Reply::Error(reply))) => match failure_or_error(reply)? {
                    Failure::Redirect(reason)
                    | Failure::Refused(reason)
                    | Failure::Lost(reason) => reason,
                },
                Ok(Ok(_)) => unreachable!("the parser gives what is expected"),
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no reply in time".into(),
            };
            let last = self.client.at_target(&last);
            self.leave_server();
            // Without a deadline, one that no pause comes to.
            let patience = deadline.unwrap_or_else(|| Instant::now() + 2 * PAUSE_MAX);
            if !self.client.pause(self.failures, patience).await {
                return Err(Error::Unavailable { last });
            }
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// The next changes.
    ///
    /// # Errors
    /// The reasons for which a watch ends.
    pub(super) async fn next(&mut self) -> Result<Changes, Error> {
        loop {
            if self.stream.is_none() {
                self.begin(None).await?;
            }
            match self.read().await {
                Ok(Some(changes)) => return Ok(changes),
                Ok(None) => {}
                Err(Broken::Lost) => self.leave_server(),
                Err(Broken::Ended(error)) => return Err(error),
            }
        }
    }

    /// Asks one server for the watch, once, and for the members.
    async fn ask(&mut self) -> Result<Reply, ReadError> {
        let mut connection = self.client.dial().await?;
        let request = WatchRequest { from: self.next, ..self.request.clone() };
        let watch = Command::new(Request::Watch(request));
        let (members, reply) = connection.exchange_both(&members_command(), &watch).await?;
        self.client.learn(&members);
        if matches!(reply, Reply::Watching { .. }) {
            let parser = WatchParser::new();
            self.stream = Some(Streaming { connection, parser, changes: Vec::new(), revision: 0 });
            self.check.put_off();
        }
        Ok(reply)
    }

    /// Reads until a revision is complete, or something is due.
    async fn read(&mut self) -> Result<Option<Changes>, Broken> {
        let Some(stream) = &mut self.stream else { return Err(Broken::Lost) };
        let silent_at = Instant::now() + SILENCE_MAX;
        loop {
            let part = stream.parser.next(stream.connection.input()).map_err(ReadError::from)?;
            match part {
                Some(part) => return self.take(part),
                None if Instant::now() >= self.check.at => {
                    return self.check_server().await.map(|()| None);
                }
                None => {}
            }
            match timeout_at(silent_at.min(self.check.at), stream.connection.fill()).await {
                Ok(filled) => filled?,
                Err(_) if Instant::now() >= silent_at => return Err(Broken::Lost),
                Err(_) => {}
            }
        }
    }

    fn take(&mut self, part: WatchPart) -> Result<Option<Changes>, Broken> {
        let (Some(stream), Some(next)) = (&mut self.stream, self.next) else {
            return Err(Broken::Lost);
        };
        match part {
            WatchPart::Event(event) => {
                let is_first = stream.changes.is_empty();
                // A server that repeats something, or tears a revision, is not believed.
                if event.revision < next || (!is_first && event.revision != stream.revision) {
                    return Err(Broken::Lost);
                }
                stream.revision = event.revision;
                stream.changes.push(Change::new(event));
                Ok(None)
            }
            WatchPart::End { revision } => {
                let changes = std::mem::take(&mut stream.changes);
                if !changes.is_empty() && revision != stream.revision {
                    return Err(Broken::Lost);
                }
                self.failures = 0;
                self.seen = self.seen.max(revision);
                self.next = Some(next.max(revision + 1));
                self.seen_up_to(revision);
                if !changes.is_empty() {
                    self.check.put_off();
                }
                let is_wanted = !changes.is_empty() || self.wants_progress;
                Ok(is_wanted.then_some(Changes { revision, changes }))
            }
            WatchPart::Ended(reply) => Err(match ended_for(reply) {
                Some(error) => Broken::Ended(error),
                None => Broken::Lost,
            }),
        }
    }

    /// Everything up to `revision` has been returned, or will be with the next changes.
    fn seen_up_to(&mut self, revision: u64) {
        self.position.fetch_max(revision, Ordering::AcqRel);
        if self.check.owed.is_some_and(|owed| owed <= revision) {
            self.check.put_off();
        }
    }

    /// Asks the cluster for its revision, or leaves the server when it has not come to the one that
    /// the cluster was at some time ago.
    async fn check_server(&mut self) -> Result<(), Broken> {
        if self.check.owed.is_some() {
            return Err(Broken::Lost);
        }
        // A client of its own: that one may be sent to the leader, the watch stays where it is.
        let mut asker = self.client.linearizable_sibling();
        asker.options.deadline = asker.options.try_timeout;
        self.check.put_off();
        let Ok(revision) = asker.revision().await else {
            // Nobody leads. Then there is nothing that this server could have missed.
            return Ok(());
        };
        if revision < self.seen {
            return Err(Broken::Ended(Error::Future { revision }));
        }
        if self.next.is_some_and(|next| next <= revision) {
            self.check.owed = Some(revision);
            self.check.at = Instant::now() + self.check.times.patience;
        }
        Ok(())
    }

    fn leave_server(&mut self) {
        self.stream = None;
        self.client.turn_to_next();
    }

    #[cfg(test)]
    pub(super) fn set_check_times(&mut self, times: CheckTimes) {
        self.check.times = times;
        self.check.put_off();
    }
}

impl Check {
    fn put_off(&mut self) {
        (self.owed, self.at) = (None, Instant::now() + self.times.silence);
    }
}

/// The error with which the watch ends; `None` when another server may go on with it.
fn ended_for(reply: ErrorReply) -> Option<Error> {
    failure_or_error(reply).err()
}
