//! Servers in this process whose clocks a test sets: the wall clock of a leader, which must move
//! nothing (docs/adr/0020), and the time that passes for it, which must move everything.

mod common;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use common::node_thread::{NodeThread, World};
use common::{Cluster, Connection, Status};
use coracle::clock::{Clock, SystemClock};

const HOUR_MS: i64 = 3_600_000;
/// A second after a signed number of 32 bits is full, in January 2038.
const YEAR_2038_MS: i64 = (1 << 31) * 1_000 + 1_000;
/// The longest time in seconds that the test itself may take between two of its steps.
const SLACK: u64 = 90;

/// The clocks of a machine, which the test sets.
#[derive(Default)]
struct SetClock {
    wall_offset_ms: AtomicI64,
    passed_ms: AtomicU64,
}

impl Clock for SetClock {
    fn wall_ms(&self) -> u64 {
        let offset_ms = self.wall_offset_ms.load(Ordering::SeqCst);
        SystemClock.wall_ms().saturating_add_signed(offset_ms)
    }

    fn monotonic(&self) -> Duration {
        SystemClock.monotonic() + Duration::from_millis(self.passed_ms.load(Ordering::SeqCst))
    }
}

/// A server, and its clock.
struct Server {
    clock: Arc<SetClock>,
    _thread: NodeThread,
}

impl Server {
    fn start(config: PathBuf, id: u64) -> Server {
        let clock = Arc::new(SetClock::default());
        let world = World { clock: clock.clone(), ..World::default() };
        Server { clock, _thread: NodeThread::start(config, id, world) }
    }
}

/// Three servers, and the one that leads.
struct Three {
    servers: Vec<Server>,
    leader: u64,
    cluster: Cluster,
}

impl Three {
    fn start() -> Three {
        let settings = "[raft]\nelection_timeout_ms = [300, 600]\n";
        let cluster = Cluster::prepare_like(3, "127.0.0.1", settings);
        let start = |id| Server::start(cluster.config(), id);
        let servers = cluster.ids().into_iter().map(start).collect();
        let mut three = Three { servers, leader: 0, cluster };
        three.cluster.wait_for("the highest format", || {
            let ids = three.cluster.ids();
            let mut statuses = ids.iter().map(|id| three.cluster.status(*id));
            let is_highest = |status: Status| {
                let (_, highest) = status.get("reads_formats")?.split_once("..")?;
                Some(status["format"] == highest)
            };
            statuses.all(|status| status.and_then(is_highest) == Some(true)).then_some(())
        });
        three.leader = three.cluster.wait_for("a leader", || {
            let leads = |id: &u64| three.value(*id, "role").is_some_and(|role| role == "leader");
            three.cluster.ids().into_iter().find(leads)
        });
        three
    }

    fn value(&self, id: u64, name: &str) -> Option<String> {
        self.cluster.status(id)?.get(name).cloned()
    }

    fn number(&self, name: &str) -> u64 {
        self.value(self.leader, name).expect("it answers").parse().expect("it is a number")
    }

    fn clock(&self) -> &SetClock {
        &self.servers[self.leader as usize - 1].clock
    }

    /// Sets the wall clock of the leader.
    fn set_wall(&self, offset_ms: i64) {
        self.clock().wall_offset_ms.store(offset_ms, Ordering::SeqCst);
        let shown = self.number("wall_clock_ms") as i64;
        let meant = SystemClock.wall_ms() as i64 + offset_ms;
        assert!((shown - meant).abs() < SLACK as i64 * 1_000, "{shown} for {meant}");
    }

    /// Lets time pass for the leader, as if its machine had slept.
    fn pass(&self, seconds: u64) {
        self.clock().passed_ms.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    /// Another server leads.
    fn hand_over(&mut self) {
        let command = format!("leader transfer avoid {}", self.leader);
        self.leader = self.cluster.wait_for("another leader", || {
            // A busy machine may make one come to nothing.
            let reply = self.cluster.say(self.leader, &command);
            reply.strip_prefix("LEADER ")?.split(' ').next()?.parse().ok()
        });
    }

    fn ask(&self, command: &str) -> String {
        let mut connection = Connection::open(&self.cluster.address(self.leader)).unwrap();
        connection.ask(command).unwrap()
    }

    /// An entry that the leader stamps by its clock of now.
    fn write(&self) {
        let reply = self.ask("set other 0 1\r\n1\r\n");
        assert!(reply.starts_with("OK "), "{reply}");
    }

    /// The seconds that the lease and the key `timed` of this round have left.
    fn left(&self, round: u64) -> [u64; 2] {
        let lease = self.ask(&format!("lease {round}\r\n"));
        let key = self.ask(&format!("getm timed{round}\r\n"));
        let of = |reply: &str, place: usize| -> u64 {
            let word = reply.split_whitespace().nth(place);
            word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{reply}"))
        };
        assert!(lease.starts_with("LEASE ") && key.starts_with("VALUE "), "{lease}{key}");
        [of(&lease, 2), of(&key, 2)]
    }

    /// Everything of this round is there, and has about as long to live as is said.
    fn assert_all_there(&self, round: u64, seconds: u64, first: &str) {
        self.write();
        for left in self.left(round) {
            assert!((seconds - SLACK..=seconds).contains(&left), "{left} of {seconds}");
        }
        assert_eq!(self.ask(&format!("get leased{round}\r\n")), "VALUE 1\r\n1\r\n");
        let retried = format!("once retried{round} 1 add once{round} 0 1\r\n1\r\n");
        assert_eq!(self.ask(&retried), first);
    }
}

#[test]
fn no_wall_clock_of_a_leader_moves_a_deadline_and_the_time_that_passes_moves_all() {
    const SECONDS: u64 = 1_000;
    let mut three = Three::start();
    let to_2038 = YEAR_2038_MS - SystemClock.wall_ms() as i64;
    for (round, offset_ms) in (1..).zip([HOUR_MS, -24 * HOUR_MS, to_2038]) {
        let granted = three.ask(&format!("grant {SECONDS} {round}\r\n"));
        assert_eq!(granted, format!("LEASE {round} {SECONDS}\r\n"));
        for set in [
            format!("set leased{round} 0 1 lease {round}\r\n1\r\n"),
            format!("set timed{round} {SECONDS} 1\r\n1\r\n"),
        ] {
            assert!(three.ask(&set).starts_with("OK "));
        }
        let [first, silent] = ["retried", "silent"].map(|name| {
            let version =
                three.ask(&format!("once {name}{round} 1 add {name}{round} 0 1\r\n1\r\n"));
            assert!(version.starts_with("OK "), "{version}");
            version
        });
        let first_of_once =
            three.ask(&format!("once retried{round} 1 add once{round} 0 1\r\n1\r\n"));
        assert_eq!(first_of_once, first, "a retry is the first command");

        // The leader's clock is wrong, and so is that of the next leader.
        for _ in 0..2 {
            three.set_wall(offset_ms);
            three.assert_all_there(round, SECONDS, &first);
            three.hand_over();
        }
        three.pass(SECONDS - 2 * SLACK);
        three.assert_all_there(round, 2 * SLACK, &first);

        three.pass(2 * SLACK);
        three.cluster.wait_for("the end of the lease and of the key", || {
            let is_gone =
                |name: &str| three.ask(&format!("get {name}{round}\r\n")) == "ERR_NOT_FOUND\r\n";
            (is_gone("leased") && is_gone("timed")).then_some(())
        });
        assert_eq!(three.ask(&format!("lease {round}\r\n")), "ERR_NO_LEASE\r\n");

        // This client has used a number for the last time when the round began.
        let silent_again = format!("once silent{round} 1 add silent{round} 0 1\r\n2\r\n");
        three.pass(HOUR_MS as u64 / 1_000 - SECONDS);
        three.write();
        let version = silent.trim_end().strip_prefix("OK ").unwrap();
        assert_eq!(three.ask(&silent_again), format!("ERR_EXISTS {version}\r\n"));
        let retried = format!("once retried{round} 1 add once{round} 0 1\r\n1\r\n");
        assert_eq!(three.ask(&retried), first, "it was silent for less than an hour");
        three.set_wall(0);
    }
}
