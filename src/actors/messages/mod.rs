//! Every message between two actors, by conversation.
//!
//! Each message says who sends it, when, and what answers. No message decides
//! anything, and no actor is in here.

pub mod clients;
pub mod door;
pub mod kv;
pub mod lifecycle;
pub mod log;
pub mod peers;
pub mod replication;
pub mod replies;
pub mod snapshots;
pub mod waiters;
pub mod watch;
