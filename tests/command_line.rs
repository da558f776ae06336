//! The command line against real servers: where it finds them, and what it prints and reads.

mod common;

/// One file for each topic.
mod command_line {
    mod process;

    mod endpoints;
    mod exit_codes;
    mod input;
    mod json;
    mod scans;
    mod terminal;
}
