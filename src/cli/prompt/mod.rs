//! `coracle` without a command, on a terminal: a prompt for the commands of the command line.
//!
//! Each command runs as a process of its own, as if a shell had started it: what Ctrl-C ends, what
//! a command prints and what it does to the terminal are the same in both places.

mod completer;
mod history;
mod keys;
mod place;

use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use clap::Args;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{ColorMode, CompletionType, Config, Editor};
use tokio::signal::unix::{SignalKind, signal};

use self::completer::{ENDS, LineHelper};
use self::history::History;
use self::keys::Keys;
use super::endpoints::{ENDPOINTS_VARIABLE, Endpoints};
use super::failure::{Failure, usage};
use super::output::print;
use super::paint::Paint;
use super::words::commands;

/// The text before the line.
const PROMPT: &str = "coracle> ";
/// The number of the signal of Ctrl-C.
const INTERRUPT: i32 = SignalKind::interrupt().as_raw_value();

/// The options of the prompt: the cluster of all its commands.
#[derive(Args, Debug)]
pub struct PromptOptions {
    #[command(flatten)]
    endpoints: Endpoints,
}

/// True when a person sits there: both ends are a terminal.
pub fn is_wanted() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

impl PromptOptions {
    /// Refuses the options of a prompt in front of a command, which has its own.
    pub fn refuse_before_command(&self) -> Result<(), Failure> {
        match self.endpoints.are_given() {
            false => Ok(()),
            true => Err(usage(
                "--endpoints and --config stand behind the command: coracle get KEY --endpoints \
                 HOST:PORT",
            )),
        }
    }

    /// Reads commands and executes them, until the person ends it.
    pub fn run(self, program: clap::Command) -> Result<(), Failure> {
        let keys = Keys::of(self.endpoints.addresses()?);
        let endpoints = self.endpoints.for_variable()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // Ctrl-C reaches this process and the command. It ends the command alone: from here on
        // this process has a handler, and the command has not, because programs begin without.
        let _interrupts = runtime.block_on(async { signal(SignalKind::interrupt()) })?;
        let mut lines = Lines::open(LineHelper::new(program, keys))?;
        print(format!("coracle {}. Tab completes, ", env!("CARGO_PKG_VERSION")).as_bytes())?;
        print(b"help lists the commands, Ctrl-D ends.\n")?;
        while let Some(text) = lines.read()? {
            match commands(text.as_bytes()) {
                Ok(commands) => {
                    for words in commands {
                        if execute(&words, endpoints.as_deref())?.is_break() {
                            return Ok(());
                        }
                    }
                }
                Err(error) => eprintln!("coracle: {error}"),
            }
        }
        Ok(())
    }
}

/// Executes a command, with these servers if they are named, and waits for its end.
fn execute(words: &[Vec<u8>], endpoints: Option<&str>) -> Result<ControlFlow<()>, Failure> {
    let words = words.strip_prefix(&[b"coracle".to_vec()]).unwrap_or(words);
    if let [word] = words
        && ENDS.iter().any(|end| end.as_bytes() == word)
    {
        return Ok(ControlFlow::Break(()));
    }
    if words.is_empty() {
        return Ok(ControlFlow::Continue(()));
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.args(words.iter().map(|word| OsStr::from_bytes(word)));
    command.envs(endpoints.map(|endpoints| (ENDPOINTS_VARIABLE, endpoints)));
    if !Paint::of_stdout().is_colored() {
        // The prompt may have been told by an option, which its commands do not see.
        command.env("NO_COLOR", "1");
    }
    if command.status()?.signal() == Some(INTERRUPT) {
        // The terminal shows ^C in the line that the command has begun.
        print(b"\n")?;
    }
    Ok(ControlFlow::Continue(()))
}

/// The lines that a person types.
struct Lines {
    editor: Editor<LineHelper, FileHistory>,
    history: History,
}

impl Lines {
    fn open(helper: LineHelper) -> Result<Lines, Failure> {
        let is_colored = Paint::of_stdout().is_colored();
        let colors = if is_colored { ColorMode::Enabled } else { ColorMode::Disabled };
        let config = Config::builder()
            .history_ignore_space(true)
            .max_history_size(history::LINES_MAX)
            .map_err(failed)?
            .completion_type(CompletionType::List)
            .completion_show_all_if_ambiguous(true)
            .color_mode(colors)
            .build();
        let mut editor = Editor::with_config(config).map_err(failed)?;
        editor.set_helper(Some(helper));
        let history = History::load(&mut editor);
        Ok(Lines { editor, history })
    }

    /// The next line, or lines when something between quotes goes on; `None` at the end.
    fn read(&mut self) -> Result<Option<String>, Failure> {
        loop {
            match self.editor.readline(&(PROMPT, "\x1b[1;36mcoracle>\x1b[0m ")) {
                Ok(line) => {
                    self.history.add(&mut self.editor, &line);
                    return Ok(Some(line));
                }
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// The terminal failed.
fn failed(error: ReadlineError) -> Failure {
    match error {
        ReadlineError::Io(error) => Failure::Io(error),
        other => Failure::Io(io::Error::other(other)),
    }
}
