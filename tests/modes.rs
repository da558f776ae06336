//! Real processes that serve reads and writes although they do not lead, while leaders are killed,
//! stopped and changed (docs/adr/0031). The commands themselves are in tests/protocol/modes.rs.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use common::members::{BRISK, CALM};
use common::{Cluster, Connection};

/// The errors of a command that was not executed.
const NOT_EXECUTED: [&str; 3] = ["ERR_NO_LEADER", "ERR_REDIRECT", "ERR_BUSY"];

/// The number of writes that all clients of a test have done.
type Progress = Arc<AtomicU64>;

/// A client of one key, which it alone writes: each time a higher number. It writes at one server
/// and reads at the next, so each read must see what was acknowledged at another server.
struct Walker {
    servers: Vec<String>,
    key: String,
    /// The server that is asked next.
    turn: usize,
    /// The connection to each server, if there is one.
    connections: Vec<Option<Connection>>,
    /// The numbers that the key may have: the last one that was acknowledged or seen, and those
    /// of unknown outcome after it.
    possible: Vec<u64>,
    written: u64,
    /// Replies other than success.
    failures: Vec<String>,
}

impl Walker {
    fn new(servers: Vec<String>, number: usize) -> Walker {
        Walker {
            connections: servers.iter().map(|_| None).collect(),
            key: format!("key{number}"),
            turn: number,
            possible: vec![0],
            written: 0,
            failures: Vec::new(),
            servers,
        }
    }

    /// Sends a command to the next server. `None` when the connection broke.
    fn ask(&mut self, command: &str) -> Option<String> {
        self.turn = (self.turn + 1) % self.servers.len();
        let slot = &mut self.connections[self.turn];
        if slot.is_none() {
            let mut connection = Connection::open(&self.servers[self.turn]).ok()?;
            if connection.ask("mode any\r\n").ok()? != "OK\r\n" {
                return None;
            }
            *slot = Some(connection);
        }
        let reply = slot.as_mut()?.ask(command).ok();
        if reply.is_none() {
            *slot = None;
        }
        reply
    }

    fn write(&mut self) {
        self.written += 1;
        let number = self.written.to_string();
        let command = format!("set {} 0 {}\r\n{number}\r\n", self.key, number.len());
        match self.ask(&command) {
            Some(reply) if reply.starts_with("OK ") => self.possible = vec![self.written],
            // It was not executed.
            Some(reply) if NOT_EXECUTED.iter().any(|error| reply.starts_with(error)) => {
                self.failures.push(reply);
            }
            reply => {
                let is_unknown = reply.as_deref().is_none_or(|it| it.starts_with("ERR_TIMEOUT"));
                assert!(is_unknown, "{reply:?}");
                self.failures.push(reply.unwrap_or_else(|| "a broken connection".to_owned()));
                self.possible.push(self.written);
            }
        }
    }

    fn read(&mut self) {
        let command = format!("get {}\r\n", self.key);
        let seen = match self.ask(&command) {
            Some(reply) if reply.starts_with("ERR_NOT_FOUND") => 0,
            Some(reply) if reply.starts_with("VALUE ") => {
                let value = reply.lines().nth(1).expect("a value has a block");
                value.parse().expect("only numbers are written")
            }
            reply => {
                let is_error = reply.as_deref().is_none_or(|it| it.starts_with("ERR_"));
                assert!(is_error, "{reply:?}");
                return self.failures.push(reply.unwrap_or_else(|| "broken".to_owned()));
            }
        };
        // A write of unknown outcome may be executed between two reads, and never undone.
        let place = self.possible.iter().position(|number| *number == seen);
        let place = place.unwrap_or_else(|| panic!("{seen} is read, {:?} can be", self.possible));
        self.possible.drain(..place);
    }

    /// Writes and reads until it is told to stop. Returns the replies other than success.
    fn start(mut self, stop: Arc<AtomicBool>, progress: Progress) -> JoinHandle<Vec<String>> {
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                self.write();
                self.read();
                progress.fetch_add(1, Ordering::Relaxed);
            }
            self.failures
        })
    }
}

/// Clients that walk over all servers.
struct Walkers {
    stop: Arc<AtomicBool>,
    progress: Progress,
    threads: Vec<JoinHandle<Vec<String>>>,
}

impl Walkers {
    fn start(cluster: &Cluster, count: usize) -> Walkers {
        let (stop, progress) = (Arc::new(AtomicBool::new(false)), Progress::default());
        let start = |number| {
            let walker = Walker::new(cluster.addresses(), number);
            walker.start(Arc::clone(&stop), Arc::clone(&progress))
        };
        let threads = (0..count).map(start).collect();
        Walkers { threads, stop, progress }
    }

    /// Waits until the clients have done so much more.
    fn wait_for_more(&self, cluster: &Cluster, count: u64) {
        let wanted = self.progress.load(Ordering::Relaxed) + count;
        cluster.wait_for("clients to get on", || {
            let is_dead = self.threads.iter().any(JoinHandle::is_finished);
            assert!(!is_dead, "a client has failed");
            (self.progress.load(Ordering::Relaxed) >= wanted).then_some(())
        });
    }

    fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let join = |thread: JoinHandle<Vec<String>>| thread.join().expect("no client fails");
        self.threads.into_iter().flat_map(join).collect()
    }
}

fn five(settings: &str) -> Cluster {
    let mut cluster = Cluster::prepare_like(5, "127.0.0.1", settings);
    cluster.start_members();
    cluster.wait_for_highest_format();
    cluster.wait_for_quiet();
    cluster
}

fn in_mode(cluster: &Cluster, id: u64, mode: &str) -> Connection {
    let mut connection = cluster.connect(id).expect("the server is there");
    assert_eq!(connection.ask(&format!("mode {mode}\r\n")).unwrap(), "OK\r\n");
    connection
}

/// Forwarded commands are held while the leadership moves, as the leader's own are.
#[test]
fn transfers_fail_no_command_at_any_server() {
    let cluster = five(CALM);
    let walkers = Walkers::start(&cluster, 6);
    let mut leader = cluster.wait_for_leader();
    for _ in 0..15 {
        walkers.wait_for_more(&cluster, 20);
        let target = leader % 5 + 1;
        cluster.wait_for("a transfer to be done", || {
            let reply = cluster.say(leader, &format!("leader transfer to {target}"));
            assert!(reply.starts_with("LEADER ") || reply.starts_with("ERR_REFUSED"), "{reply}");
            reply.starts_with("LEADER ").then_some(())
        });
        leader = target;
    }
    walkers.wait_for_more(&cluster, 20);
    assert_eq!(walkers.stop(), [""; 0]);
    cluster.assert_equal_stores(&cluster.ids());
}

/// Nothing that was acknowledged is lost, nothing is executed twice, and no read is stale: the
/// clients would find it.
#[test]
fn leaders_and_others_that_are_killed_lose_nothing_and_no_read_is_stale() {
    let mut cluster = five(BRISK);
    let walkers = Walkers::start(&cluster, 6);
    for round in 0..8 {
        walkers.wait_for_more(&cluster, 20);
        let leader = cluster.wait_for_leader();
        let victim = if round % 3 == 2 { leader % 5 + 1 } else { leader };
        cluster.kill(victim);
        walkers.wait_for_more(&cluster, 20);
        cluster.start_server(victim);
    }
    cluster.wait_for_leader();
    walkers.wait_for_more(&cluster, 20);
    walkers.stop();
    cluster.wait_for_quiet();
    cluster.assert_equal_stores(&cluster.ids());
}

/// docs/bugs.md B40, B44: a leader that was stopped goes on and does not know that it was replaced.
/// Neither it nor a server that still believes in it may answer from an old state.
#[test]
fn a_leader_that_was_stopped_answers_with_what_was_written_meanwhile() {
    let cluster = five(BRISK);
    for round in 0..3 {
        let leader = cluster.wait_for_leader();
        let mut at_leader = in_mode(&cluster, leader, "any");
        let value = format!("old{round}");
        assert!(at_leader.ask(&format!("set k 0 4\r\n{value}\r\n")).unwrap().starts_with("OK "));
        cluster.signal(leader, "STOP");
        let rest: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != leader).collect();
        cluster.wait_for_leader_of(&rest);
        let mut elsewhere = in_mode(&cluster, rest[0], "any");
        cluster.wait_for("a write at another server", || {
            let reply = elsewhere.ask(&format!("set k 0 4\r\nnew{round}\r\n")).unwrap();
            reply.starts_with("OK ").then_some(())
        });
        // It is in the socket when the process goes on.
        at_leader.send("get k\r\n").unwrap();
        cluster.signal(leader, "CONT");
        let reply = at_leader.hear("get k\r\n").unwrap();
        let is_new = reply == format!("VALUE 4\r\nnew{round}\r\n");
        assert!(is_new || reply.starts_with("ERR_"), "{reply}");
    }
}

#[test]
fn a_server_that_is_cut_off_answers_stale_reads_and_no_others() {
    let mut cluster = Cluster::prepare_behind_gates(5, BRISK);
    cluster.start_members();
    cluster.wait_for_highest_format();
    let leader = cluster.wait_for_leader();
    let alone = leader % 5 + 1;
    let (mut any, mut stale) = (in_mode(&cluster, alone, "any"), in_mode(&cluster, alone, "stale"));
    assert!(any.ask("set k 0 3\r\nold\r\n").unwrap().starts_with("OK "));
    assert_eq!(stale.ask("get k\r\n").unwrap(), "VALUE 3\r\nold\r\n", "it has applied its write");
    cluster.isolate(&[alone]);
    let mut elsewhere = in_mode(&cluster, leader, "any");
    assert!(elsewhere.ask("set k 0 3\r\nnew\r\n").unwrap().starts_with("OK "));
    assert_eq!(stale.ask("get k\r\n").unwrap(), "VALUE 3\r\nold\r\n");
    let reply = any.ask("get k\r\n").unwrap();
    assert!(reply.starts_with("ERR_NO_LEADER") || reply.starts_with("ERR_TIMEOUT"), "{reply}");
    let reply = any.ask("set k 0 3\r\nbad\r\n").unwrap();
    assert!(reply.starts_with("ERR_NO_LEADER"), "it knows by now that nobody leads it: {reply}");
    cluster.gates().heal();
    cluster.wait_for("a read at the server that was cut off", || {
        let reply = any.ask("get k\r\n").unwrap();
        assert_ne!(reply, "VALUE 3\r\nold\r\n", "it is not the newest");
        (reply == "VALUE 3\r\nnew\r\n").then_some(())
    });
}

#[test]
fn a_learner_takes_reads_and_writes() {
    let mut cluster = five(CALM);
    let learner = cluster.add_learner();
    cluster.wait_for_role(learner, "learner");
    let mut client = in_mode(&cluster, learner, "any");
    for number in 100..200 {
        let written = client.ask(&format!("set k 0 3\r\n{number}\r\n")).unwrap();
        assert!(written.starts_with("OK "), "{written}");
        assert_eq!(client.ask("get k\r\n").unwrap(), format!("VALUE 3\r\n{number}\r\n"));
    }
    let leader = cluster.wait_for_leader();
    let mut at_leader = cluster.connect(leader).unwrap();
    assert_eq!(at_leader.ask("get k\r\n").unwrap(), "VALUE 3\r\n199\r\n");
}
