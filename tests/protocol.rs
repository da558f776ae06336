//! docs/protocol.md, sentence by sentence: the tests send raw bytes to real server processes
//! and compare the raw bytes that come back.
//!
//! Expected replies are written as templates: `#` matches a number, and `~` the rest of a
//! line ([`protocol::raw`]).

mod common;

/// One file for each part of the protocol's text.
mod protocol {
    pub mod raw;

    mod answers;
    mod bounds;
    mod commands;
    mod data;
    mod expiry;
    mod foreign;
    mod history;
    mod leadership;
    mod leases;
    mod lines;
    mod members;
    mod modes;
    mod once;
    mod order;
    mod resources;
    mod scan;
    mod transactions;
    mod watch_load;
    mod watches;
}
