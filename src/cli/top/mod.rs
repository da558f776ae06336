//! `top`: all servers in one table, anew each second (docs/adr/0035).
//!
//! | file | contents |
//! | --- | --- |
//! | `column` | the columns: headings, forms of numbers, the order in which they give way |
//! | `view` | the rows and the sentences that the answers of the servers make (pure) |
//! | `order` | the column by which the rows are sorted (pure) |
//! | `screen` | a view as a frame of a terminal (pure) |
//! | `print` | a view as a table of text, and as JSON (pure) |
//! | `watcher` | asks each server once a second, each for itself |
//! | `keys` | the keys of the person who looks |
//! | `live` | the terminal, and its state before |

mod column;
mod keys;
mod live;
mod order;
mod print;
mod screen;
mod view;
mod watcher;

use std::io::{self, IsTerminal, Write};

use clap::Args;
use coracle::config::Settings;

use super::cluster::{ConfigFile, block_on};
use super::failure::Failure;
use super::output::{UntilClosed, print as put};
use super::survey::{self, hear_all};
use view::View;
use watcher::{INTERVAL, PATIENCE, Watcher};

/// The end of the help.
pub const KEYS: &str = "Keys: q or Ctrl-C ends, s sorts by the next column, p pauses and goes on, \
                        ? explains the columns. A narrow terminal has fewer columns. Numbers other \
                        than term, lag and sizes need the servers' HTTP ports";

#[derive(Args, Debug)]
pub struct TopCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Print one table and end, also on a terminal
    #[arg(long)]
    once: bool,
    /// Print JSON for programs: one object on a line, each second, or one with `--once`
    #[arg(long)]
    json: bool,
}

impl TopCommand {
    /// Shows the table until a key ends it. Without a terminal the table is printed once. Fails
    /// when no server answers a table that is printed once.
    pub fn run(self) -> Result<(), Failure> {
        let settings = self.file.load()?;
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        match (self.json, self.once) {
            (true, true) => once(&settings, |view| print::json(view).line()),
            (true, false) => stream(&settings),
            (false, false) if is_terminal => live::run(&settings),
            (false, _) => once(&settings, print::text),
        }
    }
}

/// Prints one view.
fn once(settings: &Settings, form: impl Fn(&View) -> String) -> Result<(), Failure> {
    let heard = block_on(hear_all(&survey::listed(settings), PATIENCE))?;
    let view = View::new(&settings.cluster, &heard);
    put(form(&view).as_bytes())?;
    if view.rows.iter().all(|row| row.is_down) {
        return Err(Failure::Unavailable("no server answered".into()));
    }
    Ok(())
}

/// Prints a line of JSON each second, until its reader has seen enough.
fn stream(settings: &Settings) -> Result<(), Failure> {
    let watcher = Watcher::start(survey::listed(settings))?;
    let mut output = UntilClosed::default();
    while !watcher.is_ended() {
        std::thread::sleep(INTERVAL);
        let view = View::new(&settings.cluster, &watcher.heard());
        let line = print::json(&view).line();
        match output.write_all(line.as_bytes()).and_then(|()| output.flush()) {
            Err(_) if output.is_closed() => return Ok(()),
            result => result?,
        }
    }
    Ok(())
}
