//! One connection of the load generator: it keeps a number of commands in flight,
//! in a closed loop or by a schedule, and goes where the leader is.

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

/// What all connections of a run have in common.
pub struct Run {
    pub workload: Workload,
    /// Commands in flight on each connection.
    pub pipeline: usize,
    pub recorder: RefCell<Recorder>,
    /// A connection with commands in flight that is silent for longer is lost.
    pub silence_max: Duration,
    /// Client addresses of all servers.
    pub servers: Vec<String>,
    /// The leader's, as far as we know.
    pub target: RefCell<String>,
    /// So many commands are still to be sent.
    pub left: Cell<u64>,
    /// Of an open loop.
    pub beats: Option<Beats>,
}

/// When commands are to be sent, and who waits for that.
pub struct Beats {
    pub schedule: Schedule,
    /// By the number of the connection: something is due, or nothing is left.
    wakers: Vec<Notify>,
}

/// One connection, and those that replace it.
pub struct Client {
    /// Among those that read as fast as they can, or among the others.
    number: u64,
    rng: StdRng,
    /// Commands of the schedule that it has sent.
    turn: u64,
    /// Reads slowly, and is not measured.
    is_slow: bool,
}

/// Why a connection was given up.
enum End {
    /// The leader is at this address.
    Redirect(String),
    /// It leads nobody knows where, or the connection is lost: as it is counted.
    Lost(&'static str),
    /// As before, but the commands were answered and are counted.
    Refused,
}

/// Between two tries; also how exactly an outage can be told.
const PAUSE: Duration = Duration::from_millis(2);
const READ_BYTES: usize = 16 * 1024;
/// No more commands are drawn while so much waits to be sent.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// A slow connection has at least so many commands in flight, so that replies pile up,
const SLOW_PIPELINE: usize = 64;
/// reads no more at a time,
const SLOW_READ_BYTES: usize = 512;
/// then nothing for so long,
const SLOW_PAUSE: Duration = Duration::from_millis(100);
/// and lets the kernel keep little more.
const SLOW_BUFFER_BYTES: u32 = 4096;

impl Client {
    /// The `number`th of all, `slow_percent` of which are slow. Each draws other
    /// commands, but the same in every run.
    pub fn new(number: u64, slow_percent: u64) -> Client {
        let slow_before = slow_count(number, slow_percent);
        let is_slow = slow_count(number + 1, slow_percent) > slow_before;
        let rng = StdRng::seed_from_u64(number);
        let number = if is_slow { slow_before } else { number - slow_before };
        Client { number, rng, turn: 0, is_slow }
    }
}

/// How many of the first `clients` are slow: spread evenly.
pub fn slow_count(clients: u64, slow_percent: u64) -> u64 {
    clients * slow_percent / 100
}

impl Beats {
    /// Over so many connections.
    pub fn new(schedule: Schedule, connections: u64) -> Beats {
        Beats { schedule, wakers: (0..connections).map(|_| Notify::new()).collect() }
    }

    /// Wakes every connection when it has something to send.
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

    /// Nothing more is sent.
    pub fn stop(&self) {
        self.left.set(0);
        for waker in self.beats.iter().flat_map(|beats| &beats.wakers) {
            waker.notify_one();
        }
    }

    /// One client, until nothing is left to be sent and all is answered.
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

    /// Another client may have gone on from `failed` already.
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

    /// Waits until there may be something to send.
    async fn wake(&self, client: &Client) {
        match self.beats(client) {
            Some(beats) => beats.wakers[client.number as usize].notified().await,
            None => std::future::pending().await,
        }
    }

    /// Draws commands until as many are in flight as may be.
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
                // The silence before was ours.
                flow.heard = now;
            }
            client.turn += 1;
            flow.in_flight
                .push_back((self.workload.put_any(&mut client.rng, &mut flow.output), due));
            self.take_one(client);
        }
    }

    /// One less is left; what a slow connection sends is beside the count.
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

/// The reason to give the connection up after an error, if that is one.
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

/// What is under way on a connection.
struct Flow {
    /// With the time that its latency counts from.
    in_flight: VecDeque<(Kind, Instant)>,
    output: Vec<u8>,
    /// So much of the output is sent.
    sent: usize,
    input: Input,
    /// No reading before.
    pause: Option<Instant>,
    /// When the server last said something, or had no reason to.
    heard: Instant,
    /// Nothing is sent any more, and when all is answered the connection is given up.
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

/// What was read and not yet taken.
#[derive(Default)]
pub struct Input {
    bytes: Vec<u8>,
    /// Before it all is taken.
    taken: usize,
}

impl Input {
    /// Waits for more; a slow reader until the end of its pause first, and for no
    /// more than a little. May be cancelled.
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

    /// The next whole reply.
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
mod tests {
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::net::TcpListener;

    use super::super::workload::Distribution;
    use super::*;

    /// Reads, one after the other.
    fn run(servers: &[&TcpListener], pipeline: usize, count: u64, beats: Option<Beats>) -> Run {
        let address = |server: &&TcpListener| server.local_addr().unwrap().to_string();
        let servers: Vec<String> = servers.iter().map(address).collect();
        let mut recorder = Recorder::new();
        recorder.begin(Instant::now());
        Run {
            workload: Workload::new(1000, Distribution::Sequential, 1, 100),
            pipeline,
            silence_max: Duration::from_secs(10),
            recorder: RefCell::new(recorder),
            target: RefCell::new(servers[0].clone()),
            servers,
            left: Cell::new(count),
            beats,
        }
    }

    async fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.unwrap()
    }

    /// Answers every line of a connection, and returns how many came.
    async fn serve(listener: &TcpListener, reply: &str) -> u64 {
        let mut stream = BufReader::new(listener.accept().await.unwrap().0);
        let mut lines = 0;
        let mut line = String::new();
        while stream.read_line(&mut line).await.is_ok_and(|bytes| bytes > 0) {
            lines += 1;
            line.clear();
            if stream.write_all(reply.as_bytes()).await.is_err() {
                break;
            }
        }
        lines
    }

    #[tokio::test]
    async fn a_closed_loop_sends_what_is_left_and_ends() {
        let server = listener().await;
        let run = run(&[&server], 3, 100, None);
        let (lines, ()) =
            tokio::join!(serve(&server, "VALUE 1\r\nx\r\n"), run.client(Client::new(0, 0)));
        assert_eq!(lines, 100);
        assert_eq!(run.recorder.borrow().so_far(), (100, 0));
    }

    #[tokio::test]
    async fn no_more_are_in_flight_than_may_be() {
        let server = listener().await;
        let run = run(&[&server], 3, 100, None);
        let serve = async {
            let mut stream = server.accept().await.unwrap().0;
            let mut bytes = [0; 1000];
            let mut came = 0;
            while came < 3 * "get k0000000\r\n".len() {
                came += stream.read(&mut bytes).await.unwrap();
            }
            // The client has the one reply before it hears that this is the end.
            stream.write_all(b"OK 1\r\n").await.unwrap();
            came = 0;
            while came < "get k0000000\r\n".len() {
                came += stream.read(&mut bytes).await.unwrap();
            }
            came
        };
        tokio::select! {
            came = serve => assert_eq!(came, "get k0000003\r\n".len()),
            () = run.client(Client::new(0, 0)) => panic!("it is not answered"),
        }
        assert_eq!(run.left.get(), 96);
    }

    #[tokio::test]
    async fn latencies_of_an_open_loop_count_from_the_time_that_was_meant() {
        let server = listener().await;
        let begin = Instant::now() - Duration::from_secs(5);
        // All are due, the first for five seconds: as if the server had stood still.
        let beats = Beats::new(Schedule::new(begin, 100.0, 1), 1);
        let run = run(&[&server], 1, 400, Some(beats));
        tokio::join!(serve(&server, "OK 1\r\n"), run.client(Client::new(0, 0)));
        let curves = run.recorder.borrow().curves();
        let (least, greatest) = (curves[0].points[0].1, curves[0].points.last().unwrap().1);
        assert!(greatest >= 4_990.0, "the first had waited for 5 s: {greatest} ms");
        assert!(least >= 990.0, "the last for 1 s: {least} ms");
    }

    #[tokio::test]
    async fn an_open_loop_waits_until_a_command_is_due() {
        let server = listener().await;
        let begin = Instant::now();
        let run = run(&[&server], 10, 30, Some(Beats::new(Schedule::new(begin, 1000.0, 1), 1)));
        let client = async {
            tokio::select! {
                () = run.client(Client::new(0, 0)) => {}
                () = run.keep_time() => {}
            }
        };
        tokio::join!(serve(&server, "OK 1\r\n"), client);
        assert_eq!(run.recorder.borrow().so_far(), (30, 0));
        assert!(begin.elapsed() >= Duration::from_millis(29), "the last is due after 29 ms");
    }

    #[tokio::test]
    async fn clients_go_where_they_are_sent() {
        let (old, new) = (listener().await, listener().await);
        let run = run(&[&old, &new], 1, 10, None);
        let redirect = format!("ERR_REDIRECT {}\r\n", new.local_addr().unwrap());
        let (before, after, ()) = tokio::join!(
            serve(&old, &redirect),
            serve(&new, "OK 1\r\n"),
            run.client(Client::new(0, 0)),
        );
        assert_eq!((before, after), (1, 9));
        assert!(run.recorder.borrow().json().contains(r#""errors":{"ERR_REDIRECT":1}"#));
    }

    #[tokio::test]
    async fn clients_try_the_next_server_when_one_knows_no_leader_or_is_gone() {
        let (gone, without, leader) = (listener().await, listener().await, listener().await);
        let run = run(&[&gone, &without, &leader], 1, 10, None);
        drop(gone);
        let (refused, done, ()) = tokio::join!(
            serve(&without, "ERR_NO_LEADER\r\n"),
            serve(&leader, "OK 1\r\n"),
            run.client(Client::new(0, 0)),
        );
        assert_eq!((refused, done), (1, 9));
        let json = run.recorder.borrow().json();
        assert!(json.contains(r#"{"ERR_NO_LEADER":1,"connection refused":1}"#), "{json}");
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_given_up() {
        let (silent, leader) = (listener().await, listener().await);
        let mut run = run(&[&silent, &leader], 2, u64::MAX, None);
        run.silence_max = Duration::from_millis(20);
        let answered = async {
            while run.recorder.borrow().so_far().0 == 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        // On a slow machine the leader may be given up, too, and more than once.
        let serve = async {
            loop {
                serve(&leader, "OK 1\r\n").await;
            }
        };
        tokio::select! {
            () = answered => {}
            () = serve => {}
            () = run.client(Client::new(0, 0)) => panic!("something is left"),
        }
        assert!(run.recorder.borrow().json().contains(r#""no answer":"#));
        drop(silent);
    }

    #[tokio::test]
    async fn busy_and_late_answers_are_counted_and_the_connection_goes_on() {
        for error in ["ERR_BUSY", "ERR_TIMEOUT"] {
            let server = listener().await;
            let run = run(&[&server], 2, 10, None);
            let reply = format!("{error}\r\n");
            let (lines, ()) = tokio::join!(serve(&server, &reply), run.client(Client::new(0, 0)));
            assert_eq!(lines, 10);
            let json = run.recorder.borrow().json();
            assert!(json.contains(&format!("\"errors\":{{\"{error}\":10}}")), "{json}");
        }
    }

    #[test]
    fn slow_ones_are_as_many_as_asked_for_and_spread() {
        let slow = |clients: u64, percent| {
            let all = (0..clients).map(|number| Client::new(number, percent));
            all.filter(|client| client.is_slow).map(|client| client.number).collect::<Vec<u64>>()
        };
        assert_eq!(slow(1000, 0), []);
        assert_eq!(slow(5000, 10), (0..500).collect::<Vec<u64>>());
        assert_eq!(slow(4, 50), [0, 1]);
        let fast: Vec<u64> = (0..4)
            .map(|number| Client::new(number, 50))
            .filter(|client| !client.is_slow)
            .map(|client| client.number)
            .collect();
        assert_eq!(fast, [0, 1], "numbered without gaps, for the schedule");
    }

    #[tokio::test]
    async fn a_slow_one_is_counted_apart() {
        let server = listener().await;
        let run = run(&[&server], 1, 5, None);
        let client = async {
            let slow = run.client(Client::new(1, 50));
            tokio::pin!(slow);
            while run.recorder.borrow().json().contains(r#""slow_commands":0,"#) {
                tokio::select! {
                    () = &mut slow => panic!("something is left"),
                    () = sleep(Duration::from_millis(1)) => {}
                }
            }
        };
        tokio::select! {
            _ = serve(&server, "OK 1\r\n") => panic!("the client is there"),
            () = client => {}
        }
        assert_eq!(run.left.get(), 5, "they are beside the count");
        assert_eq!(run.recorder.borrow().so_far(), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_one_reads_a_little_after_each_pause() {
        let mut input = Input::default();
        let mut reader = &[b'x'; 2000][..];
        let begin = tokio::time::Instant::now();
        for turn in 1..=2 {
            let pause = Instant::now() + SLOW_PAUSE;
            input.read(&mut reader, Some(pause)).await.unwrap();
            assert_eq!(input.bytes.len(), turn * SLOW_READ_BYTES);
        }
        assert!(begin.elapsed() >= SLOW_PAUSE);
        input.read(&mut reader, None).await.unwrap();
        assert_eq!(input.bytes.len(), 2000);
    }
}
