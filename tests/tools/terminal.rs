//! `top` on a terminal, which it puts back at any end.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use vt100::Parser;

use super::{follower, start};
use crate::common::Cluster;

/// The size of the terminal.
const ROWS: u16 = 20;
const COLUMNS: u16 = 200;

/// `top` on a terminal.
struct Top {
    process: Child,
    keyboard: File,
    terminal: File,
    screen: Arc<Mutex<Parser>>,
}

impl Top {
    fn start(cluster: &Cluster) -> Top {
        let (master, terminal) = open_terminal();
        let process = spawn(cluster, &terminal);
        let keyboard = master;
        let of = |length| NonZero::new(length).unwrap();
        let screen = Arc::new(Mutex::new(Parser::new(of(ROWS), of(COLUMNS), 0)));
        let (mut output, drawn) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                drawn.lock().unwrap().process(&bytes[..length]);
            }
        });
        Top { process, keyboard, terminal, screen }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// The text that the terminal shows now.
    fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// True while `top` has the screen for itself.
    fn has_the_screen(&self) -> bool {
        self.screen.lock().unwrap().screen().alternate_screen()
    }

    /// Waits until the terminal shows a text.
    fn wait_for(&self, cluster: &Cluster, text: &str) {
        cluster.wait_for(text, || self.text().contains(text).then_some(()));
    }

    /// True while lines are edited and keys are echoed, as a shell needs it.
    fn is_put_back(&self) -> bool {
        let wanted = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        tcgetattr(&self.terminal).unwrap().local_modes.contains(wanted)
    }

    fn end(&mut self, cluster: &Cluster) -> ExitStatus {
        cluster.wait_for("the end of top", || self.process.try_wait().unwrap())
    }
}

/// Opens a terminal: the end of a person, which no child inherits, and the end of a program.
fn open_terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&master, size).unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    (File::from(master), terminal)
}

fn spawn(cluster: &Cluster, terminal: &File) -> Child {
    Command::new(env!("CARGO_BIN_EXE_coracle"))
        .args(["top", "--config"])
        .arg(cluster.config())
        .stdin(terminal.try_clone().unwrap())
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal.try_clone().unwrap())
        .spawn()
        .unwrap()
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
        top.wait_for(&cluster, "5 servers, 5 answer.");
        assert!(top.has_the_screen() && !top.is_put_back(), "{end:?}");
        if end.len() == 1 {
            top.press(end);
        } else {
            let id = top.process.id().to_string();
            let kill = Command::new("kill").args([&format!("-{end}"), &id]).status();
            assert!(kill.unwrap().success());
        }
        assert_eq!(top.end(&cluster).code(), Some(0), "{end:?}");
        cluster.wait_for("the screen from before", || (!top.has_the_screen()).then_some(()));
        assert!(top.is_put_back(), "{end:?}");
    }
}

#[test]
fn keys_sort_pause_and_explain_and_a_server_that_dies_is_seen() {
    let mut cluster = start();
    let dead = follower(&cluster);
    let mut top = Top::start(&cluster);
    top.wait_for(&cluster, "5 servers, 5 answer.");
    for id in cluster.ids() {
        assert!(top.text().contains(&cluster.address(id)), "{}", top.text());
    }
    top.press("s");
    top.wait_for(&cluster, "s sort: lag");
    top.press("?");
    top.wait_for(&cluster, "in the server's own words");
    // A frame comes in pieces.
    cluster.wait_for("the help alone", || {
        (!top.text().contains(&cluster.address(dead))).then_some(())
    });
    top.press("?p");
    top.wait_for(&cluster, " paused");
    cluster.kill(dead);
    top.press("p");
    top.wait_for(&cluster, "5 servers, 4 answer.");
    top.wait_for(&cluster, "4 here: can lose 1.");
    // Sorted by the lag, an unknown one is the last.
    cluster.wait_for("the dead server below the others", || {
        let text = top.text();
        let is_alive = |line: &&str| line.contains(" follower ") || line.contains(" leader ");
        let last = text.lines().rfind(is_alive)?;
        let below = text.lines().skip_while(|line| *line != last).nth(1)?;
        (below.starts_with(&format!("{dead}   down")) && below.contains("unseen")).then_some(())
    });
}

/// The signal that tells of it need not come: the terminal is not that of the process's session.
#[test]
fn a_terminal_that_is_gone_ends_the_table() {
    let cluster = start();
    let (mut person, terminal) = open_terminal();
    let mut process = spawn(&cluster, &terminal);
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
