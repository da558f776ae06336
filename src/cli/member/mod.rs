//! `member`: the members of the cluster, shown and changed while it runs (docs/adr/0026).
//!
//! A change has a number, and goes on whether somebody waits for it or not.
//!
//! | file | contents |
//! | --- | --- |
//! | `list` | the members as the answers of the servers show them |
//! | `change` | a change that is asked for, planned, refused, or begun |
//! | `progress` | the wait for the end of a change, and the stages that are shown meanwhile |
//! | `in_step` | the wait until all members are here |
//! | `session` | the requests to the servers, and how long is waited for them |

mod change;
mod in_step;
pub mod list;
mod progress;
pub mod session;

use clap::{Args, Subcommand};
use coracle::protocol::{MemberOperation, MemberRequest};
use coracle::types::{Address, LogIndex, Member, NodeId};

use super::cluster::{Target, block_on};
use super::failure::{Failure, usage};
use session::{Answer, Session};

#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// Print the members: who counts, who is here, how many can be lost, and the change under way
    List(ListCommand),
    /// Add a server: it is sent everything first, and becomes a voter when it has caught up
    Add(AddCommand),
    /// Remove a member
    Remove(LossyCommand),
    /// Put a new server in the place of a member, which may be dead
    Replace(ReplaceCommand),
    /// Make a learner a voter, when it has caught up
    Promote(PlainCommand),
    /// Make a voter a learner: it keeps its data, and counts no more
    Demote(LossyCommand),
    /// Record other addresses of a member that cannot reach the others to tell them itself
    Update(UpdateCommand),
    /// Wait for the end of a change, or until all members are in step
    Wait(WaitCommand),
    /// Take a change back that has not replaced any voter yet
    Cancel(CancelCommand),
}

/// The options of the commands that ask for a change.
#[derive(Args, Debug)]
pub struct Asking {
    /// Print what would be done and how many servers could be lost then, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print the number of the change, and do not wait for its end
    #[arg(long, conflicts_with = "dry_run")]
    no_wait: bool,
    #[command(flatten)]
    answer: Answer,
}

#[derive(Args, Debug)]
pub struct ListCommand {
    #[command(flatten)]
    answer: Answer,
}

#[derive(Args, Debug)]
pub struct AddCommand {
    /// The new server's address for the other servers
    #[arg(value_name = "SERVERS_ADDRESS")]
    address: Address,
    #[command(flatten)]
    newcomer: Newcomer,
    /// Let it stay a learner: it has everything, and counts for nothing
    #[arg(long)]
    learner: bool,
    #[command(flatten)]
    asking: Asking,
}

/// The options that say what a new server is.
#[derive(Args, Debug)]
pub struct Newcomer {
    /// Its address for clients. Without this the same host, and the port below the other one
    #[arg(long, value_name = "ADDRESS")]
    client: Option<Address>,
    /// Its id, which no server has ever had. Without this the next
    #[arg(long, value_parser = id)]
    id: Option<NodeId>,
}

#[derive(Args, Debug)]
pub struct ReplaceCommand {
    /// The member: its id, or one of its addresses
    #[arg(value_name = "MEMBER")]
    old: Target,
    /// The new server's address for the other servers
    #[arg(value_name = "SERVERS_ADDRESS")]
    address: Address,
    #[command(flatten)]
    newcomer: Newcomer,
    #[command(flatten)]
    loss: Loss,
    #[command(flatten)]
    asking: Asking,
}

/// A command that may cost tolerance of failures.
#[derive(Args, Debug)]
pub struct LossyCommand {
    /// The member: its id, or one of its addresses
    #[arg(value_name = "MEMBER")]
    target: Target,
    #[command(flatten)]
    loss: Loss,
    #[command(flatten)]
    asking: Asking,
}

/// The option that says what a change may cost.
#[derive(Args, Debug)]
pub struct Loss {
    /// Do it although only so many servers can be lost afterwards before all writes stop; without
    /// this one at least
    #[arg(long, value_name = "N")]
    can_lose: Option<u32>,
}

#[derive(Args, Debug)]
pub struct PlainCommand {
    /// The member: its id, or one of its addresses
    #[arg(value_name = "MEMBER")]
    target: Target,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Args, Debug)]
pub struct UpdateCommand {
    /// The member: its id, or one of its addresses so far
    #[arg(value_name = "MEMBER")]
    target: Target,
    /// Its new address for the other servers
    #[arg(long, value_name = "ADDRESS", required_unless_present = "client")]
    log: Option<Address>,
    /// Its new address for clients
    #[arg(long, value_name = "ADDRESS")]
    client: Option<Address>,
    /// Print the number of the change, and do not wait for its end
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    answer: Answer,
}

#[derive(Args, Debug)]
pub struct WaitCommand {
    /// The number of the change
    #[arg(required_unless_present = "all_in_step")]
    number: Option<u64>,
    /// Wait until no change is under way and every member is here and has what the leader has, but
    /// for a moment: between the steps of a rolling restart
    #[arg(long, conflicts_with = "number")]
    all_in_step: bool,
    #[command(flatten)]
    answer: Answer,
}

#[derive(Args, Debug)]
pub struct CancelCommand {
    /// The number of the change
    number: u64,
    #[command(flatten)]
    answer: Answer,
}

impl MemberCommand {
    /// Does what the command asks for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            MemberCommand::List(ListCommand { answer }) => list::run(&answer),
            MemberCommand::Add(AddCommand { address, newcomer, learner, asking }) => {
                let (id, member) = (newcomer.id, newcomer.member(address)?);
                let operation = MemberOperation::Add { id, member, is_learner: learner };
                asking.run(None, async |_| Ok(operation))
            }
            MemberCommand::Remove(LossyCommand { target, loss, asking }) => asking
                .run(loss.can_lose, async |session| {
                    Ok(MemberOperation::Remove { id: session.id_of(&target).await? })
                }),
            MemberCommand::Replace(ReplaceCommand { old, address, newcomer, loss, asking }) => {
                let (id, member) = (newcomer.id, newcomer.member(address)?);
                asking.run(loss.can_lose, async |session| {
                    let old = session.id_of(&old).await?;
                    Ok(MemberOperation::Replace { old, id, member })
                })
            }
            MemberCommand::Promote(PlainCommand { target, asking }) => asking
                .run(None, async |session| {
                    Ok(MemberOperation::Promote { id: session.id_of(&target).await? })
                }),
            MemberCommand::Demote(LossyCommand { target, loss, asking }) => asking
                .run(loss.can_lose, async |session| {
                    Ok(MemberOperation::Demote { id: session.id_of(&target).await? })
                }),
            MemberCommand::Update(UpdateCommand { target, log, client, no_wait, answer }) => {
                let asking = Asking { dry_run: false, no_wait, answer };
                asking.run(None, async |session| {
                    let id = session.id_of(&target).await?;
                    Ok(MemberOperation::Update { id, peer: log, client })
                })
            }
            MemberCommand::Wait(WaitCommand { number: Some(number), answer, .. }) => {
                progress::run(LogIndex(number), &answer)
            }
            MemberCommand::Wait(WaitCommand { number: None, answer, .. }) => in_step::run(&answer),
            MemberCommand::Cancel(CancelCommand { number, answer }) => {
                let asking = Asking { dry_run: false, no_wait: true, answer };
                let number = LogIndex(number);
                asking.run(None, async |_| Ok(MemberOperation::Cancel { number }))
            }
        }
    }
}

impl Asking {
    /// Asks for what `operation` makes, once the servers have told the ids of its members.
    fn run(
        self,
        can_lose: Option<u32>,
        operation: impl AsyncFnOnce(&mut Session) -> Result<MemberOperation, Failure>,
    ) -> Result<(), Failure> {
        let Asking { dry_run: is_dry_run, no_wait, answer } = self;
        block_on(async {
            let mut session = Session::new(&answer)?;
            let operation = operation(&mut session).await?;
            let request = MemberRequest { operation, can_lose, is_dry_run };
            change::run(request, &mut session, no_wait).await
        })?
    }
}

impl Newcomer {
    /// The addresses of the new server.
    fn member(&self, peer: Address) -> Result<Member, Failure> {
        let below = peer.port.checked_sub(1).filter(|port| *port != 0);
        let beside = below.map(|port| Address { host: peer.host.clone(), port });
        let client = self.client.clone().or(beside).ok_or_else(|| {
            usage(format!("there is no port below {peer}: say its address for clients by --client"))
        })?;
        Ok(Member { peer, client })
    }
}

fn id(text: &str) -> Result<NodeId, String> {
    match text.parse() {
        Ok(0) => Err("ids begin at 1".into()),
        Ok(id) => Ok(NodeId(id)),
        Err(_) => Err("a number is expected".into()),
    }
}

#[cfg(test)]
mod tests;
