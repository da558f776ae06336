//! `top` on a terminal, which it puts back at any end.

use std::io::Read;
use std::process::{Child, Command, ExitStatus};

use vt100::Color;

use super::screen::{Terminal, open_terminal, spawn};
use super::{follower, start};
use crate::common::Cluster;

/// `top` on a terminal.
struct Top {
    process: Child,
    terminal: Terminal,
}

impl Top {
    fn start(cluster: &Cluster) -> Top {
        Top::start_as(&mut command(cluster))
    }

    fn start_as(command: &mut Command) -> Top {
        let terminal = Terminal::open();
        let process = terminal.run(command);
        Top { process, terminal }
    }

    fn end(&mut self, cluster: &Cluster) -> ExitStatus {
        cluster.wait_for("the end of top", || self.process.try_wait().unwrap())
    }
}

fn command(cluster: &Cluster) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_coracle"));
    command.args(["top", "--config"]).arg(cluster.config());
    command
}

impl Drop for Top {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_terminal_is_put_back_after_each_end() {
    let cluster = start();
    for end in ["q", "\u{3}", "TERM", "INT", "HUP"] {
        let mut top = Top::start(&cluster);
        top.terminal.wait_for(&cluster, "5 servers, 5 answer.");
        assert!(top.terminal.has_the_screen() && !top.terminal.is_put_back(), "{end:?}");
        if end.len() == 1 {
            top.terminal.press(end);
        } else {
            let id = top.process.id().to_string();
            let kill = Command::new("kill").args([&format!("-{end}"), &id]).status();
            assert!(kill.unwrap().success());
        }
        assert_eq!(top.end(&cluster).code(), Some(0), "{end:?}");
        cluster
            .wait_for("the screen from before", || (!top.terminal.has_the_screen()).then_some(()));
        assert!(top.terminal.is_put_back(), "{end:?}");
    }
}

#[test]
fn keys_sort_pause_and_explain_and_a_server_that_dies_is_seen() {
    let mut cluster = start();
    let dead = follower(&cluster);
    let mut top = Top::start(&cluster);
    top.terminal.wait_for(&cluster, "5 servers, 5 answer.");
    for id in cluster.ids() {
        assert!(top.terminal.text().contains(&cluster.address(id)), "{}", top.terminal.text());
    }
    top.terminal.press("s");
    top.terminal.wait_for(&cluster, "s sort: lag");
    top.terminal.press("?");
    top.terminal.wait_for(&cluster, "in the server's own words");
    // A frame comes in pieces.
    cluster.wait_for("the help alone", || {
        (!top.terminal.text().contains(&cluster.address(dead))).then_some(())
    });
    top.terminal.press("?p");
    top.terminal.wait_for(&cluster, " paused");
    cluster.kill(dead);
    top.terminal.press("p");
    top.terminal.wait_for(&cluster, "5 servers, 4 answer.");
    top.terminal.wait_for(&cluster, "4 here: can lose 1.");
    // Sorted by the lag, an unknown one is the last.
    cluster.wait_for("the dead server below the others", || {
        let text = top.terminal.text();
        let is_alive = |line: &&str| line.contains(" follower ") || line.contains(" leader ");
        let last = text.lines().rfind(is_alive)?;
        let below = text.lines().skip_while(|line| *line != last).nth(1)?;
        (below.starts_with(&format!("{dead}   down")) && below.contains("unseen")).then_some(())
    });
}

#[test]
fn a_server_that_is_down_has_a_color_unless_the_option_forbids_it() {
    let mut cluster = start();
    let dead = follower(&cluster);
    cluster.kill(dead);
    for (option, color) in [("auto", Color::Idx(1)), ("never", Color::Default)] {
        let mut command = command(&cluster);
        command.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("CI");
        let top = Top::start_as(command.args(["--color", option]));
        top.terminal.wait_for(&cluster, "5 servers, 4 answer.");
        let row = format!("{dead}   down");
        top.terminal.wait_for(&cluster, &row);
        assert_eq!(top.terminal.look_of(&row).0, color, "{option}");
    }
}

/// The signal that tells of it need not come: the terminal is not that of the process's session.
#[test]
fn a_terminal_that_is_gone_ends_the_table() {
    let cluster = start();
    let (mut person, terminal) = open_terminal();
    let mut process = spawn(&mut command(&cluster), &terminal);
    drop(terminal);
    let (mut screen, mut bytes) = (String::new(), [0; 4096]);
    while !screen.contains("answer") {
        let read = person.read(&mut bytes).unwrap();
        screen += &String::from_utf8_lossy(&bytes[..read]);
    }
    drop(person);
    let ended = cluster.wait_for("the end of top", || process.try_wait().unwrap());
    assert_ne!(ended.code(), None, "no signal has ended it: {ended}");
}
