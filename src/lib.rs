//! Coracle: a replicated key-value store, a Raft node made of message-passing
//! actors.
#![warn(missing_docs)]

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
