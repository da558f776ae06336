//! The prompt: what a person types, and what the screen shows of it.

use std::io::Read;
use std::process::{Child, Command};

use tempfile::TempDir;
use vt100::Color;

use super::screen::{Terminal, open_terminal, spawn};
use super::start;
use crate::common::Cluster;

/// The prompt on a terminal, in a session of its own: Ctrl-C goes to all who read from it.
struct Prompt {
    process: Ended,
    terminal: Terminal,
}

/// A process that ends with the test.
struct Ended(Child);

impl Prompt {
    fn start(cluster: &Cluster, state: &TempDir) -> Prompt {
        Prompt::start_as(cluster, &mut command(cluster, state))
    }

    fn start_as(cluster: &Cluster, command: &mut Command) -> Prompt {
        let terminal = Terminal::open();
        let process = terminal.run(command);
        let prompt = Prompt { process: Ended(process), terminal };
        prompt.terminal.wait_for(cluster, "Ctrl-D ends.");
        prompt
    }

    /// The lines of the terminal, without blanks at their ends.
    fn screen(&self) -> String {
        let text = self.terminal.text();
        text.lines().map(str::trim_end).collect::<Vec<&str>>().join("\n")
    }

    /// Types a line, and waits until a text and the next prompt are there.
    fn enter(&mut self, cluster: &Cluster, keys: &str, shown: &str) {
        let prompts = |screen: &str| screen.matches("coracle>").count();
        let before = prompts(&self.screen());
        self.terminal.press(keys);
        self.terminal.press("\r");
        cluster.wait_for(shown, || {
            let screen = self.screen();
            let is_back = screen.ends_with(&format!("\n{shown}\ncoracle>"));
            (is_back && prompts(&screen) == before + 1).then_some(())
        });
    }
}

fn command(cluster: &Cluster, state: &TempDir) -> Command {
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", env!("CARGO_BIN_EXE_coracle"), "--config"]);
    command.arg(cluster.config()).env("XDG_STATE_HOME", state.path());
    command.env("TERM", "xterm").env("NO_COLOR", "1");
    command
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The screen at the end of the session.
const SCREEN: &str = "\
coracle 0.4.0. Tab completes, help lists the commands, Ctrl-D ends.
coracle> set user/1/name ada
2
coracle> set user/2/name 'grace hopper'
3
coracle> get user/2/name
grace hopper
coracle> set user/2/name 'grace hopper'
4
coracle> set poem 'one
two'
5
coracle> get poem
\"one\\ntwo\"
coracle> delete poem
coracle> watch user/2/ --from 2
set user/2/name 3 0 12
grace hopper
set user/2/name 4 0 12
grace hopper
^C
coracle>";

#[test]
fn a_session_with_completion_history_lines_that_go_on_and_a_watch() {
    let cluster = start();
    let state = TempDir::new().unwrap();
    let mut prompt = Prompt::start(&cluster, &state);
    prompt.enter(&cluster, "set user/1/name ada", "2");
    prompt.enter(&cluster, "set user/2/name 'grace hopper'", "3");
    // Tab completes the command, and the key up to each slash.
    prompt.enter(&cluster, "ge\tus\t2\t\t", "grace hopper");
    // The line before the last one, again.
    prompt.enter(&cluster, "\u{1b}[A\u{1b}[A", "4");
    // A value of two lines.
    prompt.terminal.press("set poem 'one\r");
    prompt.enter(&cluster, "two'", "5");
    prompt.enter(&cluster, "get po\t", "\"one\\ntwo\"");
    // Ctrl-C forgets a line, and ends a watch alone.
    prompt.terminal.press("delete poem\u{3}");
    // The editor of the line forgets what is typed before it has begun anew.
    cluster.wait_for("the next line", || {
        prompt.screen().ends_with("delete poem\ncoracle>").then_some(())
    });
    prompt.terminal.press("watch user/2/ --from 2\r");
    prompt.terminal.wait_for(&cluster, "set user/2/name 4 0 12\ngrace hopper");
    prompt.terminal.press("\u{3}");
    prompt.terminal.wait_for(&cluster, "^C\ncoracle>");
    assert_eq!(prompt.screen(), SCREEN);
    prompt.terminal.press("\u{4}");
    let ended = cluster.wait_for("the end", || prompt.process.0.try_wait().unwrap());
    assert!(ended.success(), "{ended}");
    assert!(prompt.terminal.is_put_back());
    // The lines are there the next time, also the last one: Ctrl-R looks for them.
    let mut prompt = Prompt::start(&cluster, &state);
    prompt.enter(&cluster, "\u{12}get p", "\"one\\ntwo\"");
}

#[test]
fn a_terminal_that_is_gone_ends_the_prompt() {
    let cluster = start();
    let state = TempDir::new().unwrap();
    let (mut person, terminal) = open_terminal();
    let mut process = Ended(spawn(&mut command(&cluster, &state), &terminal));
    drop(terminal);
    let (mut screen, mut bytes) = (String::new(), [0; 4096]);
    while !screen.contains("coracle>") {
        let read = person.read(&mut bytes).unwrap();
        screen += &String::from_utf8_lossy(&bytes[..read]);
    }
    drop(person);
    cluster.wait_for("the end", || process.0.try_wait().unwrap());
}

#[test]
fn the_option_of_the_prompt_is_that_of_its_commands() {
    let cluster = start();
    let state = TempDir::new().unwrap();
    let plain = (Color::Default, false);
    let (bold, cyan) = ((Color::Default, true), (Color::Idx(6), true));
    for (option, version, key, line) in [("auto", "2", bold, cyan), ("never", "3", plain, plain)] {
        let mut command = command(&cluster, &state);
        command.env_remove("NO_COLOR").env_remove("CI").args(["--color", option]);
        let mut prompt = Prompt::start_as(&cluster, &mut command);
        assert_eq!(prompt.terminal.look_of("coracle>"), line, "{option}");
        prompt.enter(&cluster, &format!("set {option} value"), version);
        prompt.enter(&cluster, &format!("scan {option}"), "value");
        let found = format!("{option} {version} 0 5");
        assert_eq!(prompt.terminal.look_of(&found), key, "{option}");
    }
}
