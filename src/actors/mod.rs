//! The actors: thin shells that unpack a message, call the pure part and carry
//! out its effects.

use std::sync::Arc;

use actix::Recipient;

pub mod client_acceptor;
pub mod connection;
pub mod kv;
pub mod log;
pub mod memory;
pub mod peer_acceptor;
pub mod peer_link;
pub mod peer_session;
mod peer_stream;
#[cfg(test)]
mod peer_testing;
pub mod raft;
pub mod replicator;
mod replies;
pub mod session;
pub mod snapshot;
pub mod ticker;
mod turnstile;

/// A client connection of this process; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Where the reply to one command goes.
#[derive(Clone)]
pub struct Waiter {
    /// The session that asked.
    pub session: SessionId,
    /// Which of its commands this is.
    pub slot: u64,
    /// The session's mailbox.
    pub reply_to: Arc<Recipient<session::ClientReplies>>,
}

impl std::fmt::Debug for Waiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}/{}", self.session, self.slot)
    }
}
