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
use std::time::Duration;

use clap::Args;

use super::cluster::{Cluster, block_on};
use super::failure::Failure;
use super::output::{UntilClosed, print as put};
use super::roster::Roster;
use super::survey::hear_all;
use view::View;
use watcher::{INTERVAL, Watcher};

/// The end of the help.
pub const KEYS: &str = "Keys: q or Ctrl-C ends, s sorts by the next column, p pauses and goes on, \
                        ? explains the columns. A narrow terminal has fewer columns. Numbers other \
                        than term, lag and sizes need the servers' HTTP ports";

#[derive(Args, Debug)]
pub struct TopCommand {
    /// Print one table and end, also on a terminal
    #[arg(long)]
    once: bool,
    /// Print JSON for programs: one object on a line, each second, or one with `--once`
    #[arg(long)]
    json: bool,
    // A server that gives no answer is shown as down within two seconds: one that has just answered
    // is asked again after a second.
    #[command(flatten)]
    cluster: Cluster<2_000, 700>,
}

impl TopCommand {
    /// Shows the table until a key ends it. Without a terminal the table is printed once. Fails
    /// when no server answers a table that is printed once.
    pub fn run(self) -> Result<(), Failure> {
        let roster = block_on(self.cluster.roster())??;
        let patience = self.cluster.patience();
        let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
        match (self.json, self.once) {
            (true, true) => once(&roster, patience, |view| print::json(view).line()),
            (true, false) => stream(roster, patience),
            (false, false) if is_terminal => live::run(roster, patience),
            (false, _) => once(&roster, patience, print::text),
        }
    }
}

/// Prints one view.
fn once(
    roster: &Roster,
    patience: Duration,
    form: impl Fn(&View) -> String,
) -> Result<(), Failure> {
    let heard = block_on(hear_all(&roster.targets, patience))?;
    let view = View::of(roster, &heard);
    put(form(&view).as_bytes())?;
    if view.rows.iter().all(|row| row.is_down) {
        return Err(Failure::Unavailable("no server answered".into()));
    }
    Ok(())
}

/// Prints a line of JSON each second, until its reader has seen enough.
fn stream(roster: Roster, patience: Duration) -> Result<(), Failure> {
    let watcher = Watcher::start(roster.targets.clone(), patience)?;
    let mut output = UntilClosed::default();
    while !watcher.is_ended() {
        std::thread::sleep(INTERVAL);
        let view = View::of(&roster, &watcher.heard());
        let line = print::json(&view).line();
        match output.write_all(line.as_bytes()).and_then(|()| output.flush()) {
            Err(_) if output.is_closed() => return Ok(()),
            result => result?,
        }
    }
    Ok(())
}
