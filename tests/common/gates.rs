//! The network between the servers of a test: each server is reached through a gate, which tests
//! close, slow down, or have keep what comes.
//!
//! A gate listens where its server says that it is reached, and dials the port where the server
//! really listens. The first frame of a connection names the server that dials, so that a rule can
//! be about two servers.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{sleep, spawn};
use std::time::Duration;

use bytes::BytesMut;
use coracle::wire::{FRAME_HEADER_BYTES, Frame, FrameCodec, HELLO_FRAME_BYTES_MAX};
use tokio_util::codec::Decoder;

/// The number that stands for a server whose first frame does not name it.
const UNNAMED: u64 = 0;

/// The treatment of the bytes from one server to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// There is no connection.
    Cut,
    /// The bytes are kept until the rule ends.
    Keep,
    /// At most so many bytes pass in a second.
    Slow(u64),
}

/// The gates of all servers.
#[derive(Clone, Default)]
pub struct Gates {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The rules for the bytes from a server to another.
    rules: BTreeMap<(u64, u64), Rule>,
    /// The connections: the two servers, and the sockets of both sides.
    connections: Vec<(u64, u64, TcpStream, TcpStream)>,
}

impl Gates {
    /// Opens the gate of server `id`: who dials `port` reaches `listen_port`.
    pub fn open(&self, id: u64, port: u16, listen_port: u16) {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let shared = Arc::clone(&self.shared);
        // It ends with the test process.
        spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                spawn(move || shared.connect(id, stream, listen_port));
            }
        });
    }

    /// Cuts every connection between these servers and all others.
    pub fn isolate(&self, servers: &[u64], all: &[u64]) {
        for inside in servers {
            for outside in all.iter().filter(|id| !servers.contains(id)) {
                self.cut(*inside, *outside);
            }
        }
    }

    /// Cuts the connections between two servers.
    pub fn cut(&self, one: u64, other: u64) {
        self.set(one, other, Rule::Cut);
        self.set(other, one, Rule::Cut);
    }

    /// Keeps what `from` says to `to`.
    pub fn keep(&self, from: u64, to: u64) {
        self.set(from, to, Rule::Keep);
    }

    /// Lets so many bytes a second pass from each of `all` to `to`.
    pub fn slow(&self, to: u64, all: &[u64], bytes_per_second: u64) {
        all.iter().for_each(|from| self.set(*from, to, Rule::Slow(bytes_per_second)));
    }

    /// Ends all rules. What was kept is let through.
    pub fn heal(&self) {
        self.shared.lock().rules.clear();
        self.shared.changed.notify_all();
    }

    fn set(&self, from: u64, to: u64, rule: Rule) {
        let mut state = self.shared.lock();
        state.rules.insert((from, to), rule);
        if rule == Rule::Cut {
            state.close(|one, other| (one, other) == (from, to) || (other, one) == (from, to));
        }
    }
}

impl State {
    fn is_cut(&self, one: u64, other: u64) -> bool {
        let is_cut = |pair| self.rules.get(&pair) == Some(&Rule::Cut);
        is_cut((one, other)) || is_cut((other, one))
    }

    fn close(&mut self, is_meant: impl Fn(u64, u64) -> bool) {
        self.connections.retain(|(from, to, near, far)| {
            let is_closed = is_meant(*from, *to);
            if is_closed {
                let _ = near.shutdown(Shutdown::Both);
                let _ = far.shutdown(Shutdown::Both);
            }
            !is_closed
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of a gate panics")
    }

    /// Serves one connection to server `to` until it ends.
    fn connect(self: Arc<Shared>, to: u64, near: TcpStream, listen_port: u16) {
        // A connection that ends early is an ordinary failure of a network.
        let _ = self.try_connect(to, near, listen_port);
    }

    fn try_connect(
        self: Arc<Shared>,
        to: u64,
        mut near: TcpStream,
        listen_port: u16,
    ) -> io::Result<()> {
        let first = first_frame(&mut near)?;
        let from = sender(&first);
        let mut far = TcpStream::connect(("127.0.0.1", listen_port))?;
        near.set_nodelay(true)?;
        far.set_nodelay(true)?;
        {
            let mut state = self.lock();
            if state.is_cut(from, to) {
                return Ok(());
            }
            state.connections.push((from, to, near.try_clone()?, far.try_clone()?));
        }
        self.obey(from, to, first.len());
        far.write_all(&first)?;
        let back = (far.try_clone()?, near.try_clone()?);
        let shared = Arc::clone(&self);
        spawn(move || shared.pass(to, from, back.0, back.1));
        self.pass(from, to, near, far);
        Ok(())
    }

    /// Lets bytes pass until either side ends.
    fn pass(&self, from: u64, to: u64, mut source: TcpStream, mut target: TcpStream) {
        let mut piece = [0; 4096];
        while let Ok(length @ 1..) = source.read(&mut piece) {
            self.obey(from, to, length);
            if target.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        let _ = source.shutdown(Shutdown::Both);
        let _ = target.shutdown(Shutdown::Both);
    }

    /// Waits for as long as the rules say that bytes wait.
    fn obey(&self, from: u64, to: u64, bytes: usize) {
        let rule = |state: &State| state.rules.get(&(from, to)).copied();
        let state = self.lock();
        let kept = self.changed.wait_while(state, |state| rule(state) == Some(Rule::Keep));
        let rule = rule(&kept.expect("no thread of a gate panics"));
        if let Some(Rule::Slow(bytes_per_second)) = rule {
            sleep(Duration::from_secs_f64(bytes as f64 / bytes_per_second as f64));
        }
    }
}

/// Reads the first frame of a connection, as bytes.
fn first_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    stream.read_exact(&mut frame)?;
    let length = u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]) as usize;
    if length > HELLO_FRAME_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    frame.resize(FRAME_HEADER_BYTES + length, 0);
    stream.read_exact(&mut frame[FRAME_HEADER_BYTES..])?;
    Ok(frame)
}

/// The server that dials, by the first frame that it sends.
fn sender(frame: &[u8]) -> u64 {
    let decoded = FrameCodec::new(HELLO_FRAME_BYTES_MAX).decode(&mut BytesMut::from(frame));
    match decoded {
        Ok(Some(Frame::Hello(hello))) => hello.from.0,
        _ => UNNAMED,
    }
}
