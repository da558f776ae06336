//! One connection of the load generator: it keeps a number of commands in flight, in a
//! closed loop or by a schedule, and follows the leader.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use coracle::protocol::{Address, ErrorReply, ReplyLine, first_reply};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until, timeout};

use super::report::Recorder;
use super::schedule::Schedule;
use super::workload::{Kind, Workload};

/// The state that all connections of a run share.
pub struct Run {
    pub workload: Workload,
    /// Maximum number of commands in flight on each connection.
    pub pipeline: usize,
    pub recorder: RefCell<Recorder>,
    /// Maximum silence of a connection with commands in flight; then it is lost.
    pub silence_max: Duration,
    /// The client addresses of all servers.
    pub servers: Vec<String>,
    /// The client address of the leader, as far as we know.
    pub target: RefCell<String>,
    /// Number of commands that are still to be sent.
    pub left: Cell<u64>,
    /// The schedule of an open loop.
    pub beats: Option<Beats>,
}

/// The times at which commands are to be sent, and the connections that wait for them.
pub struct Beats {
    pub schedule: Schedule,
    /// One for each connection, by its number. It is notified when a command is due, and
    /// when nothing is left.
    wakers: Vec<Notify>,
}

/// One client: a connection, and those that replace it.
pub struct Client {
    /// The place among the clients that read as fast as they can, or among the slow ones.
    number: u64,
    rng: StdRng,
    /// Number of commands of the schedule that the client has sent.
    turn: u64,
    /// True when the client reads slowly, and is not measured.
    is_slow: bool,
}

/// The reason why a connection was given up.
enum End {
    /// The leader is at this address.
    Redirect(String),
    /// The connection is lost; the text is the name under which that is counted.
    Lost(&'static str),
    /// The server knows no leader, or cannot serve. The commands were answered and are
    /// counted.
    Refused,
}

/// The pause between two tries, which is also the precision of outages.
const PAUSE: Duration = Duration::from_millis(2);
/// Minimum room for a read, in bytes.
const READ_BYTES: usize = 16 * 1024;
/// Maximum number of unsent bytes with which further commands are drawn.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// Minimum number of commands in flight on a slow connection, so that replies pile up.
const SLOW_PIPELINE: usize = 64;
/// Maximum number of bytes that a slow connection reads at a time.
const SLOW_READ_BYTES: usize = 512;
/// The pause of a slow connection after each read.
const SLOW_PAUSE: Duration = Duration::from_millis(100);
/// The kernel's buffer for the input of a slow connection, in bytes.
const SLOW_BUFFER_BYTES: u32 = 4096;

impl Client {
    /// The `number`th of all clients, `slow_percent` of which are slow. Each draws other
    /// commands, but the same ones in every run.
    pub fn new(number: u64, slow_percent: u64) -> Client {
        let slow_before = slow_count(number, slow_percent);
        let is_slow = slow_count(number + 1, slow_percent) > slow_before;
        let rng = StdRng::seed_from_u64(number);
        let number = if is_slow { slow_before } else { number - slow_before };
        Client { number, rng, turn: 0, is_slow }
    }
}

/// The number of slow clients among the first `clients`. They are spread evenly.
pub fn slow_count(clients: u64, slow_percent: u64) -> u64 {
    clients * slow_percent / 100
}

impl Beats {
    /// The beats of a schedule over this many connections.
    pub fn new(schedule: Schedule, connections: u64) -> Beats {
        Beats { schedule, wakers: (0..connections).map(|_| Notify::new()).collect() }
    }

    /// Wakes every connection when one of its commands is due. Never ends.
    async fn conduct(&self) {
        let listener = Arc::new(Notify::new());
        self.schedule.notify_beats(&listener);
        let connections = self.wakers.len() as u64;
        let mut woken = 0;
        loop {
            listener.notified().await;
            let due = self.schedule.due_count(Instant::now());
            for number in woken..due.min(woken + connections) {
                self.wakers[(number % connections) as usize].notify_one();
            }
            woken = due;
        }
    }
}

impl Run {
    /// Keeps the time of an open loop. Never ends.
    pub async fn keep_time(&self) {
        match &self.beats {
            Some(beats) => beats.conduct().await,
            None => std::future::pending().await,
        }
    }

    /// Stops the load: nothing more is sent.
    pub fn stop(&self) {
        self.left.set(0);
        for waker in self.beats.iter().flat_map(|beats| &beats.wakers) {
            waker.notify_one();
        }
    }

    /// Runs one client until nothing is left to be sent and all is answered.
    pub async fn client(&self, mut client: Client) {
        while self.left.get() > 0 {
            let target = self.target.borrow().clone();
            let Err(end) = self.session(&target, &mut client).await else { return };
            if let End::Lost(why) = end {
                self.recorder.borrow_mut().failed(why);
            }
            self.retarget(&target, end);
            sleep(PAUSE).await;
        }
    }

    /// Chooses the next target after `failed`, unless another client has done so already.
    fn retarget(&self, failed: &str, end: End) {
        let mut target = self.target.borrow_mut();
        match end {
            End::Redirect(address) => *target = address,
            End::Lost(_) | End::Refused if *target == failed => {
                let place = self.servers.iter().position(|server| server == failed);
                let next = place.map_or(0, |place| (place + 1) % self.servers.len());
                target.clone_from(&self.servers[next]);
            }
            End::Lost(_) | End::Refused => {}
        }
    }

    async fn session(&self, address: &str, client: &mut Client) -> Result<(), End> {
        let connect = timeout(self.silence_max, connect(address, client.is_slow)).await;
        let refused = || End::Lost("connection refused");
        let mut stream = connect.map_err(|_| refused())?.map_err(|_| refused())?;
        let lost = |_: io::Error| End::Lost("connection lost");
        let (mut reader, mut writer) = stream.split();
        let mut flow = Flow::new();
        flow.pause = client.is_slow.then(Instant::now);
        let mut silence = pin!(sleep(self.silence_max));
        loop {
            if flow.end.is_none() {
                self.draw(client, &mut flow);
            }
            if flow.in_flight.is_empty() || client.is_slow {
                match flow.end.take() {
                    Some(end) => return Err(end),
                    None if self.left.get() == 0 => return Ok(()),
                    None => {}
                }
            }
            let may_draw = flow.end.is_none() && flow.in_flight.len() < self.depth(client);
            tokio::select! {
                biased;
                written = writer.write(&flow.output[flow.sent..]), if flow.is_unsent() => {
                    flow.sent += written.map_err(lost)?;
                }
                read = flow.input.read(&mut reader, flow.pause), if !flow.in_flight.is_empty() => {
                    read.map_err(lost)?;
                    self.take_replies(client, &mut flow)?;
                }
                () = self.wake(client), if may_draw => {}
                () = silence.as_mut() => {
                    if flow.in_flight.is_empty() {
                        flow.heard = Instant::now();
                    } else if flow.heard.elapsed() >= self.silence_max {
                        return Err(End::Lost("no answer"));
                    }
                    silence.as_mut().reset((flow.heard + self.silence_max).into());
                }
            }
        }
    }

    fn depth(&self, client: &Client) -> usize {
        if client.is_slow { self.pipeline.max(SLOW_PIPELINE) } else { self.pipeline }
    }

    fn beats(&self, client: &Client) -> Option<&Beats> {
        self.beats.as_ref().filter(|_| !client.is_slow)
    }

    /// Waits until a command may be due.
    async fn wake(&self, client: &Client) {
        match self.beats(client) {
            Some(beats) => beats.wakers[client.number as usize].notified().await,
            None => std::future::pending().await,
        }
    }

    /// Draws commands until the maximum number is in flight, or none is due.
    fn draw(&self, client: &mut Client, flow: &mut Flow) {
        flow.forget_sent();
        let depth = self.depth(client);
        let schedule = self.beats(client).map(|beats| beats.schedule);
        let now = Instant::now();
        while flow.in_flight.len() < depth
            && flow.output.len() < OUTPUT_BYTES_MAX
            && self.left.get() > 0
        {
            let due = schedule.map_or(now, |schedule| schedule.due(client.number, client.turn));
            if due > now {
                break;
            }
            if flow.in_flight.is_empty() {
                // Nothing was in flight, so the silence before was not the server's.
                flow.heard = now;
            }
            client.turn += 1;
            flow.in_flight
                .push_back((self.workload.put_any(&mut client.rng, &mut flow.output), due));
            self.take_one(client);
        }
    }

    /// Takes one from the number of commands that are still to be sent. Commands of slow
    /// connections do not count.
    fn take_one(&self, client: &Client) {
        if !client.is_slow {
            match self.left.get() {
                1 => self.stop(),
                left => self.left.set(left - 1),
            }
        }
    }

    fn take_replies(&self, client: &Client, flow: &mut Flow) -> Result<(), End> {
        let now = Instant::now();
        flow.heard = now;
        if client.is_slow {
            flow.pause = Some(now + SLOW_PAUSE);
        }
        let mut recorder = self.recorder.borrow_mut();
        while let Some(outcome) = flow.input.next().map_err(|Malformed| End::Lost("malformed"))? {
            let (kind, sent) = flow.in_flight.pop_front().ok_or(End::Lost("malformed"))?;
            match outcome {
                Outcome::Done | Outcome::NotFound if client.is_slow => recorder.done_slowly(),
                Outcome::Done | Outcome::NotFound => recorder.done(kind, sent, now),
                Outcome::Failed(word, error) => {
                    recorder.failed(word);
                    if let Some(end) = end_after(error) {
                        flow.end.get_or_insert(end);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The reason to give the connection up after an error; `None` when it is kept.
fn end_after(error: ErrorReply) -> Option<End> {
    match error {
        ErrorReply::Redirect { host, port } => {
            Some(End::Redirect(Address { host: &host, port }.to_string()))
        }
        ErrorReply::NoLeader | ErrorReply::Internal(_) => Some(End::Refused),
        _ => None,
    }
}

async fn connect(address: &str, is_slow: bool) -> io::Result<TcpStream> {
    let stream = if is_slow {
        let address = lookup_host(address).await?.next().ok_or(io::ErrorKind::NotFound)?;
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_recv_buffer_size(SLOW_BUFFER_BYTES)?;
        socket.connect(address).await?
    } else {
        TcpStream::connect(address).await?
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The commands and bytes that are under way on a connection.
struct Flow {
    /// Unanswered commands, each with the time that its latency counts from.
    in_flight: VecDeque<(Kind, Instant)>,
    output: Vec<u8>,
    /// Number of bytes of the output that are sent.
    sent: usize,
    input: Input,
    /// The time before which a slow connection does not read.
    pause: Option<Instant>,
    /// The time when the server last sent something, or owed nothing.
    heard: Instant,
    /// Set when nothing more is to be sent: the connection is given up when all commands
    /// are answered.
    end: Option<End>,
}

impl Flow {
    fn new() -> Flow {
        Flow {
            in_flight: VecDeque::new(),
            output: Vec::new(),
            sent: 0,
            input: Input::default(),
            pause: None,
            heard: Instant::now(),
            end: None,
        }
    }

    fn is_unsent(&self) -> bool {
        self.sent < self.output.len()
    }

    fn forget_sent(&mut self) {
        if !self.is_unsent() {
            self.output.clear();
            self.sent = 0;
        }
    }
}

/// The outcome of one command.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The command was executed.
    Done,
    /// The command was executed, and the key is absent.
    NotFound,
    /// The command failed with this error; its first word comes first.
    Failed(&'a str, ErrorReply),
}

/// The bytes are no reply to any of our commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The bytes that were read and not yet taken.
#[derive(Default)]
pub struct Input {
    bytes: Vec<u8>,
    /// Number of bytes at the front that are taken.
    taken: usize,
}

impl Input {
    /// Reads more; a slow reader waits until the end of its pause first, and reads only a
    /// little. May be cancelled.
    pub async fn read(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        pause: Option<Instant>,
    ) -> io::Result<()> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        let read_bytes = match pause {
            Some(end) => {
                sleep_until(end.into()).await;
                self.bytes.reserve(SLOW_READ_BYTES);
                let mut limited = reader.take(SLOW_READ_BYTES as u64);
                limited.read_buf(&mut self.bytes).await?
            }
            None => {
                self.bytes.reserve(READ_BYTES);
                reader.read_buf(&mut self.bytes).await?
            }
        };
        if read_bytes == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    /// Takes the next reply, when all of it is there.
    pub fn next(&mut self) -> Result<Option<Outcome<'_>>, Malformed> {
        let first = first_reply(&self.bytes[self.taken..]).map_err(|_| Malformed)?;
        let Some((bytes, reply)) = first else { return Ok(None) };
        self.taken += bytes;
        Ok(Some(match reply {
            ReplyLine::Ok { .. } | ReplyLine::Value { .. } => Outcome::Done,
            ReplyLine::Error(error) => match error.reply().ok_or(Malformed)? {
                ErrorReply::NotFound => Outcome::NotFound,
                reply => Outcome::Failed(error.word(), reply),
            },
            _ => return Err(Malformed),
        }))
    }
}

#[cfg(test)]
mod tests;
