//! Questions to one server, asked directly and once, of which no other server can take the
//! answer.

use std::time::Duration;

use tokio::time::timeout;

use super::connection::{Command, Connection};
use super::error::Error;
use crate::protocol::{ErrorReply, MembersReport, Mode, Reply, Request, Status};
use crate::types::LogIndex;

/// The status of the server at `address`.
///
/// # Errors
/// [`Error::Unavailable`] when it does not answer within `patience`.
pub async fn status_of(address: &str, patience: Duration) -> Result<Status, Error> {
    match ask(address, Request::Status, patience).await? {
        Reply::Status(status) => Ok(status),
        _ => unreachable!("the parser gives what is expected"),
    }
}

/// Has the server at `address` hold the format of the cluster where it is, or hold it no longer.
/// It remembers that over restarts.
///
/// # Errors
/// [`Error::Unavailable`] when it does not answer within `patience`: it may hold the format or not.
/// [`Error::Refused`] when its version does not know the command; such a server holds nothing.
pub async fn set_hold_of(address: &str, is_held: bool, patience: Duration) -> Result<(), Error> {
    match ask(address, Request::SetHold { is_held }, patience).await? {
        Reply::Done => Ok(()),
        _ => unreachable!("the parser gives what is expected"),
    }
}

/// The members as the server at `address` knows them.
///
/// # Errors
/// [`Error::Unavailable`] when it does not answer within `patience`; [`Error::Refused`] when its
/// version does not know the command.
pub async fn members_of(address: &str, patience: Duration) -> Result<MembersReport, Error> {
    match ask(address, Request::Members, patience).await? {
        Reply::Members(report) => Ok(*report),
        _ => unreachable!("the parser gives what is expected"),
    }
}

/// Drains the server at `address`: it hands the leadership over and does not take it again; or ends
/// that.
///
/// # Errors
/// [`Error::Unavailable`] when it does not answer within `patience`: it may be drained or not.
/// [`Error::NotSafe`] when it cannot hand the leadership over; [`Error::Refused`] when its version
/// does not know the command.
pub async fn set_draining_of(
    address: &str,
    is_draining: bool,
    patience: Duration,
) -> Result<(), Error> {
    match ask(address, Request::SetDraining(is_draining), patience).await? {
        Reply::Done => Ok(()),
        _ => unreachable!("the parser gives what is expected"),
    }
}

/// The digest of the store of the server at `address` after the log entry `index`: equal on all
/// servers whose stores are equal.
///
/// # Errors
/// [`Error::NotFound`] when the server has not applied the entry, or knows the digest no longer;
/// [`Error::Refused`] when its version does not know the command; [`Error::Unavailable`] when it
/// does not answer within `patience`.
pub async fn digest_of(address: &str, index: u64, patience: Duration) -> Result<u64, Error> {
    match ask(address, Request::Digest { index: LogIndex(index) }, patience).await? {
        Reply::Digest { index: answered, digest } if answered == index => Ok(digest),
        Reply::Digest { .. } => {
            Err(Error::Unavailable { last: format!("{address}: it answered another question") })
        }
        _ => unreachable!("the parser gives what is expected"),
    }
}

async fn ask(address: &str, request: Request, patience: Duration) -> Result<Reply, Error> {
    let exchange = async {
        let mut connection = Connection::dial(address, Mode::Leader).await?;
        connection.exchange(&Command::new(request)).await
    };
    let unavailable = |reason: &str| Error::Unavailable { last: format!("{address}: {reason}") };
    match timeout(patience, exchange).await {
        Ok(Ok(Reply::Error(reply))) => Err(match reply {
            ErrorReply::NotFound => Error::NotFound,
            ErrorReply::NotYet { sentence } => Error::NotYet { sentence },
            ErrorReply::Refused { sentence } => Error::NotSafe { sentence },
            ErrorReply::CmdErr(_) => Error::Refused { reply: reply.to_string() },
            reply => unavailable(&reply.to_string()),
        }),
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(unavailable(&error.to_string())),
        Err(_) => Err(unavailable("no answer in time")),
    }
}
