//! Changes of the members and transfers of the leadership that real servers refuse: each with the
//! reason, who is concerned, and what to do instead; exit code 1; and nothing is changed.

mod common;

use std::fs::{self, File};
use std::process::{Child, Command, Output, Stdio};

use common::{Cluster, code};

/// Servers on ports of their own, all in format 3.
fn start(count: usize, tables: &str) -> Cluster {
    let settings = format!("{tables}\n[raft]\nelection_timeout_ms = [300, 600]\n");
    let mut cluster = Cluster::prepare_like(count, "127.0.0.1", &settings);
    for id in cluster.ids() {
        cluster.start_server(id);
    }
    until_in_step(&cluster);
    cluster
}

/// Waits until the members can change: the log has their addresses, and all are here.
fn until_in_step(cluster: &Cluster) {
    cluster.wait_for("members that can change", || {
        let is_done = |arguments: &[&str]| cluster.coracle(arguments).status.success();
        (is_done(&["member", "wait", "--all-in-step", "--timeout", "5"])
            && is_done(&["member", "promote", "1"]))
        .then_some(())
    });
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    text(&output.stdout) + &text(&output.stderr)
}

fn run(cluster: &Cluster, line: &str) -> Output {
    cluster.coracle(&line.split(' ').collect::<Vec<_>>())
}

/// Runs a command, and checks its exit code and that it says all these parts.
#[track_caller]
fn says(cluster: &Cluster, line: &str, exit_code: i32, parts: &[&str]) -> String {
    let output = run(cluster, line);
    let said = said(&output);
    assert_eq!(code(&output), exit_code, "{line}: {said}");
    for part in parts {
        assert!(said.contains(part), "{line}: {part:?} is missing in: {said}");
    }
    said
}

/// Checks that a command is refused with all these parts, and that the members stay the same.
#[track_caller]
fn is_refused(cluster: &Cluster, line: &str, parts: &[&str]) {
    let members = |cluster: &Cluster| {
        let json = said(&run(cluster, "member list --json"));
        let from = json.find("\"entry\"").expect("a report has its entry");
        json[from..].split("\"is_committed\"").next().map(str::to_owned)
    };
    let before = members(cluster);
    let said = says(cluster, line, 1, parts);
    assert!(said.starts_with("coracle: refused: "), "{line}: {said}");
    assert_eq!(members(cluster), before, "{line}");
}

/// The number that an output names after the word `change`.
fn number(said: &str) -> u64 {
    let (_, rest) = said.split_once("change ").expect("a change has a number");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}

fn until_unseen(cluster: &Cluster, id: u64) {
    let unseen = format!("{id}   voter      unseen");
    cluster.wait_for("the leader to miss a server", || {
        said(&run(cluster, "member list")).contains(&unseen).then_some(())
    });
}

#[test]
fn what_would_stop_all_writes_is_refused_with_who_is_missing_and_the_way_out() {
    let mut cluster = start(3, "");
    let one = ["one more failure stops all writes", "anyway: coracle member remove 1 --can-lose 0"];
    is_refused(&cluster, "member remove 1", &one);
    is_refused(&cluster, "member demote 1 --dry-run", &[one[0], "member demote 1 --can-lose 0"]);
    is_refused(&cluster, "member add h:1 --client h:2 --dry-run --id 3", &["already"]);
    let leader = cluster.wait_for_leader();
    let dead = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let other = 6 - leader - dead;
    cluster.kill(dead);
    until_unseen(&cluster, dead);
    let unseen = format!("{dead} is unseen for ");
    let replace = format!("coracle member replace {dead} ADDRESS");
    let remove = format!("coracle member remove {dead}");
    let none = "it could not be committed";
    for command in [
        format!("member remove {other}"),
        format!("member demote {other} --dry-run"),
        format!("member remove {other} --can-lose 0"),
    ] {
        is_refused(&cluster, &command, &[&unseen, none, &replace, &remove]);
    }
    let transfer = format!("leader transfer --to {dead}");
    is_refused(&cluster, &transfer, &[&unseen]);
    let plan = ["now:         3 voters, 2 needed, 2 here: can lose 0.", "Nothing was changed."];
    says(&cluster, &format!("member remove {dead} --dry-run"), 0, &plan);
    // None can be lost before, and none afterwards: it costs nothing.
    says(&cluster, &format!("member remove {dead}"), 0, &["2 voters, 2 needed, 2 here"]);
}

#[test]
fn an_id_or_an_address_that_is_taken_or_was_given_before_is_refused() {
    let cluster = start(3, "");
    let taken = format!("{} is the address of server 2", cluster.log_address(2));
    let at_2 = cluster.log_address(2);
    is_refused(&cluster, &format!("member add {at_2} --client h:1"), &[&taken]);
    is_refused(&cluster, &format!("member add h:1 --client {at_2}"), &[&taken]);
    is_refused(&cluster, &format!("member replace 1 {at_2} --client h:1"), &[&taken]);
    is_refused(&cluster, &format!("member update 1 --log {at_2}"), &[&taken]);
    is_refused(&cluster, "member add h:2 --client h:2", &["name two ports"]);
    is_refused(&cluster, "member add h:2 --id 2", &["server 2 is a member already"]);
    is_refused(&cluster, "member remove 9", &["server 9 is no member", "1, 2, 3"]);
    is_refused(&cluster, "leader transfer --to 9", &["9 is no member"]);
    let connected = "server 1 is connected, and says that it is reached at";
    is_refused(&cluster, "member update 1 --log h:1", &[connected]);

    says(&cluster, "member remove 3 --can-lose 0", 0, &["3 is removed. 2 voters"]);
    says(&cluster, "member remove 3", 0, &["already so: 3 is no member."]);
    let again = ["server 3 was removed by entry ", "no id is used again", "next free id is 4"];
    is_refused(&cluster, "member add h:2 --id 3", &again);
    is_refused(&cluster, "member promote 3", &["server 3 was removed by entry "]);
}

#[test]
fn a_change_that_runs_is_named_and_can_be_taken_back() {
    let cluster = start(3, "");
    let nowhere = "127.0.0.1:1 --client 127.0.0.1:2";
    let begun = says(&cluster, &format!("member add {nowhere} --no-wait"), 0, &["4 is a learner"]);
    let number = number(&begun);
    let busy = format!("change {number} (add 4 as a voter) is under way");
    let ways = [format!("coracle member wait {number}"), format!("coracle member cancel {number}")];
    is_refused(&cluster, "member add h:1 --client h:2", &[&busy, &ways[0], &ways[1]]);
    is_refused(&cluster, "member remove 1", &[&busy]);
    is_refused(&cluster, "leader transfer --to 4", &["4 is a learner", "coracle member promote 4"]);
    let list = format!("change {number}: add 4 as a voter; running ");
    says(&cluster, "member list", 0, &[&list, "waits for: server 4 is not connected"]);
    let again = says(&cluster, &format!("member add {nowhere} --timeout 0.3"), 3, &["goes on"]);
    assert!(again.starts_with(&format!("4 is a learner (change {number}).")), "{again}");

    let cancel = format!("member cancel {number}");
    says(&cluster, &cancel, 0, &[&format!("change {number} is taken back.")]);
    says(&cluster, &cancel, 0, &["already so: "]);
    says(&cluster, &format!("member wait {number}"), 1, &["was taken back"]);
    is_refused(&cluster, "member cancel 1", &["change 1 is not known"]);
    let done = says(&cluster, "member add h:1 --client h:2 --learner", 0, &["5 stays a learner"]);
    let cancel = format!("member cancel {}", self::number(&done));
    is_refused(&cluster, &cancel, &["is done", "coracle member list"]);
}

/// The leader hears a stopped server until an election timeout has passed, so a change that needs
/// it can still begin. Then the new half has no quorum, so nobody leads.
#[test]
fn a_change_between_its_halves_is_shown_without_a_leader_and_ends_with_one() {
    let cluster = start(3, "");
    let leader = cluster.wait_for_leader();
    let others: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != leader).collect();
    let (stopped, removed) = (others[0], others[1]);
    let remove = format!("member remove {removed} --can-lose 0 --no-wait --timeout 3");
    let number = cluster.wait_for("a change that waits for a stopped server", || {
        cluster.signal(stopped, "STOP");
        let output = run(&cluster, &remove);
        if output.status.success() {
            return Some(number(&said(&output)));
        }
        cluster.signal(stopped, "CONT");
        until_in_step(&cluster);
        None
    });
    let change = format!("change {number}: remove {removed}");
    let parts = ["No leader answered.\nAs servers ", " know it (entry ", &change];
    says(&cluster, "member list", 0, &parts);
    let json = says(&cluster, "member list --json", 0, &["\"is_leading\":false"]);
    assert_eq!(json.lines().count(), 2, "{json}");
    says(&cluster, &format!("member wait {number} --timeout 0.3"), 3, &["goes on"]);
    says(&cluster, &format!("member cancel {number} --timeout 0.3"), 3, &["answer"]);
    cluster.signal(stopped, "CONT");
    says(&cluster, &format!("member wait {number}"), 0, &["is removed. 2 voters"]);
}

#[test]
fn the_last_voter_is_not_removed() {
    let cluster = start(1, "");
    for command in ["member remove 1 --can-lose 0", "member demote 1 --can-lose 0"] {
        is_refused(&cluster, command, &["it is the only voter", "coracle member add ADDRESS"]);
    }
    is_refused(&cluster, "leader transfer", &["there is no other voter to choose from"]);
}

#[test]
fn a_server_that_is_far_behind_or_drained_does_not_lead() {
    // The snapshot of a megabyte takes minutes.
    let tables = "[limits]\nvalue_bytes_max = 4096\n\
                  [snapshot]\nentries_max = 1000\nbytes_per_second_max = 4096\n\
                  [log]\nkeep_entries = 100\nsegment_bytes = 131072\n";
    let mut cluster = start(3, tables);
    let leader = cluster.wait_for_leader();
    let late = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    let other = 6 - leader - late;
    cluster.kill(late);
    let mut client = cluster.connect(leader).unwrap();
    for number in 0..5_000 {
        client.send(&format!("set key{number} 0 256\r\n{:0256}\r\n", number)).unwrap();
        if number % 100 == 99 {
            (0..100).for_each(|_| assert!(client.hear("set").unwrap().starts_with("OK ")));
        }
    }
    cluster.wait_for("a snapshot in the place of the log", || {
        let status = cluster.status(leader)?;
        (status["snapshot_index"].parse::<u64>().ok()? > 3_000).then_some(())
    });
    cluster.start_server(late);
    let catching = format!("{late}   voter      catching");
    cluster.wait_for("the snapshot to be on its way", || {
        said(&run(&cluster, "member list")).contains(&catching).then_some(())
    });
    let transfer = format!("leader transfer --to {late}");
    is_refused(&cluster, &transfer, &["entries (", " s) behind"]);
    let wait = says(&cluster, "member wait --all-in-step --timeout 1", 3, &["not in step: "]);
    assert!(wait.contains(&format!("{late} catches up (")), "{wait}");

    says(&cluster, &format!("drain {other}"), 0, &["is drained: "]);
    let drained = [format!("{other} is drained"), format!("coracle undrain {other}")];
    cluster.wait_for("the leader to know it", || {
        let said = said(&run(&cluster, &format!("leader transfer --to {other}")));
        said.contains(&drained[0]).then_some(())
    });
    is_refused(&cluster, &format!("leader transfer --to {other}"), &[&drained[0], &drained[1]]);
    is_refused(&cluster, "leader transfer", &[&drained[0], " behind"]);
}

/// A server that joins, and its log. It is killed when the test is over.
struct Joiner {
    process: Child,
    log: std::path::PathBuf,
}

impl Drop for Joiner {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Joiner {
    fn start(cluster: &Cluster, id: u64) -> Joiner {
        let log = cluster.config().with_file_name(format!("joiner{id}.log"));
        let process = Command::new(env!("CARGO_BIN_EXE_coracle"))
            .args(["serve", "--join", &cluster.log_address(1), "--id", &id.to_string()])
            .args(["--data-dir", "joiners"])
            .current_dir(cluster.config().parent().expect("it is in a directory"))
            .stdin(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Joiner { process, log }
    }

    fn says(&self, cluster: &Cluster, part: &str) {
        cluster
            .wait_for(part, || fs::read_to_string(&self.log).unwrap().contains(part).then_some(()));
    }
}

#[test]
fn a_server_that_joins_says_what_to_run_and_goes_on_by_itself_or_why_it_never_can() {
    let settings = "[raft]\nelection_timeout_ms = [300, 600]\n";
    let mut cluster = Cluster::prepare_like(4, "127.0.0.1", settings);
    let text = fs::read_to_string(cluster.config()).unwrap();
    let three: Vec<&str> = text.split("[[servers]]").take(4).collect();
    fs::write(cluster.config(), three.join("[[servers]]")).unwrap();
    (1..=3).for_each(|id| cluster.start_server(id));
    until_in_step(&cluster);

    let early = Joiner::start(&cluster, 4);
    early.says(
        &cluster,
        "server 4 is not a member of cluster \"coracle\": run  coracle member add ",
    );
    let (log, client) = (cluster.log_address(4), cluster.address(4));
    let add = format!("member add {log} --client {client}");
    says(&cluster, &add, 0, &["voter. 4 voters, 3 needed, 4 here: can lose 1. (An even number"]);
    early.says(&cluster, "joins cluster \"coracle\" of 4 servers");

    says(&cluster, "member remove 4", 0, &["4 is removed. 3 voters"]);
    early.says(&cluster, "was removed from the cluster by entry ");
    drop(early);
    fs::remove_dir_all(cluster.config().with_file_name("joiners")).unwrap();
    let burnt = Joiner::start(&cluster, 4);
    burnt.says(&cluster, "server 4 was removed from cluster \"coracle\" by entry ");
    burnt.says(&cluster, "no server gets its id again");
}

#[test]
fn members_do_not_change_before_every_server_can_read_it() {
    let settings = "[raft]\nelection_timeout_ms = [300, 600]\n";
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", settings);
    cluster.start_server_with(1, &["--new-cluster"]);
    cluster.start_server_with(2, &["--new-cluster"]);
    cluster.wait_for_leader();
    let mut client = cluster.connect(1).unwrap();
    assert_eq!(client.ask("upgrade hold\r\n").unwrap(), "OK\r\n");
    cluster.start_server(3);
    cluster.wait_for_leader();
    let needed = ["is in force, and changes of the members need 3"];
    says(&cluster, "member add h:1 --client h:2", 1, &needed);
    says(
        &cluster,
        "leader transfer",
        1,
        &["is in force, and a transfer of the leadership needs 3"],
    );
    // The leader hears of the vote of the third server with its next answer.
    let all_are_here = "3 voters, 2 needed, 3 here: can lose 1. Format ";
    cluster.wait_for("three voters that are here", || {
        let list = cluster.coracle(&["member", "list"]);
        String::from_utf8_lossy(&list.stdout).contains(all_are_here).then_some(())
    });
}
