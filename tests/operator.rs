//! Real servers in the hands of those who operate them: signals, log pipes that go away, data
//! directories that are moved.

mod common;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;

use common::clients::{Writer, scan_all};
use common::{Cluster, serve_to_its_end};

fn one_server() -> Cluster {
    Cluster::prepare_like(
        1,
        "127.0.0.1",
        "[raft]\nelection_timeout_ms = [50, 100]\n\
                                           heartbeat_interval_ms = 15\n",
    )
}

fn set(cluster: &Cluster, key: &str) {
    let reply = cluster.connect(1).unwrap().ask(&format!("set {key} 0 1\r\n1\r\n")).unwrap();
    assert!(reply.starts_with("OK "), "{reply}");
}

#[test]
fn signals_that_mean_nothing_are_logged_and_the_server_goes_on() {
    let mut cluster = one_server();
    cluster.start_server(1);
    cluster.wait_for_leader();
    for (name, line) in [
        ("HUP", "log level not changed"),
        ("USR1", "ignored SIGUSR1: "),
        ("USR2", "ignored SIGUSR2: "),
    ] {
        cluster.signal(1, name);
        cluster.wait_for("the signal to be logged", || cluster.log(1).contains(line).then_some(()));
        set(&cluster, name);
    }
    for name in ["PIPE", "XFSZ"] {
        cluster.signal(1, name);
        set(&cluster, name);
    }
    assert_eq!(cluster.log(1).matches("ignored SIG").count(), 2);
    assert_eq!(cluster.terminate(1).code(), Some(0));
    assert!(cluster.log(1).lines().last().unwrap().ends_with("stopped node=1"));
}

#[test]
fn sigint_stops_cleanly_and_a_second_one_does_not_cut_it_short() {
    let mut cluster = one_server();
    cluster.start_server(1);
    cluster.wait_for_leader();
    // A stopped process gets all of them at once.
    cluster.signal(1, "STOP");
    for name in ["INT", "TERM", "HUP", "INT", "CONT"] {
        cluster.signal(1, name);
    }
    assert_eq!(cluster.wait_for_end(1).code(), Some(0));
    assert!(cluster.log(1).contains("stopped node=1"), "{}", cluster.log(1));
}

#[test]
fn a_server_whose_log_pipe_is_gone_or_closed_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let pipe = pipe.display();
    let broken = format!(
        "mkfifo '{pipe}' && {{ head -c 1 '{pipe}' > /dev/null & }} && exec 2> '{pipe}' 1>&2"
    );
    for prepare in [broken.as_str(), "exec 1>&- 2>&-"] {
        let mut cluster = one_server();
        cluster.start_server_within(1, prepare);
        cluster.wait_for_leader();
        set(&cluster, "a");
        for _ in 0..3 {
            // Each writes a line.
            cluster.signal(1, "HUP");
            set(&cluster, "b");
        }
        assert_eq!(cluster.terminate(1).code(), Some(0), "{prepare}");
    }
    // One that cannot start has no place to say why, and its exit code says what it can.
    let mut cluster = one_server();
    fs::write(cluster.config(), "servers = 1\n").unwrap();
    cluster.start_server_within(1, "exec 1>&- 2>&-");
    assert_eq!(cluster.wait_for_end(1).code(), Some(2));
}

#[test]
fn a_leader_whose_data_directory_is_moved_ends_and_no_acknowledged_write_is_lost() {
    let mut cluster = Cluster::start();
    let leader = cluster.wait_for_leader();
    let writer = Writer::start(cluster.addresses());
    writer.wait_for_more(&cluster, 50);
    let (dir, away) = (cluster.data_dir(leader), cluster.config().with_file_name("away"));
    fs::rename(&dir, &away).unwrap();
    assert_eq!(cluster.wait_for_end(leader).code(), Some(4));
    let said = cluster.log(leader);
    let last = said.lines().last().unwrap();
    let expected = format!("coracle: {} was deleted, moved or replaced", dir.display());
    assert!(last.starts_with(&expected), "{said}");
    assert!(!dir.exists(), "nothing was made in its place");
    let next = cluster.wait_for_leader();
    assert_ne!(next, leader);
    writer.wait_for_more(&cluster, 50);
    // As the sentence says: put back, it is as good as before.
    fs::rename(&away, &dir).unwrap();
    cluster.start_server(leader);
    cluster.wait_for_leader();
    writer.wait_for_more(&cluster, 50);
    let acknowledged = writer.stop();
    let found = scan_all(&cluster);
    for (key, version) in &acknowledged {
        let item = found.iter().find(|item| item.key == key.as_bytes());
        let item = item.unwrap_or_else(|| panic!("{key}, acknowledged at {version}, is gone"));
        assert_eq!(item.version, *version);
    }
    let statuses = cluster.wait_for_quiet();
    assert!(statuses.iter().all(|status| status["store_digest"] == statuses[0]["store_digest"]));
}

#[test]
fn a_directory_that_is_deleted_is_noticed_by_an_idle_server_too() {
    for name in ["", "log", "snapshot", "lock"] {
        let mut cluster = one_server();
        cluster.start_server(1);
        cluster.wait_for_leader();
        set(&cluster, "k");
        let path = cluster.data_dir(1).join(name);
        match path.is_dir() {
            true => fs::remove_dir_all(&path).unwrap(),
            false => fs::remove_file(&path).unwrap(),
        }
        assert_eq!(cluster.wait_for_end(1).code(), Some(4), "{name:?}");
        let said = cluster.log(1);
        assert!(
            said.lines().last().unwrap().contains(" was deleted, moved or replaced "),
            "{said}"
        );
    }
}

#[test]
fn a_data_directory_behind_a_link_works() {
    let mut cluster = one_server();
    let real = cluster.config().with_file_name("disk");
    fs::create_dir(&real).unwrap();
    symlink(&real, cluster.data_dir(1).parent().unwrap()).unwrap();
    for key in ["a", "b"] {
        cluster.start_server(1);
        cluster.wait_for_leader();
        set(&cluster, key);
        // Several checks pass.
        let uptime = || cluster.status(1).filter(|status| status["uptime_seconds"] != "0");
        cluster.wait_for("the server to be up for a second", uptime);
        assert_eq!(cluster.terminate(1).code(), Some(0));
    }
    assert!(real.join("1/log").is_dir());
}

/// Checks that server 1 ends with this code, and with one sentence that has all these parts.
#[track_caller]
fn assert_refused(cluster: &Cluster, arguments: &[&str], exit_code: i32, parts: &[&str]) {
    let (status, said) = serve_to_its_end(&cluster.config(), arguments);
    assert_eq!(status.code(), Some(exit_code), "{said}");
    let ours: Vec<&str> = said.lines().filter(|line| line.starts_with("coracle: ")).collect();
    assert!(
        ours.len() == 1 && said.lines().last() == Some(ours[0]),
        "one sentence, at last: {said}"
    );
    for part in parts {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

/// Each reason why a server does not start, with the command or the edit that mends it.
#[test]
fn a_server_that_refuses_to_start_says_what_mends_it() {
    let cluster = one_server();
    let config = cluster.config();
    let text = fs::read_to_string(&config).unwrap();
    let (client_port, log_port) = (cluster.client_port(1), cluster.log_address(1));
    let edited = |from: &str, to: &str| fs::write(&config, text.replace(from, to)).unwrap();
    let one = ["--id", "1"];

    for (port, key) in [
        (client_port.to_string(), "client_port"),
        (log_port.rsplit(':').next().unwrap().to_owned(), "log_port"),
    ] {
        let occupant = TcpListener::bind(format!("127.0.0.1:{port}")).unwrap();
        let remedy = format!("`ss -ltnp 'sport = :{port}'` names it");
        assert_refused(&cluster, &one, 1, &[key, &remedy, "in servers.toml"]);
        drop(occupant);
    }
    // 192.0.2.1 is reserved for documentation.
    edited("127.0.0.1", "192.0.2.1");
    assert_refused(&cluster, &one, 1, &["192.0.2.1", "no address of this machine", "hostname"]);
    edited("127.0.0.1", "no-such-host.invalid");
    assert_refused(&cluster, &one, 1, &["`getent hosts no-such-host.invalid`", "hostname"]);
    edited("client_port", "clientport");
    assert_refused(&cluster, &one, 2, &["line ", "clientport", "did you mean client_port?"]);
    edited("", "");
    assert_refused(&cluster, &["--id", "7"], 2, &["no server with id 7", "the ids are 1", "--id"]);

    let file = config.with_file_name("file");
    fs::write(&file, "x").unwrap();
    let file = file.to_str().unwrap();
    let there = ["--id", "1", "--data-dir", file];
    assert_refused(&cluster, &there, 1, &[file, "a file is where a directory should be"]);
    // Nobody can make a directory there, not even root.
    let there = ["--id", "1", "--data-dir", "/proc/coracle"];
    assert_refused(&cluster, &there, 1, &["cannot make the directory /proc/coracle/1"]);

    let directory = config.parent().unwrap().to_str().unwrap();
    for (arguments, parts) in [
        (["--config", "/no/such/servers.toml"], ["/no/such/servers.toml", "with --config"]),
        (["--config", directory], [directory, "/servers.toml`"]),
    ] {
        let output = common::coracle(&["serve", "--id", "1", arguments[0], arguments[1]]);
        assert_eq!(common::code(&output), 2);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            parts.iter().all(|part| said.contains(part)) && said.lines().count() == 1,
            "{said}"
        );
    }
}

#[test]
fn a_server_without_room_for_files_says_the_limit_that_is_enough() {
    let mut cluster = one_server();
    cluster.start_server_within(1, "ulimit -n 100");
    assert_eq!(cluster.wait_for_end(1).code(), Some(1));
    let said = cluster.log(1);
    assert!(said.contains("may have 100 files open") && said.contains("`ulimit -n "), "{said}");
}

#[test]
fn a_server_that_runs_already_is_named_by_its_port_and_by_its_lock() {
    let mut cluster = one_server();
    cluster.start_server(1);
    cluster.wait_for_leader();
    assert_refused(&cluster, &["--id", "1"], 1, &["perhaps this server itself", "`ss -ltnp"]);
    let other = one_server();
    let data_dir = cluster.data_dir(1);
    let data_dir = data_dir.parent().unwrap().to_str().unwrap();
    let there = ["--id", "1", "--data-dir", data_dir];
    assert_refused(&other, &there, 1, &["is locked by another process", "`fuser -v "]);
    set(&cluster, "k");
}

/// The environment of a running server, a variable a line.
#[cfg(target_env = "gnu")]
fn environment(cluster: &Cluster, id: u64) -> String {
    let path = format!("/proc/{}/environ", cluster.pid(id));
    fs::read_to_string(path).expect("our child's environment is text").replace('\0', "\n")
}

#[cfg(target_env = "gnu")]
#[test]
fn a_server_begins_again_with_options_for_libcs_allocator_and_stays_the_same_process() {
    let mut cluster = one_server();
    cluster.start_server(1);
    cluster.wait_for_leader();
    let environment = environment(&cluster, 1);
    // The loader may have ended each option with a zero, in the place of the colon.
    for option in ["GLIBC_TUNABLES=glibc.malloc.hugetlb=1", "glibc.malloc.tcache_count=128"] {
        assert!(environment.contains(option), "{environment}");
    }
    let name = fs::read_to_string(format!("/proc/{}/comm", cluster.pid(1))).unwrap();
    assert_eq!(name, "coracle\n");
    assert_eq!(cluster.terminate(1).code(), Some(0));
}

#[cfg(target_env = "gnu")]
#[test]
fn options_of_the_operator_for_the_allocator_stay_as_they_are() {
    let mut cluster = one_server();
    cluster.start_server_under(1, &[("GLIBC_TUNABLES", "glibc.malloc.arena_max=2")]);
    cluster.wait_for_leader();
    let environment = environment(&cluster, 1);
    assert!(environment.contains("GLIBC_TUNABLES=glibc.malloc.arena_max=2\n"), "{environment}");
}

/// The loader takes the options away from a program that has privileges of its own. Such a one
/// would begin again for ever.
#[cfg(target_env = "gnu")]
#[test]
fn a_server_whose_options_were_taken_away_does_not_begin_a_third_time() {
    let mut cluster = one_server();
    cluster.start_server_under(1, &[("CORACLE_EXECUTED_AGAIN", "1")]);
    cluster.wait_for_leader();
    let environment = environment(&cluster, 1);
    assert!(!environment.contains("GLIBC_TUNABLES="), "{environment}");
}

/// The program is gone from where it was when the server began: it serves as it is.
#[cfg(target_env = "gnu")]
#[test]
fn a_server_that_cannot_begin_again_serves_and_says_so() {
    let mut cluster = one_server();
    let gone = cluster.data_dir(1).with_file_name("gone").display().to_string();
    let script = format!(
        "mkdir -p $(dirname {gone}) && cp \"$0\" {gone} && exec 3<{gone} && rm {gone} \
         && exec /proc/self/fd/3 \"$@\""
    );
    cluster.start_server_within(1, &script);
    cluster.wait_for_leader();
    let log = cluster.log(1);
    assert!(log.contains("could not execute the program again"), "{log}");
}
