//! Coracle: a replicated key-value store. A handful of server processes keep one
//! ordered map in agreement by Raft, and lose no acknowledged write while a
//! majority of them lives.
//!
//! A server is a Raft node made of actors that talk only by typed messages. Each
//! actor is a thin shell around a pure part that knows no runtime:
//!
//! | pure part | what it is | its actor |
//! |---|---|---|
//! | [`raft::Raft`] | the rules of Raft: events in, effects out | [`actors::raft`] |
//! | [`raft::Progress`] | what one peer still lacks | [`actors::peers::replicator`] |
//! | [`storage`] | the log and the vote on disk | [`actors::log`] |
//! | [`kv::Store`] | the map, its clock, its exactly-once table | [`actors::kv`] |
//! | [`protocol`] | clients' lines, and the replies | [`actors::clients::session`] |
//! | [`wire`] | frames between nodes | [`actors::peers::link`], [`actors::peers::session`] |
//!
//! # The way of one `set`
//! 1. A session parses it, encodes it as a [`kv::Command`] and sends it to
//!    RaftActor: [`actors::clients::session`].
//! 2. The leader's core gives it an index, a term and a stamp:
//!    [`raft::Raft::propose`].
//! 3. All of one mailbox drain goes to the disk and to the peers at once:
//!    [`raft::Raft::take_effects`]; LogActor syncs it: [`actors::log`].
//! 4. Each peer's replicator sends it; the follower's core checks it, and answers
//!    when *its* disk has it: [`raft::AppendEntries`].
//! 5. When a quorum has it on disk it is committed, and KvActor applies it and
//!    answers the session, which replies in the order of the commands.
//!
//! [`node`] puts a node together; [`client`] is the library for programs that talk
//! to a cluster. `docs/ARCHITECTURE.md` is the map, `docs/internals` has every byte
//! on disk and on the wire, `docs/adr` says why things are as they are.

// First, for its macro.
#[macro_use]
pub mod mutants;

pub mod actors;
pub mod client;
pub mod clock;
pub mod config;
pub mod kv;
pub mod net;
pub mod node;
pub mod protocol;
pub mod raft;
pub mod storage;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod types;
pub mod wire;
