//! Servers that join a cluster of which they know one address, as real processes
//! (docs/adr/0027). The rows of other systems' reports are in tests/members.rs.

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use common::Cluster;
use common::clients::{block_on, connect};
use common::members::CALM;
use coracle::testing::drill::free_ports;
use tempfile::TempDir;

/// A server that joins, with nothing but the arguments of its test.
struct Joiner {
    id: u64,
    client_port: u16,
    log_port: u16,
    directory: TempDir,
    process: Option<Child>,
}

impl Joiner {
    fn prepare(id: u64) -> Joiner {
        let ports = free_ports(2).expect("ports are free");
        let directory = TempDir::new().expect("a temporary directory can be made");
        Joiner { id, client_port: ports[0], log_port: ports[1], directory, process: None }
    }

    /// Starts it as a person does who was told the command by `member add`.
    fn start(&mut self, asked: &str, arguments: &[&str]) {
        let log = File::options().create(true).append(true).open(self.log_path());
        let log = log.expect("it is ours to write to");
        let process = Command::new(env!("CARGO_BIN_EXE_coracle"))
            .args(["serve", "--join", asked, "--id", &self.id.to_string(), "--data-dir"])
            .arg(self.data_dir())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.process = Some(process.expect("the binary can be started"));
    }

    fn kill(&mut self) {
        let mut process = self.process.take().expect("only what runs is killed");
        process.kill().expect("our child can be killed");
        process.wait().expect("our child can be waited for");
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    /// The command that adds it, with these hosts' names.
    fn add_at(&self, host: &str) -> String {
        let Joiner { id, client_port, log_port, .. } = self;
        format!("member add {host}:{log_port} {host}:{client_port} id {id}")
    }

    /// Waits until it has applied everything that the leader has.
    fn wait_until_it_follows(&self, cluster: &Cluster) {
        let leader = cluster.wait_for_leader();
        cluster.wait_for("the joiner to follow", || {
            let status = common::status_of(&self.address())?;
            let is_level = status["last_applied"] == cluster.value(leader, "last_applied");
            (status["role"] == "follower" && is_level).then_some(())
        });
    }
}

impl Drop for Joiner {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the log of the joiner:\n{}", self.log());
        }
    }
}

fn three() -> Cluster {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", CALM);
    cluster.start_members();
    cluster
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).map_or(true, |mut names| names.next().is_none())
}

/// It knows one address, its id and a directory. That is enough, and a restart needs nobody.
#[test]
fn a_server_that_knows_one_address_waits_joins_and_comes_back_without_it() {
    let mut cluster = three();
    let mut joiner = Joiner::prepare(4);
    let asked = cluster.log_address(1);
    joiner.start(&asked, &[]);
    cluster.wait_for("the joiner to say what it waits for", || {
        joiner
            .log()
            .contains("coracle member add HOST:PORT --client HOST:PORT --id 4")
            .then_some(())
    });
    assert!(is_empty(&joiner.data_dir()), "it has nothing to keep yet");
    cluster.change(&joiner.add_at("127.0.0.1"));
    block_on(async { connect(&cluster).await.set("key", 0, b"value").await.unwrap() });
    joiner.wait_until_it_follows(&cluster);
    joiner.kill();
    // The server that it asked is gone, and the others need the joiner.
    cluster.kill(1);
    joiner.start(&asked, &[]);
    cluster.wait_for("the joiner to be back", || {
        let status = common::status_of(&joiner.address())?;
        let has_leader = status["leader"] != "none";
        (status["role"] != "rejoining" && has_leader).then_some(())
    });
    assert_eq!(joiner.log().matches("coracle member add").count(), 1, "it asked once");
}

/// Nothing is to be stopped or kept in a server that only waits.
#[test]
fn sigterm_ends_a_server_that_waits_to_join() {
    let mut joiner = Joiner::prepare(4);
    joiner.start("127.0.0.1:1", &[]);
    let cluster = Cluster::prepare_like(1, "127.0.0.1", "");
    cluster.wait_for("the joiner to wait", || {
        joiner.log().contains("waits to join the cluster of the server at").then_some(())
    });
    let mut process = joiner.process.take().expect("it runs");
    let kill = Command::new("kill").args(["-TERM", &process.id().to_string()]).status();
    assert!(kill.expect("kill is installed").success());
    assert!(process.wait().expect("our child can be waited for").success());
    assert!(is_empty(&joiner.data_dir()));
}

/// As in a container: it listens everywhere, and is reached at one address.
#[test]
fn a_server_that_listens_everywhere_is_reached_and_redirected_to_where_it_is_advertised() {
    let cluster = three();
    let mut joiner = Joiner::prepare(4);
    let (clients, log) =
        (format!("0.0.0.0:{}", joiner.client_port), format!("0.0.0.0:{}", joiner.log_port));
    joiner.start(&cluster.log_address(2), &["--client-listen", &clients, "--log-listen", &log]);
    cluster.change(&joiner.add_at("127.0.0.1"));
    joiner.wait_until_it_follows(&cluster);
    let list = cluster.members(1).expect("server 1 answers");
    assert_eq!(list.members[&4].client_address, joiner.address());
}

/// The name is that of another machine here, so the server cannot listen at it.
#[test]
fn a_server_that_was_added_under_a_foreign_address_says_its_own() {
    let cluster = three();
    let mut joiner = Joiner::prepare(4);
    let (client, log) = (joiner.address(), format!("127.0.0.1:{}", joiner.log_port));
    joiner
        .start(&cluster.log_address(1), &["--client-advertise", &client, "--log-advertise", &log]);
    // TEST-NET-1 leads nowhere: nobody can dial the newcomer until it has said where it is.
    cluster.change(&joiner.add_at("192.0.2.1"));
    joiner.wait_until_it_follows(&cluster);
    cluster.wait_for("the address in the log", || {
        let list = cluster.members(1)?;
        (list.members[&4].client_address == client).then_some(())
    });
}

/// It was down when it was removed, so that nobody could tell it.
#[test]
fn a_server_that_never_heard_of_its_removal_is_told_when_it_starts() {
    let mut cluster = three();
    cluster.add_server();
    cluster.kill(4);
    cluster.change("member remove 4");
    cluster.start_server(4);
    let status = cluster.wait_for_role(4, "removed");
    let list = cluster.wait_for_equal_lists(&[1, 2, 3]);
    assert_eq!(status["removed_at"], list.removed[&4].to_string());
    cluster.wait_for_log(4, &["removed from the cluster by entry", &status["removed_at"]]);
}

/// The connections of a peer are closed with it.
#[test]
fn servers_that_come_and_go_leave_no_connections() {
    let mut cluster = three();
    let leader = cluster.wait_for_leader();
    for follower in cluster.ids().into_iter().filter(|id| *id != leader) {
        cluster.wait_for_log(leader, &["accepted peer", &format!("peer={follower}")]);
    }
    let mut before = None;
    for _ in 0..6 {
        let id = cluster.add_learner();
        // The leader has dialled it: it has the entry with itself.
        cluster.wait_for_equal_lists(&[leader, id]);
        cluster.change(&format!("member remove {id}"));
        cluster.wait_for_role(id, "removed");
        cluster.kill(id);
        let least = *before.get_or_insert_with(|| cluster.open_sockets(leader));
        cluster.wait_for("the sockets to be as few as after the first", || {
            (cluster.open_sockets(leader) <= least).then_some(())
        });
    }
}
