//! Coracle is a replicated key-value store. Several servers, usually three or five, keep
//! one ordered map of keys and values in agreement by the Raft protocol. While a majority
//! of them is running, the cluster serves reads and writes, and no write that it has
//! acknowledged is lost.
//!
//! # Terms
//!
//! A server process is a *node*, and the other nodes are its *peers*. All nodes hold the
//! same *log*, a sequence of *entries*, most of which are commands of clients. One node is
//! the *leader*: it decides the order of the entries and sends them to its peers. An entry
//! is *committed* when a majority of the nodes, a *quorum*, has it on disk. Committed
//! entries never change. Each node *applies* them in order to its copy of the map, the
//! *store*. When the leader fails, the others elect a new one; each election has a number,
//! the *term*.
//!
//! # Parts
//!
//! A node consists of actors that talk to each other only by typed messages. Each actor is
//! a thin shell around a part that knows no actor runtime, so that the rules can be read
//! and tested without it:
//!
//! | part | duty | its actor |
//! |---|---|---|
//! | [`raft`] | the rules of Raft; events in, effects out | [`actors::raft`] |
//! | [`raft::Progress`] | the entries that one peer lacks | [`actors::peers::replicator`] |
//! | [`storage`] | log, vote and snapshots on disk | [`actors::log`], [`actors::snapshot`] |
//! | [`kv`] | the store: keys, expiry, exactly-once retries | [`actors::kv`] |
//! | [`protocol`] | the text of the client protocol | [`actors::clients`] |
//! | [`wire`] | the frames between nodes | [`actors::peers`] |
//!
//! [`types`] holds the data types that these parts share. [`node`] starts the actors and
//! connects them, and [`config`] reads servers.toml. [`logging`] has the forms of the log lines.
//! [`net`] and [`clock`] are the interfaces to the network and to time; tests replace them.
//! [`commands`] has the commands of clients as data. [`client`] is the library for programs that
//! use a cluster; its documentation is a tutorial.
//!
//! # Features
//!
//! - `client`: [`client`], and of the other modules only those that it speaks of;
//! - `server`: all modules, and with them a node; it includes `client`;
//! - `cli`, the default: the program `coracle`; it includes `server`.
//!
//! A program that uses a cluster depends on the client alone:
//!
//! ```toml
//! coracle = { path = "../coracle", default-features = false, features = ["client"] }
//! ```
//!
//! # The path of one `set`
//!
//! 1. A session reads the line of text, parses it, encodes it as a [`kv::Command`] and
//!    sends it to RaftActor ([`actors::clients::session`]).
//! 2. The core of the leader gives the command an index, a term and a time stamp
//!    ([`raft::Raft::propose`]).
//! 3. RaftActor takes the effects of all messages that have arrived together
//!    ([`raft::Raft::take_effects`]). LogActor writes the entries and syncs them once
//!    ([`actors::log`]). At the same time the replicators send them to the peers.
//! 4. The core of each follower checks the entries, and the follower answers when its own
//!    disk has them ([`raft::AppendEntries`]).
//! 5. When a quorum has the entry on disk, the entry is committed. KvActor applies it and
//!    answers the session, which writes the replies in the order of the commands.
//!
//! # Where to read on
//!
//! `docs/ARCHITECTURE.md` is the map of the code, `docs/internals` describes every byte on
//! disk and on the wire, and `docs/adr` holds the reasons for the decisions.

// This page is about the whole crate, and its links lead to modules that the client lacks.
#![cfg_attr(not(feature = "server"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "server")]
pub mod actors;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
pub mod clock;
#[cfg(feature = "client")]
pub mod commands;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod kv;
#[cfg(feature = "server")]
pub mod logging;
#[cfg(feature = "server")]
pub mod metrics;
#[cfg(feature = "server")]
pub mod net;
#[cfg(feature = "server")]
pub mod node;
#[cfg(feature = "client")]
pub mod protocol;
#[cfg(feature = "server")]
pub mod raft;
#[cfg(feature = "server")]
pub mod storage;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(feature = "client")]
pub mod types;
#[cfg(feature = "server")]
pub mod wire;
