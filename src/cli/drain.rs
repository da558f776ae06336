//! `drain` and `undrain`: a server that is about to be stopped hands over, and is nobody's choice
//! for a leader; it still votes (docs/adr/0028).

use clap::Args;
use coracle::protocol::{MemberState, MembersReport};
use coracle::types::NodeId;
use tokio::time::{Instant, sleep};

use super::cluster::{Target, block_on};
use super::failure::Failure;
use super::json::Object;
use super::member::session::{Answer, PAUSE, Session};
use super::output::print;

#[derive(Args, Debug)]
pub struct DrainCommand {
    /// The server: its id, or one of its addresses
    #[arg(value_name = "MEMBER")]
    target: Target,
    #[command(flatten)]
    answer: Answer,
}

impl DrainCommand {
    /// Drains the server, and waits until it leads no more.
    pub fn drain(self) -> Result<(), Failure> {
        block_on(async {
            let mut session = Session::new(&self.answer)?;
            let (id, address) = self.find(&mut session).await?;
            session.set_draining(&address, true).await?;
            wait_until_it_follows(id, &mut session).await?;
            let text = format!(
                "{id} is drained: it does not lead, and nobody hands over to it. It still votes, \
                 until it is stopped; `coracle undrain {id}` ends this.\n"
            );
            self.say(id, "drained", &text)
        })?
    }

    /// Ends the draining.
    pub fn undrain(self) -> Result<(), Failure> {
        block_on(async {
            let mut session = Session::new(&self.answer)?;
            let (id, address) = self.find(&mut session).await?;
            session.set_draining(&address, false).await?;
            self.say(id, "undrained", &format!("{id} can lead again.\n"))
        })?
    }

    /// The id of the server, and its address for clients.
    async fn find(&self, session: &mut Session) -> Result<(NodeId, String), Failure> {
        let id = session.id_of(&self.target).await?;
        let report = session.any().await?;
        let member = report.members.iter().find(|member| member.id == id);
        match member.map(|member| &member.client_address) {
            Some(Some(address)) => Ok((id, address.to_string())),
            Some(None) => Err(Failure::Unavailable(format!(
                "nobody knows the address of server {id} for clients: name it by --server"
            ))),
            None => Err(Failure::No(format!("refused: {id} is no member{}", removal(&report, id)))),
        }
    }

    fn say(&self, id: NodeId, outcome: &str, text: &str) -> Result<(), Failure> {
        let object = Object::new().text("outcome", outcome).raw("id", id);
        print(if self.answer.json { object.line() } else { text.to_owned() }.as_bytes())
    }
}

/// Waits until another server leads.
async fn wait_until_it_follows(id: NodeId, session: &mut Session) -> Result<(), Failure> {
    let deadline = Instant::now() + session.patience();
    loop {
        if let Some(report) = session.leading().await {
            let leads = |state| state == MemberState::Leader;
            let leader = report.members.iter().find(|member| leads(member.state));
            if leader.is_some_and(|leader| leader.id != id) {
                return Ok(());
            }
        }
        if Instant::now() + PAUSE >= deadline {
            return Err(Failure::Unavailable(format!(
                "{id} is drained, and still leads: no other voter can take over yet; `coracle \
                 member list` shows who is behind or not here"
            )));
        }
        sleep(PAUSE).await;
    }
}

/// Says when a server was removed, if that is known.
fn removal(report: &MembersReport, id: NodeId) -> String {
    let found = report.removed.iter().find(|(removed, _)| *removed == id);
    found.map_or(String::new(), |(_, index)| format!(" since entry {index}"))
}
