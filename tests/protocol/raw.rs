//! A client that knows nothing but bytes, and a server of its own for a test.
//!
//! It does not use the crate's parser of replies: a test of the bytes must not trust the
//! parser whose input they are.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Instant;

use socket2::{Domain, Socket, Type};

use crate::common::{Cluster, PATIENCE, Status};

/// One server that is its own quorum, which is the quickest way to a leader.
pub struct Server {
    /// The cluster of this one server.
    pub cluster: Cluster,
}

/// The settings of a server that is alone.
const ALONE: &str = "[raft]\nelection_timeout_ms = [50, 100]\nheartbeat_interval_ms = 15\n\
                     [log]\nsegment_bytes = 4194304\n";

impl Server {
    /// Starts a server with the default limits.
    pub fn start() -> Server {
        Server::with("")
    }

    /// Starts a server with these lines in `[limits]`.
    pub fn with(limits: &str) -> Server {
        let settings = format!("{ALONE}[limits]\n{limits}\n");
        let mut cluster = Cluster::prepare_like(1, "127.0.0.1", &settings);
        cluster.start_server(1);
        cluster.wait_for_leader();
        cluster.wait_until_named();
        Server { cluster }
    }

    /// Opens a new connection.
    pub fn connect(&self) -> Raw {
        Raw::open(&self.cluster, 1)
    }

    /// Returns the lines of its `status`.
    pub fn status(&self) -> Status {
        self.cluster.status(1).expect("it answers")
    }

    /// Waits until a line of its `status` has this value.
    #[track_caller]
    pub fn wait_for_status(&self, name: &str, value: &str) {
        let began = Instant::now();
        while self.status()[name] != value {
            let status = self.status();
            assert!(began.elapsed() < PATIENCE, "{name} is not {value}: {status:?}");
        }
    }

    /// Sends all of `input` on a new connection, shuts down its sending side, and
    /// compares all that comes back, up to the end, with `template`. Returns the
    /// numbers in the places of `#`.
    #[track_caller]
    pub fn check(&self, input: impl AsRef<[u8]>, template: impl AsRef<[u8]>) -> Vec<u64> {
        assert_matches(&self.connect().talk(input.as_ref()), template.as_ref())
    }
}

/// One connection.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    /// Opens a connection to one server.
    pub fn open(cluster: &Cluster, id: u64) -> Raw {
        let stream = TcpStream::connect(cluster.address(id)).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        stream.set_nodelay(true).expect("it is a TCP socket");
        Raw { stream }
    }

    /// Opens a connection whose kernel takes little that this end does not read.
    pub fn open_narrow(cluster: &Cluster, id: u64) -> Raw {
        let address: SocketAddr = cluster.address(id).parse().expect("the tests use addresses");
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
        let socket = socket.expect("a descriptor is free");
        socket.set_recv_buffer_size(4096).expect("it is a TCP socket");
        socket.connect(&address.into()).expect("the server listens");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        Raw { stream }
    }

    /// Opens a connection to the port for the other servers.
    pub fn open_log_port(cluster: &Cluster, id: u64) -> Raw {
        let stream = TcpStream::connect(cluster.log_address(id)).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
        Raw { stream }
    }

    /// Sends bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the server reads");
    }

    /// Sends as much as the server takes; false when it has hung up.
    pub fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Returns the same connection once more, for another thread.
    pub fn another_half(&self) -> Raw {
        Raw { stream: self.stream.try_clone().expect("a descriptor is free") }
    }

    /// Shuts down the sending side.
    pub fn end(&mut self) {
        // The shutdown fails when the server has hung up already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Hangs up in both directions, even if another half is in use.
    pub fn close(&self) {
        // The shutdown fails when the server has hung up already.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Reads as many lines as `template` has, and compares them with it. Data blocks count as
    /// lines; for blocks with line ends in them use [`Raw::expect_bytes`]. Returns the
    /// numbers in the places of `#`.
    #[track_caller]
    pub fn expect(&mut self, template: &str) -> Vec<u64> {
        let mut got = Vec::new();
        for _ in 0..template.matches('\n').count() {
            got.extend(self.line().into_bytes());
        }
        assert_matches(&got, template.as_bytes())
    }

    /// Reads exactly these bytes.
    #[track_caller]
    pub fn expect_bytes(&mut self, expected: &[u8]) {
        let mut got = vec![0; expected.len()];
        self.stream.read_exact(&mut got).expect("the server answers");
        assert!(got == expected, "got {} for {}", show(&got), show(expected));
    }

    /// Reads these changes of a watch, each to the end of its revision. Between two revisions notes
    /// of progress may come, because a slow machine makes a watch a silent one.
    #[track_caller]
    pub fn expect_changes(&mut self, expected: &[u8]) {
        let mut is_between = true;
        for line in expected.split_inclusive(|byte| *byte == b'\n') {
            let mut got = self.line();
            while is_between && got.starts_with("END ") {
                got = self.line();
            }
            let shown = (show(got.as_bytes()), show(line));
            assert!(got.as_bytes() == line, "got {} for {}", shown.0, shown.1);
            is_between = line.starts_with(b"END ");
        }
    }

    /// Waits until the server hangs up after a watch. Only notes of progress may come before.
    #[track_caller]
    pub fn expect_end_of_watch(&mut self) {
        let rest = String::from_utf8(self.rest()).expect("they are text");
        assert!(rest.lines().all(|line| line.starts_with("END ")), "got {rest} for the end");
    }

    /// Sends `input`, and reads the reply.
    #[track_caller]
    pub fn ask(&mut self, input: impl AsRef<[u8]>, template: &str) -> Vec<u64> {
        self.send(input);
        self.expect(template)
    }

    /// Reads one line, with its end.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let (mut line, mut byte) = (Vec::new(), [0]);
        while line.last() != Some(&b'\n') {
            let read = self.stream.read(&mut byte).expect("the server answers");
            assert_eq!(read, 1, "the connection ended within {}", show(&line));
            line.push(byte[0]);
        }
        String::from_utf8(line).expect("this test asks for text")
    }

    /// Waits until the server hangs up. Nothing may come before, and the end must not be a
    /// reset, which could have lost replies.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "got {} for the end", show(&rest));
    }

    /// Returns all bytes that come until the server hangs up, which must not be a reset.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut rest) {
            panic!("{error} after {}", show(&rest));
        }
        rest
    }

    /// Waits until the server hangs up, in whatever way.
    pub fn rest_or_reset(&mut self) {
        let error = self.stream.read_to_end(&mut Vec::new()).err();
        let is_timeout = |error: &std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        assert!(!error.as_ref().is_some_and(is_timeout), "the server hangs up");
    }

    /// Sends all of `input` while it reads what comes back, and returns that.
    #[track_caller]
    pub fn talk(&mut self, input: &[u8]) -> Vec<u8> {
        let mut sending = self.stream.try_clone().expect("a descriptor is free");
        std::thread::scope(|scope| {
            scope.spawn(move || {
                // A server that reads no further hangs up.
                let _ = sending.write_all(input);
                let _ = sending.shutdown(Shutdown::Write);
            });
            self.rest()
        })
    }
}

/// Compares `got` with `template`, in which `#` matches a decimal number and `~` the rest of
/// a line of printable ASCII. Returns the numbers.
#[track_caller]
pub fn assert_matches(got: &[u8], template: &[u8]) -> Vec<u64> {
    match matches(got, template) {
        Some(numbers) => numbers,
        None => panic!("got {}\nfor {}", show(got), show(template)),
    }
}

fn matches(mut got: &[u8], template: &[u8]) -> Option<Vec<u64>> {
    let mut numbers = Vec::new();
    for expected in template {
        let taken = match expected {
            b'#' => got.iter().take_while(|byte| byte.is_ascii_digit()).count(),
            b'~' => got.iter().take_while(|byte| (b' '..=b'~').contains(byte)).count(),
            expected => usize::from(got.first() == Some(expected)),
        };
        if *expected == b'#' {
            numbers.push(std::str::from_utf8(&got[..taken]).ok()?.parse().ok()?);
        } else if *expected != b'~' && taken == 0 {
            return None;
        }
        got = &got[taken..];
    }
    got.is_empty().then_some(numbers)
}

fn show(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 2_000;
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    format!("{} bytes: {}", bytes.len(), shown.escape_ascii())
}
