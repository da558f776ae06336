//! A client for programs: it finds the leader, retries, and never executes a write twice.
//!
//! [`Client`] has the commands of single keys, [`Transaction`] several at one moment. [`Watch`]
//! tells the changes of keys, and [`Lease`] removes keys when this process dies. [`recipes`] has
//! locks, elections, counters and caches, and [`blocking`] all of it without a runtime. [`Error`]
//! says what a failed call has left open.
#![doc = include_str!("tutorial.md")]

pub mod blocking;
mod connection;
mod direct;
mod error;
mod item;
mod lease;
mod members;
mod reads;
pub mod recipes;
mod servers;
mod snapshot;
#[cfg(test)]
mod tests;
mod transaction;
mod watch;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use bytes::Bytes;
use connection::{Command, Connection, ReadError};
pub use direct::{digest_of, members_of, set_draining_of, set_hold_of, status_of};
pub use error::Error;
pub use item::{Item, Moment, Page};
pub use lease::{Lease, LeaseInfo, LeaseLost};
pub use members::{Changed, Transferred, Waited};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
pub use reads::At;
use servers::Servers;
use snapshot::Server;
pub use snapshot::{SnapshotDownload, SnapshotName};
use tokio::time::{Instant, sleep, timeout_at};
pub use transaction::{Committed, Fence, OperationResult, Transaction};
pub use watch::{Change, ChangeKind, Changes, Previous, Watch, WatchSpec};

use crate::commands::{Once, Operation};
use crate::protocol::{Address, ErrorReply, Reply, Request, is_name};
pub use crate::protocol::{Mode, Status};

/// The times that a [`Client`] waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Time from the call to the answer, over all retries; at most
    /// [`DEADLINE_MAX`]. Default: 10 s.
    pub deadline: Duration,
    /// Time for one try: to reach a server, send the command and read the whole reply.
    /// Then the next server is tried. Default: 2 s.
    pub try_timeout: Duration,
    /// The behavior of servers that do not lead. Default: [`Mode::Leader`], they redirect. In the
    /// other modes the client stays with the server that it was given first, for as long as that
    /// one answers; [`Mode::Stale`] gives up linearizable reads.
    pub mode: Mode,
}

impl Default for Options {
    fn default() -> Options {
        let (deadline, try_timeout) = (Duration::from_secs(10), Duration::from_secs(2));
        Options { deadline, try_timeout, mode: Mode::Leader }
    }
}

/// Maximum of [`Options::deadline`]. The servers forget a client that
/// has been silent for an hour; a retry must come well before.
pub const DEADLINE_MAX: Duration = Duration::from_secs(600);

/// Maximum number of redirects in a row that are followed at once. Further ones wait like
/// other failures, because two servers may each take the other for the leader.
const HOPS_MAX: u32 = 3;
/// The pause after the first failure. It doubles with each further one, up to
/// [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// Time after which a connection in use asks for the members again.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);
/// The longest pause. Each pause is cut by a random part, so that the clients of a dead
/// leader do not all come back at the same time.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A client of one cluster. It executes one command at a time: a program that wants more
/// in flight uses more clients.
#[derive(Debug)]
pub struct Client {
    servers: Servers,
    options: Options,
    /// The address to ask next: the leader's, as far as we know.
    target: String,
    /// The connection to `target`; `None` while a command is under way, so that a cancelled
    /// command takes its connection with it.
    connection: Option<Connection>,
    /// The `once` name, which no other client has; `None` before the first write.
    name: Option<Bytes>,
    /// True when a write was sent at some time and got no reply on its connection: a copy of
    /// it may still come to a server.
    has_open_try: bool,
    /// The `once` number of the last write.
    seq: u64,
    rng: StdRng,
    /// Time after which a connection in use asks for the members again.
    refresh_interval: Duration,
    /// The time of the last question for the members.
    asked_members_at: Instant,
}

/// The reason why one try brought no answer.
enum Failure {
    /// The leader is at this address.
    Redirect(String),
    /// The command was not executed; another try may do better.
    Refused(String),
    /// There was no answer: the command was executed or not.
    Lost(String),
}

impl Client {
    /// A client of the cluster whose servers have these client addresses
    /// (`host:port`); some of them are enough. Waits until one can be reached.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the list is empty or the deadline too long;
    /// [`Error::Unavailable`] when no server could be reached in time.
    pub async fn connect<S: Into<String>>(
        servers: impl IntoIterator<Item = S>,
        options: Options,
    ) -> Result<Client, Error> {
        let servers: Vec<String> = servers.into_iter().map(Into::into).collect();
        let Some(first) = servers.first().cloned() else {
            return Err(Error::InvalidArgument("there must be at least one server".into()));
        };
        if options.deadline > DEADLINE_MAX {
            let most = DEADLINE_MAX.as_secs();
            return Err(Error::InvalidArgument(format!("the deadline is at most {most} s")));
        }
        let mut client = Client::new(Servers::new(servers), first, options);
        client.reach().await?;
        Ok(client)
    }

    /// Another client of the same cluster, which knows the servers that this one knows, has a
    /// connection of its own with its first command, and a name of its own with its first write.
    #[must_use]
    pub fn sibling(&self) -> Client {
        Client::new(self.servers.clone(), self.target.clone(), self.options)
    }

    /// A sibling whose reads are linearizable whatever the mode of this client.
    fn linearizable_sibling(&self) -> Client {
        let mut client = self.sibling();
        if client.options.mode == Mode::Stale {
            client.options.mode = Mode::Any;
        }
        client
    }

    fn new(servers: Servers, target: String, options: Options) -> Client {
        Client {
            servers,
            options,
            target,
            connection: None,
            name: None,
            has_open_try: false,
            seq: 0,
            rng: StdRng::seed_from_u64(system_random()),
            refresh_interval: REFRESH_INTERVAL,
            asked_members_at: Instant::now(),
        }
    }

    /// The times that this client waits, and its mode.
    pub fn options(&self) -> Options {
        self.options
    }

    /// Writes the value, whatever is there; `exptime` in seconds, 0 for never.
    /// Returns the new version.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn set(
        &mut self,
        key: impl AsRef<[u8]>,
        exptime: u64,
        value: &[u8],
    ) -> Result<u64, Error> {
        let (key, value) = (name_of(key)?, Bytes::copy_from_slice(value));
        self.store(Operation::Set { key, exptime, value, lease: 0 }).await
    }

    /// Writes the value if the key is absent. Returns the new version.
    ///
    /// # Errors
    /// [`Error::Exists`] when it is not; see [`Error`].
    pub async fn add(
        &mut self,
        key: impl AsRef<[u8]>,
        exptime: u64,
        value: &[u8],
    ) -> Result<u64, Error> {
        let (key, value) = (name_of(key)?, Bytes::copy_from_slice(value));
        self.store(Operation::Add { key, exptime, value, lease: 0 }).await
    }

    /// Writes the value if the key has this version, 0 for an absent key.
    /// Returns the new version.
    ///
    /// # Errors
    /// [`Error::VersionMismatch`] when it has another; see [`Error`].
    pub async fn cas(
        &mut self,
        key: impl AsRef<[u8]>,
        exptime: u64,
        version: u64,
        value: &[u8],
    ) -> Result<u64, Error> {
        let (key, value) = (name_of(key)?, Bytes::copy_from_slice(value));
        self.store(Operation::Cas { key, exptime, version, value, lease: 0 }).await
    }

    /// Removes the key.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; see [`Error`].
    pub async fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<(), Error> {
        match self.write(Operation::Delete { key: name_of(key)? }).await? {
            Reply::Deleted => Ok(()),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    /// The status of one server: the leader, as far as this client knows.
    /// Any server answers; to ask a certain one, see [`status_of`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn status(&mut self) -> Result<Status, Error> {
        match self.execute(Request::Status).await? {
            Reply::Status(status) => Ok(status),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    /// Has the leader put the next format of the cluster in force, whatever the time that the
    /// members have been able to read it. Returns the format that is in force then: the same as
    /// before when there is no higher one.
    ///
    /// # Errors
    /// [`Error::NotYet`] when something forbids it; see [`Error`].
    pub async fn raise(&mut self) -> Result<u64, Error> {
        match self.execute(Request::Raise).await? {
            Reply::Raised { format } => Ok(format),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    /// Has the leader take a snapshot that holds every write acknowledged before this
    /// call, waits for it, and begins to fetch it. The bytes are of no use before all of
    /// them are here and their digest is right.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when that was not done in time, and when the server is lost;
    /// see [`Error`].
    pub async fn begin_snapshot(&mut self) -> Result<SnapshotDownload, Error> {
        let deadline = Instant::now() + self.options.deadline;
        let index = match self.execute(Request::BeginSnapshot).await? {
            Reply::SnapshotBegun { index } => index,
            _ => unreachable!("the parser gives what is expected"),
        };
        // Only the server that took the command takes the snapshot. Its connection is there,
        // because the command was answered.
        let connection = self.connection.take();
        let server = Server::new(self.target.clone(), self.options.try_timeout, deadline);
        SnapshotDownload::begin(server, connection, index).await
    }

    async fn store(&mut self, operation: Operation) -> Result<u64, Error> {
        match self.write(operation).await? {
            Reply::Stored { version } => Ok(version),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    async fn write(&mut self, operation: Operation) -> Result<Reply, Error> {
        let once = Some(self.next_once());
        self.execute(Request::Write { operation, once, noreply: false }).await
    }

    /// The number of the next write. Raised before the first try: that of a cancelled write is
    /// never used again.
    fn next_once(&mut self) -> Once {
        self.seq += 1;
        Once { client: self.name.get_or_insert_with(new_name).clone(), seq: self.seq }
    }

    /// Ends the client: the servers forget its name at once and not after an hour. Waits for
    /// that for no longer than for one try of a command. A client that has written nothing
    /// has no name, and one of whose writes a try got no reply keeps it for the hour: a copy
    /// of that try may still come to a server, which must know that it has been executed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] or [`Error::Unknown`] when no server said in time that it is
    /// forgotten. Nothing is lost then: the name is remembered for the hour.
    pub async fn close(mut self) -> Result<(), Error> {
        let Some(client) = self.name.take().filter(|_| !self.has_open_try) else { return Ok(()) };
        self.options.deadline = self.options.deadline.min(self.options.try_timeout);
        let once = Some(Once { client, seq: self.seq });
        let end = Request::Write { operation: Operation::End, once, noreply: false };
        match self.execute(end).await? {
            Reply::Ended => Ok(()),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    /// Tries one server after the other until there is an answer or the deadline passes.
    async fn execute(&mut self, request: Request) -> Result<Reply, Error> {
        self.execute_command(Command::new(request)).await
    }

    async fn execute_command(&mut self, command: Command) -> Result<Reply, Error> {
        let deadline = Instant::now() + self.options.deadline;
        let mut may_have_executed = false;
        let mut failures = 0;
        let mut hops = 0;
        loop {
            let last = match self.attempt(&command, deadline).await {
                Ok(Reply::Error(reply)) => match failure_or_error(reply) {
                    Ok(failure) => failure,
                    // An earlier try of this write may still be executed after this answer,
                    // unless the answer is the one that the servers remember.
                    Err(error) if may_have_executed && !command.is_settled_by(&error) => {
                        return Err(Error::Unknown { last: error.to_string() });
                    }
                    Err(error) => return Err(error),
                },
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            let last = match last {
                Failure::Redirect(address) => {
                    hops += 1;
                    self.servers.note_failure(&self.target);
                    self.turn_to(address.clone());
                    if hops <= HOPS_MAX {
                        continue;
                    }
                    format!("redirected to {address}, and on and on")
                }
                Failure::Refused(reason) => {
                    self.turn_to_next();
                    reason
                }
                Failure::Lost(reason) if !command.may_be_repeated() => {
                    return Err(Error::Unknown { last: reason });
                }
                Failure::Lost(reason) => {
                    may_have_executed |= command.is_write();
                    self.turn_to_next();
                    reason
                }
            };
            hops = 0;
            if !self.pause(failures, deadline).await {
                return Err(match may_have_executed {
                    true => Error::Unknown { last },
                    false => Error::Unavailable { last },
                });
            }
            failures += 1;
        }
    }

    async fn dial(&self) -> Result<Connection, ReadError> {
        Connection::dial(&self.target, self.options.mode).await
    }

    /// Sends the command to one server, once. On a new connection, and now and then on one in use,
    /// it asks for the members as well, without waiting in between.
    async fn attempt(&mut self, command: &Command, deadline: Instant) -> Result<Reply, Failure> {
        let until = deadline.min(Instant::now() + self.options.try_timeout);
        let is_stale = self.asked_members_at.elapsed() >= self.refresh_interval;
        let (mut connection, asks_members) = match self.connection.take() {
            Some(connection) => (connection, is_stale),
            None => match timeout_at(until, self.dial()).await {
                Ok(Ok(connection)) => (connection, true),
                Ok(Err(error)) => return Err(Failure::Refused(self.at_target(&error.to_string()))),
                Err(_) => return Err(Failure::Refused(self.at_target("it cannot be reached"))),
            },
        };
        // Set before the command is sent, in case that it is cancelled.
        let had_open_try = self.has_open_try;
        self.has_open_try |= command.is_once();
        let until = if command.is_waited_for() { deadline } else { until };
        let exchange = async {
            if !asks_members {
                return Ok((None, connection.exchange(command).await?));
            }
            let (members, reply) = connection.exchange_both(&members_command(), command).await?;
            Ok((Some(members), reply))
        };
        match timeout_at(until, exchange).await {
            Ok(Ok((members, reply))) => {
                self.has_open_try = had_open_try;
                self.connection = Some(connection);
                if let Some(members) = members {
                    self.learn(&members);
                }
                self.servers.note_answer(&self.target);
                Ok(reply)
            }
            Ok(Err::<_, ReadError>(error)) => {
                Err(Failure::Lost(self.at_target(&error.to_string())))
            }
            Err(_) => Err(Failure::Lost(self.at_target("no reply in time"))),
        }
    }

    /// Waits for a server that takes connections and answers, and learns the members from it.
    async fn reach(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + self.options.deadline;
        let mut failures = 0;
        loop {
            let until = deadline.min(Instant::now() + self.options.try_timeout);
            let exchange = async {
                let mut connection = self.dial().await?;
                let members = connection.exchange(&members_command()).await?;
                Ok::<_, ReadError>((connection, members))
            };
            let last = match timeout_at(until, exchange).await {
                Ok(Ok((_, Reply::Error(error)))) if !matches!(error, ErrorReply::CmdErr(_)) => {
                    self.at_target(&error.to_string())
                }
                Ok(Ok((connection, members))) => {
                    self.connection = Some(connection);
                    self.learn(&members);
                    self.servers.note_answer(&self.target);
                    return Ok(());
                }
                Ok(Err(error)) => self.at_target(&error.to_string()),
                Err(_) => self.at_target("it cannot be reached"),
            };
            self.turn_to_next();
            if !self.pause(failures, deadline).await {
                return Err(Error::Unavailable { last });
            }
            failures += 1;
        }
    }

    /// Waits before the next try; false when the deadline comes first.
    async fn pause(&mut self, failures: u32, deadline: Instant) -> bool {
        let pause = PAUSE_MAX.min(PAUSE_MIN * 2_u32.pow(failures.min(10)));
        let pause = pause.mul_f64(self.rng.random_range(0.5..1.0));
        if Instant::now() + pause >= deadline {
            return false;
        }
        sleep(pause).await;
        true
    }

    fn turn_to(&mut self, address: String) {
        self.connection = None;
        self.target = address;
    }

    /// Turns to another server, because this one did not help.
    fn turn_to_next(&mut self) {
        let next = self.servers.after(&self.target);
        self.turn_to(next);
    }

    /// Takes the members from the reply to `member list`. A server from before that command answers
    /// with an error: then the client keeps the servers that it knows.
    fn learn(&mut self, members: &Reply) {
        self.asked_members_at = Instant::now();
        if let Reply::Members(report) = members {
            self.servers.learn(report);
        }
    }

    fn at_target(&self, reason: &str) -> String {
        format!("{}: {reason}", self.target)
    }
}

/// Returns the failure when an error reply is worth another try, and the error when the
/// reply is the answer.
fn failure_or_error(reply: ErrorReply) -> Result<Failure, Error> {
    Ok(match reply {
        ErrorReply::Redirect { host, port } => {
            Failure::Redirect(Address { host: &host, port }.to_string())
        }
        ErrorReply::NoLeader | ErrorReply::Busy => Failure::Refused(reply.to_string()),
        ErrorReply::Timeout | ErrorReply::Internal(_) | ErrorReply::Unknown(_) => {
            Failure::Lost(reply.to_string())
        }
        ErrorReply::NotFound => return Err(Error::NotFound),
        ErrorReply::Version { version } => return Err(Error::VersionMismatch { version }),
        ErrorReply::Exists { version } => return Err(Error::Exists { version }),
        // No other client has our name, and we have not used a higher number, so this must not
        // happen. An earlier try may have been executed.
        ErrorReply::Stale => return Err(Error::Unknown { last: reply.to_string() }),
        ErrorReply::Full => return Err(Error::Full),
        ErrorReply::Compacted { revision } => return Err(Error::Compacted { revision }),
        ErrorReply::Future { revision } => return Err(Error::Future { revision }),
        ErrorReply::NoLease => return Err(Error::NoLease),
        ErrorReply::LeaseExists => return Err(Error::LeaseExists),
        ErrorReply::NotYet { sentence } => return Err(Error::NotYet { sentence }),
        ErrorReply::Refused { sentence } => return Err(Error::NotSafe { sentence }),
        ErrorReply::CmdErr(_) | ErrorReply::TooLarge(_) => {
            return Err(Error::Refused { reply: reply.to_string() });
        }
    })
}

/// The question for the members.
fn members_command() -> Command {
    Command::new(Request::Members)
}

/// A name that no other client has.
fn new_name() -> Bytes {
    format!("{:016x}{:016x}", system_random(), system_random()).into()
}

/// A random number of the system. The hash keys are the standard library's only public source
/// of it.
fn system_random() -> u64 {
    RandomState::new().hash_one(0)
}

/// A key, copied, if it can be one. The servers decide how long it may be.
fn name_of(key: impl AsRef<[u8]>) -> Result<Bytes, Error> {
    let key = key.as_ref();
    if key.is_empty() {
        return Err(Error::InvalidArgument("a key has at least one byte".into()));
    }
    if !is_name(key) {
        let reason = "a key holds no spaces and no control characters";
        return Err(Error::InvalidArgument(reason.into()));
    }
    Ok(Bytes::copy_from_slice(key))
}
