//! The other nodes: connections to them and from them, and the replication to each.

pub mod acceptor;
pub mod link;
pub mod replicator;
pub mod session;
mod stream;
