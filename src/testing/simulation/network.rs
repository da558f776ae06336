//! A network in memory: streams of bytes with delays, connections that break, and lines that are
//! cut.
//!
//! It behaves like TCP and not like packets: within a connection nothing is lost, repeated or
//! reordered. A cut line holds back the bytes that were sent on it until it is mended, without an
//! error. A connection that breaks loses the rest of the bytes under way, which may begin in the
//! middle of a frame. All randomness comes from one seeded generator, all time from the paused
//! runtime.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::future::LocalBoxFuture;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::net::{Listener, Network, Stream};

/// Maximum number of unread bytes in each direction of a connection. The sender waits while there
/// are more.
pub(super) const PIPE_BYTES_MAX: usize = 256 * 1024;
/// The time after which a dial tries a cut line again.
const REDIAL: Duration = Duration::from_millis(200);

/// The delays of the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkConditions {
    /// The shortest delay of a piece of bytes, in milliseconds.
    pub delay_ms_min: u64,
    /// The longest usual delay, in milliseconds.
    pub delay_ms_max: u64,
    /// The probability of an additional delay.
    pub spike_probability: f64,
    /// The longest additional delay, in milliseconds.
    pub spike_ms_max: u64,
    /// The probability that a write is torn into pieces, which arrive one by one.
    pub tear_probability: f64,
}

/// An observer of connections.
pub trait Tap: Send {
    /// A host has written these bytes to a pipe. A connection `n` has two pipes, one for each
    /// direction: `2n` and `2n + 1`.
    fn on_written(&mut self, pipe: u64, bytes: &[u8]);

    /// The host at the other end has read these bytes.
    fn on_read(&mut self, pipe: u64, bytes: &[u8]);
}

/// All hosts and the connections between them. Clones are the same network.
#[derive(Clone, Debug)]
pub struct SimNetwork {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    rng: StdRng,
    conditions: NetworkConditions,
    /// The hosts whose lines are always good: those of the checks.
    calm: BTreeSet<String>,
    listeners: BTreeMap<(String, u16), Acceptor>,
    /// The pipes by number. Connection `n` has `2n`, from the host that has dialled, and
    /// `2n + 1`.
    pipes: BTreeMap<u64, Pipe>,
    last_connection: u64,
    cuts: BTreeSet<(String, String)>,
    off: BTreeSet<String>,
    deliveries: u64,
    hash: u64,
    tap: Option<PortTap>,
}

/// A tap on all connections to a port and to higher ones.
struct PortTap {
    port: u16,
    tap: Box<dyn Tap>,
}

impl fmt::Debug for PortTap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PortTap").field("port", &self.port).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Acceptor {
    waiting: VecDeque<(u64, String)>,
    waker: Option<Waker>,
}

#[derive(Debug)]
struct Pipe {
    from: String,
    to: String,
    /// The port that was dialled, for both directions.
    port: u16,
    segments: VecDeque<(Instant, Segment)>,
    bytes: usize,
    last_at: Instant,
    reader: Option<Waker>,
    writer: Option<Waker>,
    is_reader_gone: bool,
    is_writer_gone: bool,
    is_broken: bool,
    /// True when it carries nothing any more, without an error.
    is_silent: bool,
}

#[derive(Debug)]
enum Segment {
    Bytes(Bytes),
    End,
    Reset,
}

impl Pipe {
    fn lose_bytes(&mut self) {
        self.segments.retain(|(_, segment)| !matches!(segment, Segment::Bytes(_)));
        self.bytes = 0;
    }
}

impl State {
    fn is_cut(&self, from: &str, to: &str) -> bool {
        !self.calm.contains(from)
            && !self.calm.contains(to)
            && self.cuts.contains(&(from.to_owned(), to.to_owned()))
            || self.off.contains(from)
            || self.off.contains(to)
    }

    fn delay(&mut self, from: &str, to: &str) -> Duration {
        if self.calm.contains(from) || self.calm.contains(to) {
            return Duration::from_millis(1);
        }
        let NetworkConditions {
            delay_ms_min, delay_ms_max, spike_probability, spike_ms_max, ..
        } = self.conditions;
        let mut delay_ms = self.rng.random_range(delay_ms_min..=delay_ms_max);
        if self.rng.random_bool(spike_probability) {
            delay_ms += self.rng.random_range(0..=spike_ms_max);
        }
        Duration::from_millis(delay_ms)
    }

    fn send(&mut self, pipe: u64, segment: Segment) {
        let Some((from, to)) = self.pipes.get(&pipe).map(|p| (p.from.clone(), p.to.clone())) else {
            return;
        };
        let at = Instant::now() + self.delay(&from, &to);
        let Some(pipe) = self.pipes.get_mut(&pipe) else { return };
        pipe.last_at = pipe.last_at.max(at);
        if let Segment::Bytes(bytes) = &segment {
            pipe.bytes += bytes.len();
        }
        pipe.segments.push_back((pipe.last_at, segment));
        wake(&mut pipe.reader);
    }

    /// The tap on a pipe, if there is one.
    fn tap(&mut self, pipe: u64) -> Option<&mut dyn Tap> {
        let port = self.pipes.get(&pipe)?.port;
        let tap = self.tap.as_mut().filter(|tap| tap.port <= port)?;
        Some(&mut *tap.tap)
    }

    fn break_pipe(&mut self, number: u64) {
        let Some(pipe) = self.pipes.get_mut(&number) else { return };
        let keep = self.rng.random_range(0..=pipe.bytes);
        let mut left = keep;
        pipe.segments.retain_mut(|(_, segment)| match segment {
            Segment::Bytes(bytes) => {
                bytes.truncate(left);
                left -= bytes.len();
                !bytes.is_empty()
            }
            Segment::End | Segment::Reset => false,
        });
        pipe.bytes = keep;
        pipe.is_broken = true;
        wake(&mut pipe.writer);
        self.send(number, Segment::Reset);
    }

    /// The connections that faults may hit, by the number of their first pipe.
    fn connections(&self) -> Vec<u64> {
        let is_calm = |pipe: &Pipe| self.calm.contains(&pipe.from) || self.calm.contains(&pipe.to);
        self.pipes
            .iter()
            .filter(|(number, pipe)| *number % 2 == 0 && !pipe.is_broken && !is_calm(pipe))
            .map(|(number, _)| *number)
            .collect()
    }

    fn some_connection(&mut self) -> Option<u64> {
        let numbers = self.connections();
        (!numbers.is_empty()).then(|| numbers[self.rng.random_range(0..numbers.len())])
    }

    fn break_connection(&mut self, number: u64) {
        self.break_pipe(number);
        self.break_pipe(number + 1);
    }

    fn forget_if_done(&mut self, number: u64) {
        if self.pipes.get(&number).is_some_and(|pipe| pipe.is_reader_gone && pipe.is_writer_gone) {
            self.pipes.remove(&number);
        }
    }

    fn wake_all(&mut self) {
        for pipe in self.pipes.values_mut() {
            wake(&mut pipe.reader);
            wake(&mut pipe.writer);
        }
    }

    fn note(&mut self, number: u64) {
        self.hash = (self.hash ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

impl SimNetwork {
    /// A network without hosts.
    pub fn new(seed: u64, conditions: NetworkConditions) -> SimNetwork {
        let state = State {
            rng: StdRng::seed_from_u64(seed),
            conditions,
            calm: BTreeSet::new(),
            listeners: BTreeMap::new(),
            pipes: BTreeMap::new(),
            last_connection: 0,
            cuts: BTreeSet::new(),
            off: BTreeSet::new(),
            deliveries: 0,
            hash: 0,
            tap: None,
        };
        SimNetwork { state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the lock")
    }

    /// The network as it is seen from a host.
    pub fn host(&self, name: &str) -> SimHost {
        SimHost { network: self.clone(), name: name.to_owned() }
    }

    /// The network as it is seen from a host whose lines are never cut or slow.
    pub fn calm_host(&self, name: &str) -> SimHost {
        self.state().calm.insert(name.to_owned());
        self.host(name)
    }

    /// Sets the conditions for bytes that are sent from now on.
    pub fn set_conditions(&self, conditions: NetworkConditions) {
        self.state().conditions = conditions;
    }

    /// Cuts the line from one host to another. The other direction does not change.
    pub fn cut(&self, from: &str, to: &str) {
        self.state().cuts.insert((from.to_owned(), to.to_owned()));
    }

    /// Mends the line from one host to another.
    pub fn mend(&self, from: &str, to: &str) {
        let mut state = self.state();
        state.cuts.remove(&(from.to_owned(), to.to_owned()));
        state.wake_all();
    }

    /// Mends every line.
    pub fn heal(&self) {
        let mut state = self.state();
        state.cuts.clear();
        state.wake_all();
    }

    /// A host loses its power, and the bytes that it has sent and that were not read. Its
    /// connections get no error.
    pub fn power_off(&self, host: &str) {
        let mut state = self.state();
        state.off.insert(host.to_owned());
        for pipe in state.pipes.values_mut().filter(|pipe| pipe.from == host) {
            pipe.lose_bytes();
        }
    }

    /// A host has power again.
    pub fn power_on(&self, host: &str) {
        let mut state = self.state();
        state.off.remove(host);
        state.wake_all();
    }

    /// Breaks a random connection, with the bytes under way on it. Returns false when there is
    /// none.
    pub fn break_some_connection(&self) -> bool {
        let state = &mut *self.state();
        let Some(number) = state.some_connection() else { return false };
        state.break_connection(number);
        true
    }

    /// Breaks all connections that a host has dialled.
    pub fn break_connections_of(&self, host: &str) {
        let state = &mut *self.state();
        for number in state.connections() {
            if state.pipes[&number].from == host {
                state.break_connection(number);
            }
        }
    }

    /// Silences a random connection: it carries nothing any more, in one direction or both, and
    /// there is no error, as when a firewall has forgotten it. Returns false when there is none.
    pub fn silence_some_connection(&self) -> bool {
        let state = &mut *self.state();
        let Some(number) = state.some_connection() else { return false };
        let (forth, back) =
            [(true, false), (false, true), (true, true)][state.rng.random_range(0..3)];
        for (number, is_silent) in [(number, forth), (number + 1, back)] {
            if let Some(pipe) = state.pipes.get_mut(&number) {
                pipe.is_silent |= is_silent;
            }
        }
        true
    }

    /// Silences all connections that one host has dialled to another, in both directions.
    pub fn silence(&self, from: &str, to: &str) {
        let pipes = &mut self.state().pipes;
        let is_meant = |pipe: &Pipe| pipe.from == from && pipe.to == to;
        let dialled = pipes.iter().filter(|(number, pipe)| *number % 2 == 0 && is_meant(pipe));
        let numbers: Vec<u64> = dialled.map(|(number, _)| *number).collect();
        for number in numbers.into_iter().flat_map(|number| [number, number + 1]) {
            if let Some(pipe) = pipes.get_mut(&number) {
                pipe.is_silent = true;
            }
        }
    }

    /// Shows `tap` all bytes that are written from now on to connections to `port` and to higher
    /// ones.
    pub fn set_tap(&self, port: u16, tap: Box<dyn Tap>) {
        self.state().tap = Some(PortTap { port, tap });
    }

    /// The load from one host to another, on the connections that it has dialled and not closed.
    pub fn load(&self, from: &str, to: &str) -> Load {
        let state = self.state();
        let is_counted = |pipe: &&Pipe| pipe.from == from && pipe.to == to && !pipe.is_writer_gone;
        let dialled = state.pipes.iter().filter(|(number, _)| *number % 2 == 0);
        let unread: Vec<usize> =
            dialled.map(|(_, pipe)| pipe).filter(is_counted).map(|pipe| pipe.bytes).collect();
        Load { connections: unread.len(), unread_bytes: unread.iter().sum() }
    }

    /// The number of pieces of bytes that were read.
    pub fn deliveries(&self) -> u64 {
        self.state().deliveries
    }

    /// A digest of all bytes that were read, in their order.
    pub fn hash(&self) -> u64 {
        self.state().hash
    }
}

/// The load from one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The number of connections.
    pub connections: usize,
    /// The number of bytes that the other host has not read.
    pub unread_bytes: usize,
}

/// A host of a [`SimNetwork`].
#[derive(Clone, Debug)]
pub struct SimHost {
    network: SimNetwork,
    name: String,
}

impl Network for SimHost {
    fn connect(&self, host: &str, port: u16) -> LocalBoxFuture<'static, io::Result<Stream>> {
        let (network, from, to) = (self.network.clone(), self.name.clone(), host.to_owned());
        Box::pin(async move {
            let delay = network.state().delay(&from, &to);
            sleep(delay).await;
            while network.is_cut_either_way(&from, &to) {
                sleep(REDIAL).await;
            }
            network.open(&from, &to, port)
        })
    }

    fn listen(
        &self,
        host: &str,
        port: u16,
    ) -> LocalBoxFuture<'static, io::Result<Box<dyn Listener>>> {
        let (network, address) = (self.network.clone(), (host.to_owned(), port));
        Box::pin(async move {
            if network.state().listeners.contains_key(&address) {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            network.state().listeners.insert(address.clone(), Acceptor::default());
            Ok(Box::new(SimListener { network, address }) as Box<dyn Listener>)
        })
    }
}

impl SimNetwork {
    fn is_cut_either_way(&self, from: &str, to: &str) -> bool {
        let state = self.state();
        state.is_cut(from, to) || state.is_cut(to, from)
    }

    fn open(&self, from: &str, to: &str, port: u16) -> io::Result<Stream> {
        let state = &mut *self.state();
        let Some(acceptor) = state.listeners.get_mut(&(to.to_owned(), port)) else {
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        state.last_connection += 1;
        let number = 2 * state.last_connection;
        let pipe = |from: &str, to: &str| Pipe {
            from: from.to_owned(),
            to: to.to_owned(),
            port,
            segments: VecDeque::new(),
            bytes: 0,
            last_at: Instant::now(),
            reader: None,
            writer: None,
            is_reader_gone: false,
            is_writer_gone: false,
            is_broken: false,
            is_silent: false,
        };
        state.pipes.insert(number, pipe(from, to));
        state.pipes.insert(number + 1, pipe(to, from));
        acceptor.waiting.push_back((number, from.to_owned()));
        wake(&mut acceptor.waker);
        Ok(self.stream(number + 1, number))
    }

    fn stream(&self, incoming: u64, outgoing: u64) -> Stream {
        let (network, pipe) = (self.clone(), incoming);
        let reader = Box::new(PipeReader { network, pipe, timer: None });
        let writer = Box::new(PipeWriter { network: self.clone(), pipe: outgoing });
        Stream { reader, writer }
    }
}

struct SimListener {
    network: SimNetwork,
    address: (String, u16),
}

impl Listener for SimListener {
    fn accept(&mut self) -> LocalBoxFuture<'_, io::Result<(Stream, String)>> {
        Box::pin(std::future::poll_fn(|cx| {
            let mut state = self.network.state();
            let Some(acceptor) = state.listeners.get_mut(&self.address) else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            let Some((number, from)) = acceptor.waiting.pop_front() else {
                acceptor.waker = Some(cx.waker().clone());
                return Poll::Pending;
            };
            drop(state);
            Poll::Ready(Ok((self.network.stream(number, number + 1), from)))
        }))
    }

    fn port(&self) -> u16 {
        self.address.1
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut state = self.network.state();
        let Some(acceptor) = state.listeners.remove(&self.address) else { return };
        for (number, _) in acceptor.waiting {
            for (number, is_incoming) in [(number, true), (number + 1, false)] {
                if let Some(pipe) = state.pipes.get_mut(&number) {
                    pipe.is_reader_gone |= is_incoming;
                    pipe.is_writer_gone |= !is_incoming;
                }
                state.break_pipe(number);
                state.forget_if_done(number);
            }
        }
    }
}

struct PipeReader {
    network: SimNetwork,
    pipe: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for PipeReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut guard = this.network.state();
        let state = &mut *guard;
        let number = this.pipe;
        let pipe = state.pipes.get(&number).expect("a pipe lives as long as its reader");
        let is_cut = pipe.is_silent || state.is_cut(&pipe.from, &pipe.to);
        let pipe = state.pipes.get_mut(&number).expect("a pipe lives as long as its reader");
        pipe.reader = Some(cx.waker().clone());
        let Some((at, segment)) = pipe.segments.front_mut().filter(|_| !is_cut) else {
            return Poll::Pending;
        };
        let now = Instant::now();
        if *at > now {
            let at = *at;
            drop(guard);
            let timer = this.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            if timer.deadline() != at {
                timer.as_mut().reset(at);
            }
            // If it is due already, the next poll reads it.
            if timer.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
        match segment {
            Segment::Bytes(bytes) => {
                let taken = bytes.len().min(buffer.remaining());
                let read = bytes.split_to(taken);
                buffer.put_slice(&read);
                if bytes.is_empty() {
                    pipe.segments.pop_front();
                }
                pipe.bytes -= taken;
                wake(&mut pipe.writer);
                if let Some(tap) = state.tap(number) {
                    tap.on_read(number, &read);
                }
                state.deliveries += 1;
                state.note(number);
                state.note(taken as u64);
                Poll::Ready(Ok(()))
            }
            Segment::End => Poll::Ready(Ok(())),
            Segment::Reset => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = self.network.state();
        if let Some(pipe) = state.pipes.get_mut(&self.pipe) {
            pipe.is_reader_gone = true;
            pipe.segments.clear();
            pipe.bytes = 0;
            wake(&mut pipe.writer);
        }
        state.forget_if_done(self.pipe);
    }
}

struct PipeWriter {
    network: SimNetwork,
    pipe: u64,
}

impl AsyncWrite for PipeWriter {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let state = &mut *self.network.state();
        let number = self.pipe;
        let pipe = state.pipes.get(&number).expect("a pipe lives as long as its writer");
        // The writer learns from the other side that the reader is gone.
        let is_known = !pipe.is_silent
            && !state.is_cut(&pipe.to, &pipe.from)
            && !state.is_cut(&pipe.from, &pipe.to);
        let pipe = state.pipes.get_mut(&number).expect("a pipe lives as long as its writer");
        if pipe.is_broken || (pipe.is_reader_gone && is_known) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = PIPE_BYTES_MAX.saturating_sub(pipe.bytes);
        if room == 0 {
            pipe.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut taken = bytes.len().min(room);
        let is_torn = state.rng.random_bool(state.conditions.tear_probability) && taken > 1;
        if is_torn && state.rng.random_bool(0.3) {
            // This is a short write, as on a full socket.
            taken = state.rng.random_range(1..=taken);
        }
        if let Some(tap) = state.tap(number) {
            tap.on_written(number, &bytes[..taken]);
        }
        let mut rest = Bytes::copy_from_slice(&bytes[..taken]);
        while is_torn && rest.len() > 1 && state.rng.random_bool(0.5) {
            let piece = rest.split_to(state.rng.random_range(1..rest.len()));
            state.send(number, Segment::Bytes(piece));
        }
        if rest.has_remaining() {
            state.send(number, Segment::Bytes(rest));
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.network.state().send(self.pipe, Segment::End);
        Poll::Ready(Ok(()))
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        let mut state = self.network.state();
        state.send(self.pipe, Segment::End);
        if let Some(pipe) = state.pipes.get_mut(&self.pipe) {
            pipe.is_writer_gone = true;
        }
        state.forget_if_done(self.pipe);
    }
}
