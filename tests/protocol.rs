//! docs/protocol.md, sentence by sentence: raw bytes into the sockets of real
//! server processes, raw bytes out.
//!
//! Expected replies are written as templates: `#` stands for a number and `~`
//! for the rest of a line (see [`protocol::raw`]).

mod common;

/// One file for each part of the protocol's text.
mod protocol {
    pub mod raw;

    mod answers;
    mod bounds;
    mod commands;
    mod data;
    mod expiry;
    mod leadership;
    mod lines;
    mod once;
    mod order;
    mod resources;
    mod scan;
}
