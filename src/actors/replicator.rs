//! Stub.

use actix::Message;

use crate::raft::AppendEntriesResponse;
use crate::types::Term;

/// Sent by PeerLinkActor: the connection to the peer is up.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct LinkUp;

/// Sent by PeerLinkActor: it is gone, and with it all that was under way.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct LinkDown;

/// Sent by PeerLinkActor for each response to an AppendEntries.
#[derive(Message, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub struct AppendResponse {
    /// The peer's term.
    pub term: Term,
    /// Its response.
    pub response: AppendEntriesResponse,
}
