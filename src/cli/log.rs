//! `log dump` and `log verify`: print and check the files of a server that is down.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use coracle::storage::{self, RealDisk, StorageError, VerifyReport};
use coracle::types::LogIndex;

use super::failure::Failure;
use super::json::{AsJson, Object, json_list, json_text};
use super::output::UntilClosed;

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
            LogCommand::Dump { directory, from, to } => {
                let (from, to) = (LogIndex(from), LogIndex(to.unwrap_or(u64::MAX)));
                let mut out = BufWriter::new(UntilClosed::default());
                let dumped = storage::dump(&RealDisk, &directory.data_dir, from, to, &mut out);
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

fn sentences(report: &VerifyReport) -> String {
    let VerifyReport { segments, records, superseded, last, hard_state, notes } = report;
    let voted_for = hard_state.voted_for.map_or("none".into(), |node| node.to_string());
    let mut text = format!(
        "segments={segments} records={records} superseded={superseded}\n\
         current_term={} voted_for={voted_for} last_log_index={} last_log_term={}\n",
        hard_state.current_term, last.index, last.term
    );
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
        .raw("current_term", hard_state.current_term)
        .optional("voted_for", hard_state.voted_for)
        .raw("last_log_index", last.index)
        .raw("last_log_term", last.term)
        .raw("notes", json_list(notes.iter().map(|note| json_text(note))))
}

fn no(error: StorageError) -> Failure {
    Failure::No(error.to_string())
}
