//! The program `coracle`: it runs the command line and turns a failure into an exit code.

mod cli;

use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::Cli::from_command_line().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let sentence = failure.sentence();
            if !sentence.is_empty() {
                // Standard error may be closed, and the exit code tells as well.
                let _ = writeln!(io::stderr(), "coracle: {sentence}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
