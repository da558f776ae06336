//! The refusals of a server: each names its file and a command that mends it, and that command
//! exists.

use std::io;
use std::path::PathBuf;

use clap::Parser;
use coracle::node::NodeError;
use coracle::raft::ChangeRefusal;
use coracle::storage::StorageError;
use coracle::types::{
    ChangeKind, Divergence, Format, FormatInForce, FormatRange, LogIndex, LogPosition, NodeId, Term,
};

use super::Cli;

/// The commands between backquotes in a sentence.
fn commands(said: &str) -> Vec<&str> {
    said.split('`').skip(1).step_by(2).collect()
}

/// True when the command line knows a command, with all of its options.
fn parses(command: &str) -> bool {
    use clap::error::ErrorKind;
    match Cli::try_parse_from(command.split_whitespace()) {
        Ok(_) => true,
        Err(error) => {
            matches!(error.kind(), ErrorKind::DisplayVersion | ErrorKind::DisplayHelp)
        }
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from("data/3").join(name)
}

/// All errors of the storage. A new one that is not here does not compile.
fn refusals() -> Vec<StorageError> {
    use StorageError as E;
    let position = LogPosition { term: Term(2), index: LogIndex(7) };
    let cluster = || "coracle".to_owned();
    let all = vec![
        E::Damaged { path: path("hard_state"), offset: 9, what: "a reason".into() },
        E::Damaged { path: path("identity"), offset: 0, what: "a reason".into() },
        E::Damaged { path: path("log/00000001.segment"), offset: 512, what: "a reason".into() },
        E::EntriesMissing {
            path: path("log/00000001.segment"),
            offset: 512,
            durable: position,
            durable_to: 900,
        },
        E::FileMissing { path: path("hard_state"), evidence: "the log is there".into() },
        E::FileMissing { path: path("identity"), evidence: "there is a log".into() },
        E::Irreparable { damage: "data/3/log/00000001.segment is damaged".into() },
        E::HardStateStale { path: path("hard_state"), current: Term(1), last: position },
        E::SnapshotMissing { path: path("snapshot"), base: position },
        E::OtherSnapshot { path: path("snapshot/x"), found: "other".into(), cluster: cluster() },
        E::OtherOwner {
            path: path("identity"),
            found_node: 2,
            found_cluster: "other".into(),
            node: 3,
            cluster: cluster(),
        },
        E::NotEmpty { path: path("") },
        E::SameCluster { path: PathBuf::from("data/3/backup"), cluster: cluster() },
        E::Locked { path: path("lock") },
        E::NotADataDirectory { path: path("") },
        E::Unknown { path: path("hard_state"), offset: 0, what: "a format version".into() },
        E::Gone { path: path("lock"), data_dir: path("") },
        E::Unreadable {
            path: path("log"),
            needed: FormatInForce::read(Format(3), "0.3.0"),
            reads: FormatRange::OWN,
        },
        E::Diverged {
            divergence: Divergence { index: LogIndex(7), found: "the store differs".into() },
            data_dir: path(""),
        },
    ];
    for error in &all {
        match error {
            E::Damaged { .. }
            | E::EntriesMissing { .. }
            | E::FileMissing { .. }
            | E::Irreparable { .. }
            | E::HardStateStale { .. }
            | E::SnapshotMissing { .. }
            | E::OtherSnapshot { .. }
            | E::OtherOwner { .. }
            | E::NotEmpty { .. }
            | E::SameCluster { .. }
            | E::Locked { .. }
            | E::NotADataDirectory { .. }
            | E::Unknown { .. }
            | E::Gone { .. }
            | E::Unreadable { .. }
            | E::Diverged { .. } => {}
            // The cure of a failed system call depends on the call, and `Stopped` follows another
            // error.
            E::Io { .. } | E::Stopped => unreachable!("these are not refusals"),
        }
    }
    all
}

#[test]
fn every_refusal_names_its_file_and_a_command_that_exists() {
    for error in refusals() {
        let said = error.to_string();
        let commands = commands(&said);
        assert!(said.contains("data/3"), "no file: {said}");
        assert!(!commands.is_empty(), "no command: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        for command in commands {
            let word = command.split(' ').next().unwrap();
            match word {
                "coracle" => assert!(parses(command), "{command}: {said}"),
                "rm" => assert!(command.starts_with("rm -r data/3"), "{command}: {said}"),
                "mv" | "fuser" => assert!(command.contains("data/3"), "{command}: {said}"),
                _ => panic!("an unknown command {command}: {said}"),
            }
        }
    }
}

#[test]
fn a_damaged_vote_or_identity_says_how_the_server_rejoins() {
    for name in ["hard_state", "identity"] {
        let said = StorageError::Damaged { path: path(name), offset: 0, what: "a reason".into() }
            .to_string();
        assert!(said.contains("(`rm -r data/3`)"), "{said}");
        assert!(said.contains("(`coracle serve --id 3`)"), "{said}");
        assert!(said.contains("if the other servers are a majority without this one"), "{said}");
    }
}

#[test]
fn a_node_that_cannot_be_found_or_a_failed_system_call_says_what_to_do() {
    let said = NodeError::UnknownId(NodeId(9)).to_string();
    assert!(commands(&said).into_iter().all(parses) && said.contains("`coracle config`"), "{said}");
    let source = io::Error::from(io::ErrorKind::StorageFull);
    let said = StorageError::Io { action: "write", path: path("hard_state"), source }.to_string();
    assert!(said.contains("make room and start the server again"), "{said}");
}

#[test]
fn every_command_of_an_upgrade_is_known() {
    for command in [
        "coracle upgrade status",
        "coracle upgrade status --config servers.toml --timeout-ms 500",
        "coracle upgrade check --to /usr/bin/coracle",
        "coracle upgrade hold",
        "coracle upgrade release",
        "coracle upgrade raise --timeout-ms 500",
        "coracle upgrade formats",
        "coracle check",
        "coracle check --timeout-ms 500",
    ] {
        assert!(parses(command), "{command}");
    }
    for command in ["coracle upgrade", "coracle upgrade check", "coracle upgrade raise 2"] {
        assert!(Cli::try_parse_from(command.split_whitespace()).is_err(), "{command}");
    }
}

#[test]
fn every_command_about_members_and_leadership_is_known() {
    for command in [
        "coracle member list",
        "coracle member list --json --timeout 1 --server 10.0.0.1:9000 --server 2",
        "coracle member add 10.0.0.6:9001",
        "coracle member add 10.0.0.6:9001 --client 10.0.0.6:9000 --id 6 --learner --no-wait",
        "coracle member remove 1",
        "coracle member remove 10.0.0.1:9001 --can-lose 0 --dry-run",
        "coracle member replace 3 10.0.0.7:9001 --can-lose 0 --timeout 1.5",
        "coracle member promote 6 --json",
        "coracle member demote 1 --can-lose 0",
        "coracle member update 1 --log 10.0.0.6:9001 --client 10.0.0.6:9000",
        "coracle member wait 17",
        "coracle member wait --all-in-step --timeout 60",
        "coracle member cancel 17",
        "coracle leader transfer",
        "coracle leader transfer --to 6",
        "coracle leader transfer --avoid 10.0.0.2:9001",
        "coracle drain 2",
        "coracle undrain 2",
        "coracle serve --join 10.0.0.2:9001 --id 6 --data-dir DIR",
        "coracle serve --id 1 --client-listen 0.0.0.0:9000 --log-listen [::]:9001",
        "coracle serve --id 1 --client-advertise a.example:80 --log-advertise a.example:81",
    ] {
        assert!(parses(command), "{command}");
    }
    for command in [
        "coracle member remove 1 --force",
        "coracle serve --join 10.0.0.2:9001 --data-dir DIR",
        "coracle serve --join 10.0.0.2:9001 --id 6 --new-cluster",
        "coracle serve --id 1 --client-listen 0.0.0.0",
    ] {
        assert!(!parses(command), "{command}");
    }
    let refusals = [
        ChangeRefusal::Busy { number: LogIndex(17), what: ChangeKind::Add { id: NodeId(6) } },
        ChangeRefusal::NothingCommitted,
    ];
    for said in refusals.map(|refusal| refusal.to_string()) {
        assert!(commands(&said).into_iter().all(parses), "{said}");
    }
}

#[test]
fn every_command_about_revisions_leases_and_locks_is_known() {
    let commands = [
        "coracle get a --at 7",
        "coracle get a --at 7 --meta",
        "coracle scan",
        "coracle scan a --at 7 --limit 3",
        "coracle scan --prefix=-a --from -b --keys-only --json",
        "coracle scan --all --count",
        "coracle set a -5",
        "coracle set a --exptime 9 -5",
        "coracle set a -- --exptime",
        "coracle set a --file value --base64",
        "coracle cas a 7 - --hex --key-hex",
        "coracle get a --hex",
        "coracle set a 1 --lease 5 --exptime 9",
        "coracle watch a/ --from 7 --prev --limit 2 --json",
        "coracle watch a --key",
        "coracle history a --json",
        "coracle compact 7",
        "coracle txn",
        "coracle txn - --json",
        "coracle txn script --timeout-ms 100",
        "coracle lease grant 10",
        "coracle lease grant 10 --id 7",
        "coracle lease renew 7",
        "coracle lease revoke 7",
        "coracle lease info 7 --json",
        "coracle lock a --seconds 5 --wait 3 --holder me -- make --all",
        "coracle elect a",
        "coracle elect a --observe --json",
        "coracle elect a me --seconds 5 --wait 3",
    ];
    for command in commands {
        assert!(parses(command), "{command}");
    }
    let wrong = [
        "coracle watch",
        "coracle set a",
        "coracle set a 1 --file value",
        "coracle set a 1 --hex --base64",
        "coracle get a --json --meta",
        "coracle scan a --prefix a",
        "coracle scan --all --limit 1",
        "coracle scan --count --keys-only",
        "coracle watch a --from 0",
        "coracle compact 0",
        "coracle lock a",
        "coracle lock a --seconds 0 -- make",
        "coracle lock a --wait 0 -- make",
        "coracle lock a make",
        "coracle elect a me --observe",
        "coracle lease info",
    ];
    for command in wrong {
        assert!(!parses(command), "{command}");
    }
}

#[test]
fn every_command_about_files_of_keys_and_clusters_for_developers_is_known() {
    let commands = [
        "coracle export",
        "coracle export user/ --output users.jsonl --force --json --endpoints 10.0.0.1:9000",
        "coracle import",
        "coracle import - --only-missing --json",
        "coracle import users.jsonl --timeout-ms 100",
        "coracle dev",
        "coracle dev --nodes 25 --port 65000 --dir playground",
    ];
    for command in commands {
        assert!(parses(command), "{command}");
    }
    let wrong = [
        "coracle export user/ --force",
        "coracle export user/ --json",
        "coracle import one two",
        "coracle dev --nodes 0",
        "coracle dev --nodes 26",
        "coracle dev --port 65001",
    ];
    for command in wrong {
        assert!(!parses(command), "{command}");
    }
}

#[test]
fn the_line_of_a_server_has_its_ports_and_last_its_directory() {
    use coracle::config::{Overrides, Settings};
    let line = |more: &str| {
        let text = format!(
            "data_dir = \"my data\"\n[[servers]]\nid = 3\nhostname = \"h\"\nclient_port = 1\n\
             log_port = 2\n{more}"
        );
        let path = std::path::Path::new("servers.toml");
        let settings = Settings::parse(path, &text, &Overrides::default()).unwrap();
        super::server_line(&settings.servers[&NodeId(3)])
    };
    assert_eq!(line(""), "3 h 1 2 - my data/3\n");
    assert_eq!(line("http_port = 4\n"), "3 h 1 2 4 my data/3\n");
    assert_eq!(line("http_listen = \"0.0.0.0:5\"\n"), "3 h 1 2 5 my data/3\n");
}
