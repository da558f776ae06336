//! `leader transfer`: hands the leadership over, without an election timeout (docs/adr/0028).

use std::collections::BTreeSet;
use std::time::Instant;

use clap::{Args, Subcommand};
use coracle::client::{Error, Transferred};
use coracle::protocol::TransferTarget;

use super::cluster::{Target, block_on};
use super::failure::Failure;
use super::json::Object;
use super::member::session::{Answer, Session};
use super::output::print;

#[derive(Debug, Subcommand)]
pub enum LeaderCommand {
    /// Have the leader hand its office to another voter. Writes wait for that moment, and none
    /// fails
    Transfer(TransferCommand),
}

#[derive(Args, Debug)]
pub struct TransferCommand {
    /// The voter that is to lead: its id, or one of its addresses. Without this the best one
    #[arg(long, value_name = "MEMBER", conflicts_with = "avoid")]
    to: Option<Target>,
    /// Any voter but this one
    #[arg(long, value_name = "MEMBER")]
    avoid: Option<Target>,
    #[command(flatten)]
    answer: Answer,
}

impl LeaderCommand {
    /// Does what the command asks for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            LeaderCommand::Transfer(command) => block_on(command.run())?,
        }
    }
}

impl TransferCommand {
    async fn run(self) -> Result<(), Failure> {
        let mut session = Session::new(&self.answer)?;
        let target = match (&self.to, &self.avoid) {
            (Some(target), _) => TransferTarget::To(session.id_of(target).await?),
            (None, Some(target)) => {
                TransferTarget::Avoid(BTreeSet::from([session.id_of(target).await?]))
            }
            (None, None) => TransferTarget::Avoid(BTreeSet::new()),
        };
        let start = Instant::now();
        let outcome = match session.transfer(&target).await {
            Err(Error::Unknown { last }) => return Err(unknown(&last)),
            outcome => outcome?,
        };
        let elapsed_ms = start.elapsed().as_millis();
        let json = Object::new();
        let (text, json) = match outcome {
            Transferred::To { id, term } => (
                format!("{id} leads (term {term}), {elapsed_ms} ms after the request.\n"),
                json.text("outcome", "done").raw("leader", id).raw("term", term),
            ),
            Transferred::Already => {
                let text = match target {
                    TransferTarget::To(id) => format!("already so: {id} leads.\n"),
                    TransferTarget::Avoid(_) => "already so: another server leads.\n".into(),
                };
                (text, json.text("outcome", "already"))
            }
        };
        print(if self.answer.json { json.line() } else { text }.as_bytes())
    }
}

/// The failure of a transfer whose answer was lost.
fn unknown(last: &str) -> Failure {
    Failure::Unavailable(format!(
        "no answer, and the leadership may have been handed over or not (last: {last}): `coracle \
         member list` shows who leads; the same command again does no harm"
    ))
}
