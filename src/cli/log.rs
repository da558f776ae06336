//! `log dump` and `log verify`: print and check the files of a server that is down.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use coracle::storage::{self, Dumped, RealDisk, StorageError, VerifyReport};
use coracle::types::{Entry, FormatInForce, HardState, LogIndex, LogPosition, Payload};

use super::failure::Failure;
use super::json::{AsJson, Object, json_list, json_text};
use super::output::UntilClosed;

/// Maximum number of bytes of a command in a line for people.
const PREVIEW_BYTES: usize = 48;

#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Print the hard state and the entries, one a line
    Dump {
        #[command(flatten)]
        directory: Directory,
        /// The first entry to print
        #[arg(long, value_name = "INDEX", default_value_t = 1)]
        from: u64,
        /// The last entry to print; without it, up to the end
        #[arg(long, value_name = "INDEX")]
        to: Option<u64>,
        #[command(flatten)]
        json: AsJson,
    },
    /// Read and check everything
    Verify {
        #[command(flatten)]
        directory: Directory,
        #[command(flatten)]
        json: AsJson,
    },
}

#[derive(Args, Debug)]
pub struct Directory {
    /// The server's own directory: <data_dir>/<id>
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,
}

impl LogCommand {
    /// Prints what the command asks for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            LogCommand::Dump { directory, from, to, json } => {
                let range = (LogIndex(from), LogIndex(to.unwrap_or(u64::MAX)));
                let mut out = BufWriter::new(UntilClosed::default());
                let write = if json.is_wanted() { write_object } else { write_line };
                let take = &mut |part: Dumped<'_>| write(&mut out, part);
                let dumped = storage::dump(&RealDisk, &directory.data_dir, range, take);
                let flushed = out.flush();
                if out.get_ref().is_closed() {
                    return Ok(());
                }
                dumped.map_err(no)?;
                Ok(flushed?)
            }
            LogCommand::Verify { directory, json } => {
                let report = storage::verify(&RealDisk, &directory.data_dir).map_err(no)?;
                json.print(|| object(&report), || sentences(&report))
            }
        }
    }
}

/// Writes a part of a log for people.
fn write_line(out: &mut dyn Write, part: Dumped<'_>) -> io::Result<()> {
    match part {
        Dumped::Head { hard_state, last, notes } => {
            writeln!(out, "{}", state_line(&hard_state, last))?;
            notes.iter().try_for_each(|note| writeln!(out, "# {note}"))
        }
        Dumped::Entry(entry) => {
            let Entry { index, term, stamp_ms, payload } = entry;
            let kind = kind(payload);
            let bytes = payload.body().len();
            write!(out, "index={index} term={term} stamp_ms={stamp_ms} kind={kind} bytes={bytes}")?;
            match payload {
                Payload::Command(body) => {
                    let shown = &body[..body.len().min(PREVIEW_BYTES)];
                    let cut = if shown.len() < body.len() { "..." } else { "" };
                    writeln!(out, " body=\"{}\"{cut}", shown.escape_ascii())
                }
                other => {
                    writeln!(out, "{}", words(other).map_or(String::new(), |it| format!(" {it}")))
                }
            }
        }
    }
}

/// Writes a part of a log for programs.
fn write_object(out: &mut dyn Write, part: Dumped<'_>) -> io::Result<()> {
    let object = match part {
        Dumped::Head { hard_state, last, notes } => state_object(&hard_state, last, notes),
        Dumped::Entry(entry) => {
            let Entry { index, term, stamp_ms, payload } = entry;
            let body = match payload {
                Payload::Command(body) => Some(body.iter().map(|it| format!("{it:02x}")).collect()),
                other => words(other),
            };
            Object::new()
                .raw("index", index)
                .raw("term", term)
                .raw("stamp_ms", stamp_ms)
                .text("kind", kind(payload))
                .raw("bytes", payload.body().len())
                .optional_text("body", body.as_deref())
        }
    };
    out.write_all(object.line().as_bytes())
}

fn kind(payload: &Payload) -> &'static str {
    match payload {
        Payload::Noop => "noop",
        Payload::Command(_) => "command",
        Payload::Membership(_) => "membership",
        Payload::Format(_) => "format",
        Payload::ClusterId(_) => "cluster_id",
    }
}

/// The content of an entry that is the servers' own.
fn words(payload: &Payload) -> Option<String> {
    match payload {
        Payload::Noop | Payload::Command(_) => None,
        Payload::Membership(membership) => Some(membership.to_string()),
        Payload::Format(FormatInForce { format, since, is_in_unwritten_log }) => {
            let mark = if *is_in_unwritten_log { " in_unwritten_log=true" } else { "" };
            Some(format!("format={format} since={since:?}{mark}"))
        }
        Payload::ClusterId(cluster_id) => Some(format!("cluster_id={cluster_id}")),
    }
}

fn state_line(hard_state: &HardState, last: LogPosition) -> String {
    let voted_for = hard_state.voted_for.map_or("none".into(), |node| node.to_string());
    format!(
        "current_term={} voted_for={voted_for} last_log_index={} last_log_term={}",
        hard_state.current_term, last.index, last.term
    )
}

fn state_object(hard_state: &HardState, last: LogPosition, notes: &[String]) -> Object {
    Object::new()
        .raw("current_term", hard_state.current_term)
        .optional("voted_for", hard_state.voted_for)
        .raw("last_log_index", last.index)
        .raw("last_log_term", last.term)
        .raw("notes", json_list(notes.iter().map(|note| json_text(note))))
}

fn sentences(report: &VerifyReport) -> String {
    let VerifyReport { segments, records, superseded, last, hard_state, notes } = report;
    let state = state_line(hard_state, *last);
    let mut text =
        format!("segments={segments} records={records} superseded={superseded}\n{state}\n");
    for note in notes {
        text += &format!("# {note}\n");
    }
    text
}

fn object(report: &VerifyReport) -> Object {
    let VerifyReport { segments, records, superseded, last, hard_state, notes } = report;
    Object::new()
        .raw("segments", segments)
        .raw("records", records)
        .raw("superseded", superseded)
        .with(state_object(hard_state, *last, notes))
}

fn no(error: StorageError) -> Failure {
    Failure::No(error.to_string())
}
