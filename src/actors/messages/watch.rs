//! The messages of watches: between client sessions, WatchHubActor and KvActor.

use actix::{Message, Recipient};
use bytes::Bytes;

use crate::actors::io::memory::Reservation;
use crate::actors::messages::clients::SessionId;
use crate::kv::HistoryView;
use crate::protocol::{ErrorReply, WatchRequest};
use crate::types::LogIndex;

/// Sent by SessionActor to the WatchHubActor of its arbiter, in this order: one `Begin`, then
/// `Ready` after each [`WatchNews::Text`], and `End`.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub enum WatchCommand {
    /// Begin a watch.
    Begin(BeginWatch),
    /// The client has taken all that was sent to it.
    Ready {
        /// The session.
        session: SessionId,
    },
    /// The watch is over.
    End {
        /// The session.
        session: SessionId,
    },
}

/// A watch that begins. Answered by [`WatchNews::Began`] or [`WatchNews::Refused`].
#[derive(Debug)]
pub struct BeginWatch {
    /// The session, which has at most one watch.
    pub session: SessionId,
    /// The keys, and the first revision.
    pub request: WatchRequest,
    /// The session's mailbox.
    pub reply_to: Recipient<WatchNews>,
}

/// Sent by WatchHubActor to SessionActor. After a `Text` nothing but `Ended` comes until the
/// session has sent [`WatchCommand::Ready`].
#[derive(Message, Clone, Debug, PartialEq, Eq)]
#[rtype(result = "()")]
pub enum WatchNews {
    /// The watch has begun; the changes from this revision on follow.
    Began {
        /// The revision.
        revision: u64,
    },
    /// The watch has not begun.
    Refused(ErrorReply),
    /// The next part of the stream.
    Text(WatchText),
    /// The watch is over, for this reason.
    Ended(ErrorReply),
}

/// A printed part of a watch's stream. All watches that are at the same place share one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchText {
    /// The lines.
    pub bytes: Bytes,
    /// Their memory, if it is counted until the last session has sent them.
    pub held: Option<SharedMemory>,
}

/// A part of the memory of all clients that several holders share.
pub type SharedMemory = std::sync::Arc<Reservation>;

/// Sent by WatchHubActor to KvActor. Answered by one [`HistoryNews`].
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AskHistory {
    /// The state that the hub has: the answer comes as soon as the store has another. `None`
    /// asks for an answer at once.
    pub seen: Option<HistoryMark>,
    /// The mailbox of the hub.
    pub reply_to: Recipient<HistoryNews>,
}

/// The revision and the compacted revision of a store, which tell whether there is anything new
/// for watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryMark {
    /// The revision.
    pub revision: u64,
    /// The compacted revision.
    pub compacted: u64,
}

/// Sent by KvActor to WatchHubActor: the history as it is now. It is never older than the one
/// before.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct HistoryNews {
    /// The history.
    pub view: HistoryView,
    /// The newest entry that the store has applied.
    pub last_applied: LogIndex,
    /// True when the hub asked for an answer at once.
    pub is_at_once: bool,
    /// True when the history does not go on here: this server was removed from the cluster.
    pub has_ended: bool,
}
