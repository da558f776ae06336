//! A client for programs: it finds the leader, retries, and never executes a
//! write twice.
//!
//! A write that got no answer may have been executed or not. So every write
//! carries the protocol's `once` prefix: this client's random name and a rising
//! number, kept on a retry; the servers remember the last number with its reply,
//! and a retry gets that reply instead of a second execution. What is still
//! open when the deadline passes is told as what it is, [`Error::Unknown`], and
//! never as a failure; [`Error::Unavailable`] means that nothing was executed.
//!
//! ```no_run
//! use coracle::client::{Client, Error, Options};
//!
//! # async fn example() -> Result<(), Error> {
//! let servers = ["127.0.0.1:9000", "127.0.0.1:9002", "127.0.0.1:9004"];
//! let mut client = Client::connect(servers, Options::default()).await?;
//! let version = client.set("greeting", 0, b"hello").await?;
//! assert_eq!(client.get("greeting").await?, b"hello");
//! match client.cas("greeting", 0, version, b"goodbye").await {
//!     Ok(version) => println!("replaced, now at version {version}"),
//!     Err(Error::VersionMismatch { version }) => println!("somebody else was at {version}"),
//!     Err(error) => return Err(error),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! All methods are cancel-safe: dropping the future of a command drops its
//! connection, so no late reply is taken for another command's. A write that is
//! cancelled may still be executed, once.

mod command;
mod error;
mod reply;
mod snapshot;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use command::Command;
pub use error::Error;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use reply::{ErrorReply, Expect, ReadError, Reply};
pub use reply::{Item, Page, Status};
pub use snapshot::{SnapshotDownload, SnapshotName};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How patient a [`Client`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// From the call to the answer, over all retries; at most
    /// [`DEADLINE_MAX`]. Default: 10 s.
    pub deadline: Duration,
    /// One try: reaching a server, sending the command and reading the whole
    /// reply. Then the next server is tried. Default: 2 s.
    pub try_timeout: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options { deadline: Duration::from_secs(10), try_timeout: Duration::from_secs(2) }
    }
}

/// The most that [`Options::deadline`] may be. The servers forget a client that
/// has been silent for an hour; a retry must come well before.
pub const DEADLINE_MAX: Duration = Duration::from_secs(600);

/// Redirects that are followed at once; further ones wait like other failures,
/// for two servers may each take the other for the leader.
const HOPS_MAX: u32 = 3;
/// The pause after the first failure; it doubles with each further one ...
const PAUSE_MIN: Duration = Duration::from_millis(10);
/// ... up to this. Each pause is cut by a random part, so that the clients of a
/// dead leader do not all come back at the same moment.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// A client of one cluster. One command at a time: a program that wants more in
/// flight uses more clients.
#[derive(Debug)]
pub struct Client {
    /// Client addresses, at least one.
    servers: Vec<String>,
    options: Options,
    /// Whom to ask next: the leader as far as we know.
    target: String,
    /// To `target`; `None` while a command is under way, so that a cancelled
    /// command takes its connection with it.
    connection: Option<Connection>,
    /// The `once` name; no other client has it.
    name: String,
    /// The `once` number of the last write.
    seq: u64,
    rng: StdRng,
}

type Connection = BufReader<TcpStream>;

/// Why one try did not answer.
enum Failure {
    /// The leader is at this address.
    Redirect(String),
    /// Not executed; another try may do better.
    Refused(String),
    /// No answer: executed or not.
    Lost(String),
}

impl Client {
    /// A client of the cluster whose servers have these client addresses
    /// (`host:port`); some of them are enough. Waits until one can be reached.
    ///
    /// # Errors
    /// When the list is empty or the deadline too long
    /// ([`Error::InvalidArgument`]), or no server could be reached in time
    /// ([`Error::Unavailable`]).
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
        // The standard library's hash keys are its one public source of the system's randomness.
        let random = [RandomState::new().hash_one(0), RandomState::new().hash_one(1)];
        let mut client = Client {
            servers,
            options,
            target: first,
            connection: None,
            name: format!("{:016x}{:016x}", random[0], random[1]),
            seq: 0,
            rng: StdRng::seed_from_u64(random[0]),
        };
        client.reach().await?;
        Ok(client)
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
        self.store(Command::set(key.as_ref(), exptime, value)?).await
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
        self.store(Command::add(key.as_ref(), exptime, value)?).await
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
        self.store(Command::cas(key.as_ref(), exptime, version, value)?).await
    }

    /// Removes the key.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; see [`Error`].
    pub async fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<(), Error> {
        let command = Command::delete(key.as_ref())?;
        match self.write(command, Expect::Deleted).await? {
            Reply::Deleted => Ok(()),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    /// The value of the key.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; see [`Error`].
    pub async fn get(&mut self, key: impl AsRef<[u8]>) -> Result<Vec<u8>, Error> {
        match self.execute(&Command::get(key.as_ref())?, Expect::Value).await? {
            Reply::Value(value) => Ok(value),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    /// The value of the key with its version and the time it has left.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none; see [`Error`].
    pub async fn getm(&mut self, key: impl AsRef<[u8]>) -> Result<Item, Error> {
        match self.execute(&Command::getm(key.as_ref())?, Expect::Item).await? {
            Reply::Item(item) => Ok(item),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    /// Up to `limit` (1 to 10,000) keys that begin with `prefix` (empty: every
    /// key) and come behind `after`, in byte order, as of one moment. When
    /// [`Page::more`] says so, go on behind the last key.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn scan(
        &mut self,
        prefix: impl AsRef<[u8]>,
        limit: u64,
        after: Option<&[u8]>,
    ) -> Result<Page, Error> {
        let command = Command::scan(prefix.as_ref(), limit, after)?;
        match self.execute(&command, Expect::Page { limit }).await? {
            Reply::Page(page) => Ok(page),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    /// What one server tells of itself: the leader, as far as this client knows.
    /// Any server answers; to ask a certain one, see [`status_of`].
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn status(&mut self) -> Result<Status, Error> {
        match self.execute(&Command::status(), Expect::Status).await? {
            Reply::Status(status) => Ok(status),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    async fn store(&mut self, command: Command) -> Result<u64, Error> {
        match self.write(command, Expect::Stored).await? {
            Reply::Stored { version } => Ok(version),
            _ => unreachable!("the parser gives what is expected"),
        }
    }

    async fn write(&mut self, command: Command, expect: Expect) -> Result<Reply, Error> {
        // Raised before the first try: the number of a cancelled write is never used again.
        self.seq += 1;
        self.execute(&command.once(&self.name, self.seq), expect).await
    }

    /// Tries until there is an answer or the deadline passes.
    async fn execute(&mut self, command: &Command, expect: Expect) -> Result<Reply, Error> {
        let deadline = Instant::now() + self.options.deadline;
        let mut may_have_executed = false;
        let mut failures = 0;
        let mut hops = 0;
        loop {
            let last = match self.attempt(command, expect, deadline).await {
                Ok(Reply::Error(reply)) => match failure_or_error(reply) {
                    Ok(failure) => failure,
                    // An earlier try of this write may still be executed behind this answer,
                    // unless the answer is the one that the servers remember.
                    Err(error) if may_have_executed && !error.is_remembered() => {
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

    /// One try, at one server.
    async fn attempt(
        &mut self,
        command: &Command,
        expect: Expect,
        deadline: Instant,
    ) -> Result<Reply, Failure> {
        let deadline = deadline.min(Instant::now() + self.options.try_timeout);
        let kept = self.connection.take();
        let mut connection = match kept {
            Some(connection) => connection,
            None => match timeout_at(deadline, dial(&self.target)).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(error)) => return Err(Failure::Refused(self.at_target(&error.to_string()))),
                Err(_) => return Err(Failure::Refused(self.at_target("it cannot be reached"))),
            },
        };
        match timeout_at(deadline, exchange(&mut connection, command, expect)).await {
            Ok(Ok(reply)) => {
                self.connection = Some(connection);
                Ok(reply)
            }
            Ok(Err(error)) => Err(Failure::Lost(self.at_target(&error.to_string()))),
            Err(_) => Err(Failure::Lost(self.at_target("no reply in time"))),
        }
    }

    /// Waits for a server that takes connections.
    async fn reach(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + self.options.deadline;
        let mut failures = 0;
        loop {
            let until = deadline.min(Instant::now() + self.options.try_timeout);
            let last = match timeout_at(until, dial(&self.target)).await {
                Ok(Ok(connection)) => {
                    self.connection = Some(connection);
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

    /// The server behind the last one; the first when that was not in the list.
    fn turn_to_next(&mut self) {
        let position = self.servers.iter().position(|server| *server == self.target);
        let next = position.map_or(0, |position| (position + 1) % self.servers.len());
        self.turn_to(self.servers[next].clone());
    }

    fn at_target(&self, reason: &str) -> String {
        format!("{}: {reason}", self.target)
    }
}

/// What the server at `address` tells of itself, asked directly and once.
///
/// # Errors
/// [`Error::Unavailable`] when it does not answer within `patience`.
pub async fn status_of(address: &str, patience: Duration) -> Result<Status, Error> {
    let ask = async {
        let mut connection = dial(address).await?;
        exchange(&mut connection, &Command::status(), Expect::Status).await
    };
    let unavailable = |reason: &str| Error::Unavailable { last: format!("{address}: {reason}") };
    match timeout(patience, ask).await {
        Ok(Ok(Reply::Status(status))) => Ok(status),
        Ok(Ok(Reply::Error(reply))) => Err(unavailable(&reply.to_string())),
        Ok(Ok(_)) => unreachable!("the parser gives what is expected"),
        Ok(Err(error)) => Err(unavailable(&error.to_string())),
        Err(_) => Err(unavailable("no answer in time")),
    }
}

async fn dial(address: &str) -> Result<Connection, ReadError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

async fn exchange(
    connection: &mut Connection,
    command: &Command,
    expect: Expect,
) -> Result<Reply, ReadError> {
    connection.get_mut().write_all(command.as_bytes()).await?;
    reply::read_reply(connection, expect).await
}

/// Whether an error reply is worth another try, or is the answer.
fn failure_or_error(reply: ErrorReply) -> Result<Failure, Error> {
    Ok(match reply {
        ErrorReply::Redirect(address) => Failure::Redirect(address),
        ErrorReply::NoLeader | ErrorReply::Busy => Failure::Refused(reply.to_string()),
        ErrorReply::Timeout | ErrorReply::Internal(_) => Failure::Lost(reply.to_string()),
        ErrorReply::NotFound => return Err(Error::NotFound),
        ErrorReply::Version(version) => return Err(Error::VersionMismatch { version }),
        ErrorReply::Exists(version) => return Err(Error::Exists { version }),
        // Nobody else has our name, and we have not used a higher number: something is amiss,
        // and an earlier try may have been executed.
        ErrorReply::Stale => return Err(Error::Unknown { last: reply.to_string() }),
        ErrorReply::Full => return Err(Error::Full),
        ErrorReply::CmdErr(_) | ErrorReply::TooLarge(_) => {
            return Err(Error::Refused { reply: reply.to_string() });
        }
    })
}
