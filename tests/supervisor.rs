//! The messages of a server to systemd. A socket of the test stands for it, as NOTIFY_SOCKET names
//! it.

mod common;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use common::Cluster;

/// The time after which the supervisor would end the process, in microseconds.
const WATCHDOG_USEC: &str = "100000";

/// The supervisor of one server.
struct Supervisor {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Supervisor {
    fn listen(cluster: &Cluster, id: u64) -> Supervisor {
        let path = cluster.config().with_file_name(format!("notify{id}"));
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Supervisor { socket, path }
    }

    fn start(&self, cluster: &mut Cluster, id: u64) {
        let path = self.path.to_str().unwrap();
        let variables = [("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", WATCHDOG_USEC)];
        cluster.start_server_under(id, &variables);
    }

    /// The next message, if one has come.
    fn take(&self) -> Option<String> {
        let mut buffer = [0; 256];
        match self.socket.recv(&mut buffer) {
            Ok(count) => Some(String::from_utf8(buffer[..count].to_vec()).unwrap()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn wait_for_one(&self, cluster: &Cluster) -> String {
        cluster.wait_for("a message to the supervisor", || self.take())
    }

    /// Takes all that has come; returns how many there were.
    fn take_all(&self) -> usize {
        std::iter::from_fn(|| self.take()).count()
    }

    fn wait_for_beats(&self, cluster: &Cluster, count: usize) {
        for _ in 0..count {
            assert_eq!(self.wait_for_one(cluster), "WATCHDOG=1\n");
        }
    }
}

/// Waits until the kernel has stopped a process that SIGSTOP was sent to.
fn wait_until_stopped(cluster: &Cluster, id: u64) {
    let path = format!("/proc/{}/stat", cluster.pid(id));
    cluster.wait_for("the process to be stopped", || {
        let stat = fs::read_to_string(&path).unwrap();
        stat.rsplit_once(") ").unwrap().1.starts_with('T').then_some(())
    });
}

/// Neither of the two servers of five has a quorum, and both are ready: no rolling start would get
/// beyond the first server otherwise.
#[test]
fn a_server_is_ready_when_it_listens_beats_while_it_runs_and_says_that_it_stops() {
    let mut cluster = Cluster::prepare();
    let (one, other) = (Supervisor::listen(&cluster, 1), Supervisor::listen(&cluster, 2));
    one.start(&mut cluster, 1);
    assert_eq!(one.wait_for_one(&cluster), "READY=1\n");
    let reply = cluster.connect(1).unwrap().ask("ping\r\n").unwrap();
    assert!(reply.starts_with("PONG"), "{reply}");
    one.wait_for_beats(&cluster, 3);
    other.start(&mut cluster, 2);
    assert_eq!(other.wait_for_one(&cluster), "READY=1\n");

    cluster.signal(1, "STOP");
    wait_until_stopped(&cluster, 1);
    one.take_all();
    other.take_all();
    other.wait_for_beats(&cluster, 5);
    assert_eq!(one.take(), None);
    cluster.signal(1, "CONT");
    one.wait_for_beats(&cluster, 2);

    cluster.signal(1, "TERM");
    let messages = std::iter::from_fn(|| Some(one.wait_for_one(&cluster)));
    let last = messages.into_iter().find(|message| message != "WATCHDOG=1\n");
    assert_eq!(last.as_deref(), Some("STOPPING=1\n"));
    assert_eq!(cluster.wait_for_end(1).code(), Some(0));
}

#[test]
fn a_supervisor_that_is_not_there_is_told_in_the_log_and_nothing_else_changes() {
    let mut cluster = Cluster::prepare_like(1, "127.0.0.1", "");
    cluster.start_server_under(1, &[("NOTIFY_SOCKET", "/no/such/socket")]);
    cluster.wait_for_leader();
    cluster.wait_for("the line about the supervisor", || {
        cluster.log(1).contains("could not tell the supervisor READY=1").then_some(())
    });
    assert_eq!(cluster.terminate(1).code(), Some(0));
}
