//! The program `coracle`: it runs the command line and turns a failure into an exit code.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("coracle: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
