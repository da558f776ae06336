//! Commands that print to a terminal.

use std::fs::File;
use std::io::Read;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::process::{done_at, program, run_with, three_servers};
use crate::common::code;

/// The bytes that a command prints to a terminal, with plain line ends.
fn on_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let path = name.to_str().unwrap();
    let terminal = File::options().read(true).write(true).open(path).unwrap();
    let mut master = File::from(master);
    let reader = std::thread::spawn(move || {
        let (mut printed, mut bytes) = (Vec::new(), [0; 4096]);
        // A terminal that nobody has open any more ends with an error.
        while let Ok(length @ 1..) = master.read(&mut bytes) {
            printed.extend(&bytes[..length]);
        }
        printed
    });
    let (mut command, _directory) = program();
    command.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("CI");
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::null()).stdout(terminal).stderr(Stdio::inherit());
    let status = command.status().expect("the binary can be started");
    assert!(status.success(), "{arguments:?}");
    // The command has its terminal open as well.
    drop(command);
    String::from_utf8(reader.join().unwrap()).unwrap().replace("\r\n", "\n")
}

#[test]
fn a_person_sees_colors_and_values_on_one_line_and_a_pipe_gets_neither() {
    let cluster = three_servers();
    let address = cluster.address(1);
    let at =
        |arguments: &[&'static str]| [arguments, &["--endpoints", &address]].concat().join(" ");
    let seen = |arguments: &[&'static str], variables: &[(&str, &str)]| {
        let line = at(arguments);
        on_terminal(&line.split(' ').collect::<Vec<_>>(), variables)
    };
    let set = ["set", "a", "-", "--endpoints", &address];
    assert_eq!(code(&run_with(&set, &[], b"two\nlines\x1b[2J")), 0);
    let value = "\"two\\nlines\\x1b[2J\"";
    assert_eq!(seen(&["get", "a"], &[]), format!("{value}\n"));
    let bold = |text: &str| format!("\u{1b}[1m{text}\u{1b}[0m");
    assert_eq!(seen(&["scan"], &[]), format!("{} 2 0 13\n{value}\n", bold("a")));
    assert_eq!(seen(&["history", "a"], &[]), format!("set {} 2 0 13\n{value}\n", bold("a")));

    let status = seen(&["status"], &[]);
    let lines: Vec<&str> = status.lines().collect();
    let plain = done_at(&address, &["status"], 0);
    assert_eq!(lines[0], bold(plain.lines().next().unwrap()));
    let leader = lines.iter().find(|line| line.contains("leader")).unwrap();
    assert!(leader.starts_with("\u{1b}[32m") && leader.ends_with("\u{1b}[0m"), "{status}");
    assert!(!plain.contains('\u{1b}'), "{plain}");
    for variables in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        assert_eq!(seen(&["status"], &[variables]).lines().next(), plain.lines().next());
    }
    assert_eq!(seen(&["status", "--color", "never"], &[]).lines().next(), plain.lines().next());
    let always = done_at(&address, &["--color", "always", "status"], 0);
    assert_eq!(always.lines().next(), Some(lines[0]));
    assert!(seen(&["member", "list"], &[]).starts_with("\u{1b}[1mid  counts as"));
    assert!(seen(&["upgrade", "status"], &[]).starts_with("\u{1b}[1mid  role"));
}
