//! The questions of the HTTP port to a node: commands, as a client of the text port sends them, and
//! views of the history, as a hub of watches has them.

use actix::Message;
use tokio::sync::oneshot;

use crate::actors::messages::clients::ClientReply;
use crate::actors::messages::watch::HistoryMark;
use crate::kv::HistoryView;
use crate::protocol::ClientRequest;

/// Sent by the thread of the HTTP port to DoorActor: one command. Answered by its reply.
#[derive(Message, Debug)]
#[rtype(result = "Result<ClientReply, DoorError>")]
pub struct Ask {
    /// The command.
    pub request: ClientRequest,
}

/// Sent by the thread of the HTTP port to DoorActor for a watch. Answered by a view of the history,
/// or by `None` when the history does not go on here: the server was removed from the cluster.
#[derive(Message, Debug)]
#[rtype(result = "()")]
pub struct AskView {
    /// The state that the asker has: the answer comes as soon as the store has another. `None`
    /// asks for an answer at once.
    pub seen: Option<HistoryMark>,
    /// The place that the answer goes to. It is closed when the asker has left, which a promise of
    /// the mailbox would not show.
    pub answer: oneshot::Sender<ViewAnswer>,
}

/// The answer to [`AskView`].
pub type ViewAnswer = Result<Option<HistoryView>, DoorError>;

/// The reason why a command of the HTTP port has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DoorError {
    /// As many commands as the door takes are under way.
    #[error("{0} commands of the HTTP port are under way, which is the maximum: ask again later")]
    Busy(usize),
    /// The node is about to end.
    #[error("this server stops")]
    Stopped,
}
