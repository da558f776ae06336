//! The exit codes of all commands that ask a running cluster: each ends alike when no server
//! answers, and when servers are named in a wrong way.

use std::fs;
use std::net::TcpListener;
use std::process::Output;

use super::json::synopsis;
use super::process::program;
use crate::common::{code, coracle};

/// The examples of all commands that take addresses, as they are typed.
fn examples() -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(code(&coracle(&["man", directory.path().to_str().unwrap()])), 0);
    let mut examples = Vec::new();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let page = fs::read_to_string(entry.unwrap().path()).unwrap();
        let takes_addresses = page.lines().any(|line| line.starts_with("\\fB\\-\\-endpoints\\fR"));
        // The page of the program itself has no name: without a command it needs a terminal.
        if let Some(name) = synopsis(&page).filter(|_| takes_addresses) {
            let example = page.lines().skip_while(|line| *line != ".SH EXAMPLES").nth(3).unwrap();
            let typed = example.strip_prefix("\\fB").unwrap().strip_suffix("\\fR").unwrap();
            let typed = typed.replace("\\-", "-");
            assert!(typed.starts_with(&format!("coracle {name}")), "{typed}");
            examples.push(typed);
        }
    }
    examples
}

/// An export without keys.
const NO_KEYS: &str = "{\"format\":\"coracle-export\",\"format_version\":1,\"revision\":1,\
                       \"prefix\":\"\"}\n{\"end\":true,\"keys\":0}\n";

/// Runs an example with further options.
fn run(example: &str, options: &[&str]) -> Output {
    let (mut command, directory) = program();
    fs::write(directory.path().join("move.txn"), "get a\n").unwrap();
    if example.starts_with("coracle import") {
        fs::write(directory.path().join("users.jsonl"), NO_KEYS).unwrap();
    }
    let (mine, theirs) = example.split_once(" -- ").map_or((example, None), |(a, b)| (a, Some(b)));
    command.args(mine.split(' ').skip(1)).args(options);
    if let Some(theirs) = theirs {
        command.arg("--").args(theirs.split(' '));
    }
    command.output().expect("the binary can be started")
}

#[test]
fn every_command_ends_alike_when_no_server_answers_or_none_is_named_rightly() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = listener.local_addr().unwrap().to_string();
    drop(listener);
    let examples = examples();
    for part in ["get ", "scan ", "lock ", "member add", "snapshot save", "upgrade raise", "top "] {
        let has_part = |example: &String| example.starts_with(&format!("coracle {part}"));
        assert!(examples.iter().any(has_part), "{part}: {examples:?}");
    }
    for example in &examples {
        let output = run(example, &["--endpoints", &closed, "--timeout-ms", "200"]);
        assert_eq!(code(&output), 3, "{example}: {output:?}");
        assert_eq!(output.stdout, b"", "{example}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("coracle: ") && said.lines().count() == 1, "{example}: {said}");
        assert!(said.contains(&closed) || said.contains("answer"), "{example}: {said}");

        let output = run(example, &[]);
        assert_eq!(code(&output), 2, "{example}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("there is no servers.toml in this directory"), "{example}: {said}");

        let output = run(example, &["--endpoints", "nowhere"]);
        assert_eq!(code(&output), 2, "{example}: {output:?}");
    }
}
