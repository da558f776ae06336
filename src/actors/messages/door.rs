//! The questions of the HTTP port to a node: commands, as a client of the text port sends them.

use actix::Message;

use crate::actors::messages::clients::ClientReply;
use crate::protocol::ClientRequest;

/// Sent by the thread of the HTTP port to DoorActor: one command. Answered by its reply.
#[derive(Message, Debug)]
#[rtype(result = "Result<ClientReply, DoorError>")]
pub struct Ask {
    /// The command.
    pub request: ClientRequest,
}

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
