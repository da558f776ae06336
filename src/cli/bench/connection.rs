//! One connection of the load generator: a closed loop that keeps a number of
//! commands in flight, and goes where the leader is.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::reply::{Malformed, Outcome, first_reply};
use super::report::Recorder;
use super::workload::{Kind, Workload};

/// What all connections of a run have in common.
pub struct Run {
    pub workload: Workload,
    /// Commands in flight on each connection.
    pub pipeline: usize,
    pub recorder: RefCell<Recorder>,
    /// Client addresses of all servers.
    pub servers: Vec<String>,
    /// The leader's, as far as we know.
    pub target: RefCell<String>,
    /// So many commands are still to be sent.
    pub left: Cell<u64>,
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

/// A server answers every command in less: a connection that is silent for longer
/// is lost.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Between two tries; also how exactly an outage can be told.
const PAUSE: Duration = Duration::from_millis(2);
const READ_BYTES: usize = 64 * 1024;

impl Run {
    /// One client, until nothing is left to be sent and all is answered.
    pub async fn client(&self, rng: &mut StdRng) {
        while self.left.get() > 0 {
            let target = self.target.borrow().clone();
            let Err(end) = self.session(&target, rng).await else { return };
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

    async fn session(&self, address: &str, rng: &mut StdRng) -> Result<(), End> {
        let lost = |_: io::Error| End::Lost("connection lost");
        let connect = timeout(SILENCE_MAX, TcpStream::connect(address)).await;
        let refused = || End::Lost("connection refused");
        let mut stream = connect.map_err(|_| refused())?.map_err(|_| refused())?;
        stream.set_nodelay(true).map_err(lost)?;
        let mut in_flight = VecDeque::with_capacity(self.pipeline);
        let mut output = Vec::new();
        let mut input = Input::default();
        let mut end = None;
        loop {
            if end.is_none() {
                self.fill(rng, &mut in_flight, &mut output);
                stream.write_all(&output).await.map_err(lost)?;
                output.clear();
            }
            if in_flight.is_empty() {
                return end.map_or(Ok(()), Err);
            }
            let read = timeout(SILENCE_MAX, input.read(&mut stream)).await;
            read.map_err(|_| End::Lost("no answer"))?.map_err(lost)?;
            let now = Instant::now();
            while let Some(outcome) = input.next().map_err(|Malformed| End::Lost("malformed"))? {
                let (kind, sent) = in_flight.pop_front().ok_or(End::Lost("malformed"))?;
                let mut recorder = self.recorder.borrow_mut();
                match outcome {
                    Outcome::Done | Outcome::NotFound => recorder.done(kind, sent, now),
                    Outcome::Redirect(address) => {
                        recorder.failed("ERR_REDIRECT");
                        end.get_or_insert(End::Redirect(address.to_owned()));
                    }
                    Outcome::Error(error) => {
                        recorder.failed(error);
                        if matches!(error, "ERR_NO_LEADER" | "ERR_INTERNAL") {
                            end.get_or_insert(End::Refused);
                        }
                    }
                }
            }
        }
    }

    /// Draws commands until as many are in flight as may be.
    fn fill(
        &self,
        rng: &mut StdRng,
        in_flight: &mut VecDeque<(Kind, Instant)>,
        output: &mut Vec<u8>,
    ) {
        let wanted = (self.pipeline - in_flight.len()) as u64;
        let drawn = wanted.min(self.left.get());
        self.left.set(self.left.get() - drawn);
        let now = Instant::now();
        for _ in 0..drawn {
            in_flight.push_back((self.workload.put_any(rng, output), now));
        }
    }
}

/// What was read and not yet taken.
#[derive(Default)]
pub struct Input {
    bytes: Vec<u8>,
    /// Before it all is taken.
    taken: usize,
}

impl Input {
    /// Waits for more.
    pub async fn read(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        self.bytes.drain(..self.taken);
        self.taken = 0;
        self.bytes.reserve(READ_BYTES);
        match stream.read_buf(&mut self.bytes).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// The next whole reply.
    pub fn next(&mut self) -> Result<Option<Outcome<'_>>, Malformed> {
        let Some((bytes, outcome)) = first_reply(&self.bytes[self.taken..])? else {
            return Ok(None);
        };
        self.taken += bytes;
        Ok(Some(outcome))
    }
}
