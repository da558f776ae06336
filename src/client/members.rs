//! The commands of operators about members and leadership.

use tokio::time::Instant;

use super::connection::Command;
use super::{Client, Error};
use crate::protocol::{
    MemberReport, MemberRequest, MemberState, MembersReport, Plan, Reply, Request, TransferTarget,
};
use crate::types::LogIndex;

/// The answer to a change of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The change has begun, or was taken back: its entry is committed.
    Begun {
        /// The number of the change.
        number: u64,
        /// The member that it is about; the new one, when a server takes the place of another.
        id: u64,
    },
    /// It is so already.
    Already,
    /// The plan that was asked for. Nothing has changed.
    Planned(Plan),
}

/// The answer to the question what has become of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It has ended.
    Ended {
        /// True when it was done, false when a person took it back.
        is_done: bool,
    },
    /// It is under way after all the time for which a server waits with its answer.
    Running {
        /// A sentence that says what it does, and what it waits for.
        sentence: String,
    },
}

/// The answer to a transfer of the leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transferred {
    /// This server leads now.
    To {
        /// The server.
        id: u64,
        /// The term in which it leads.
        term: u64,
    },
    /// The wished server led already.
    Already,
}

impl Client {
    /// The members, as the leader knows them, or, without one that answers, as any other server
    /// does: [`MembersReport::not_leading`] says which.
    ///
    /// # Errors
    /// [`Error::Refused`] when the server is older than the command; see [`Error`].
    pub async fn members(&mut self) -> Result<MembersReport, Error> {
        let report = match self.execute(Request::Members).await? {
            Reply::Members(report) => *report,
            _ => unreachable!("the parser gives what is expected"),
        };
        let is_leader = |member: &&MemberReport| member.state == MemberState::Leader;
        let leader = report.members.iter().find(is_leader).filter(|_| report.not_leading.is_some());
        let Some(address) = leader.and_then(|leader| leader.client_address.as_ref()) else {
            return Ok(report);
        };
        let other = std::mem::replace(&mut self.target, address.to_string());
        self.connection = None;
        let deadline = Instant::now() + self.options.try_timeout;
        match self.attempt(&Command::new(Request::Members), deadline).await {
            Ok(Reply::Members(report)) => Ok(*report),
            _ => {
                self.servers.note_failure(&self.target);
                self.turn_to(other);
                Ok(report)
            }
        }
    }

    /// Changes the members. It is sent once to each server that says that it does not lead, and
    /// not again after an answer is lost.
    ///
    /// # Errors
    /// [`Error::NotSafe`] and [`Error::NotYet`] when it is refused; [`Error::Unknown`] when an
    /// answer was lost: it has begun or not, which [`Client::members`] shows; see [`Error`].
    pub async fn member(&mut self, request: MemberRequest) -> Result<Changed, Error> {
        Ok(match self.execute(Request::Member(request)).await? {
            Reply::Change { number, id } => Changed::Begun { number, id },
            Reply::Already => Changed::Already,
            Reply::Plan(plan) => Changed::Planned(plan),
            _ => unreachable!("the parser gives what is expected"),
        })
    }

    /// Waits until a change has ended, for as long as a server waits with its answer.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the server knows no change of this number; see [`Error`].
    pub async fn wait_for_change(&mut self, number: u64) -> Result<Waited, Error> {
        let number = LogIndex(number);
        Ok(match self.execute(Request::WaitForChange { number }).await? {
            Reply::ChangeEnded { is_done, .. } => Waited::Ended { is_done },
            Reply::ChangeRunning { sentence, .. } => Waited::Running { sentence },
            _ => unreachable!("the parser gives what is expected"),
        })
    }

    /// Has the leader hand the leadership over.
    ///
    /// # Errors
    /// As [`Client::member`].
    pub async fn transfer(&mut self, target: TransferTarget) -> Result<Transferred, Error> {
        Ok(match self.execute(Request::Transfer(target)).await? {
            Reply::Leader { id, term } => Transferred::To { id, term },
            Reply::Already => Transferred::Already,
            _ => unreachable!("the parser gives what is expected"),
        })
    }
}
