//! `upgrade`: the format of the cluster, shown, held, released and raised, and the question whether
//! another program can take part (docs/adr/0023).
//!
//! | file | contents |
//! | --- | --- |
//! | `view` | the cluster as the answers of its servers show it |
//! | `program` | the formats that a program reads, and the answer to `upgrade check` |

mod program;
mod view;

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use coracle::client::{Client, Error, Options, set_hold_of, status_of};
use coracle::types::{Format, NodeId};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::cluster::{self, block_on};
use super::failure::Failure;
use super::output::{print, table};
use super::text::{listed, named};
use program::{Program, Verdict, own_formats};
use view::View;

#[derive(Debug, Subcommand)]
pub enum UpgradeCommand {
    /// Print each server's version, the format in force, and what the next one waits for
    Status(Cluster),
    /// Say whether servers of another program can take part in the cluster as it is
    Check {
        /// The program that servers are to run
        #[arg(long, value_name = "BINARY")]
        to: PathBuf,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Have every server hold the format where it is: an older program can be run again
    Hold(Cluster),
    /// Have every server hold the format no longer
    Release(Cluster),
    /// Release every hold, and have the leader put the next format in force now
    Raise(Cluster),
    /// Print the version of this program and the formats that it reads
    Formats,
}

/// The cluster. Its format is raised by a leader, which is waited for as long as for any answer.
type Cluster = cluster::Cluster<2_000>;

impl UpgradeCommand {
    /// Does what the command asks for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            UpgradeCommand::Status(cluster) => {
                let view = block_on(async {
                    Ok::<_, Failure>(Servers::of(&cluster).await?.view().await)
                })??;
                let text = table(&view.rows()) + &view.sentences();
                print(text.as_bytes())?;
                view.format().map(|_| ()).ok_or_else(no_answer)
            }
            UpgradeCommand::Check { to, cluster } => {
                let program = Program::ask(&to)?;
                let view = block_on(async {
                    Ok::<_, Failure>(Servers::of(&cluster).await?.view().await)
                })??;
                match program.verdict(&view) {
                    Verdict::Yes(text) => print(format!("{text}\n").as_bytes()),
                    Verdict::No(text) => Err(Failure::No(text)),
                    Verdict::Unknown(text) => Err(Failure::Unavailable(text)),
                }
            }
            UpgradeCommand::Hold(cluster) => {
                block_on(async { Servers::of(&cluster).await?.hold().await })?
            }
            UpgradeCommand::Release(cluster) => {
                block_on(async { Servers::of(&cluster).await?.release().await?.report() })?
            }
            UpgradeCommand::Raise(cluster) => {
                block_on(async { Servers::of(&cluster).await?.raise().await })?
            }
            UpgradeCommand::Formats => print(own_formats().as_bytes()),
        }
    }
}

/// The pause before the leader is asked again to raise the format.
const PAUSE: Duration = Duration::from_millis(50);

/// The servers of a cluster, which are asked one by one.
struct Servers {
    /// The address of each for clients.
    all: Vec<(NodeId, String)>,
    /// Maximum time to wait for the answer of one of them.
    patience: Duration,
    /// Maximum time to wait for a leader.
    timeout: Duration,
}

/// The outcome of asking all servers to hold the format, or not to.
struct Holds {
    /// The servers that did what they were asked.
    done: Vec<NodeId>,
    /// The servers from before format 2. They hold nothing.
    unable: Vec<NodeId>,
    /// The servers that did not answer.
    unasked: Vec<NodeId>,
}

impl Servers {
    async fn of(cluster: &Cluster) -> Result<Servers, Failure> {
        let targets = cluster.roster().await?.targets.into_iter();
        let all = targets.map(|target| (target.id, target.client)).collect();
        Ok(Servers { all, patience: cluster.patience(), timeout: cluster.timeout() })
    }

    async fn view(&self) -> View {
        let ask = self
            .all
            .iter()
            .map(async |(id, address)| (*id, status_of(address, self.patience).await));
        View::new(join_all(ask).await)
    }

    async fn set_holds(&self, is_held: bool) -> Result<Holds, Failure> {
        let ask = self
            .all
            .iter()
            .map(async |(id, address)| (*id, set_hold_of(address, is_held, self.patience).await));
        let mut holds = Holds { done: Vec::new(), unable: Vec::new(), unasked: Vec::new() };
        for (id, answer) in join_all(ask).await {
            match answer {
                Ok(()) => holds.done.push(id),
                Err(Error::Refused { .. }) => holds.unable.push(id),
                Err(_) => holds.unasked.push(id),
            }
        }
        if holds.done.is_empty() && holds.unable.is_empty() {
            return Err(no_answer());
        }
        Ok(holds)
    }

    /// Holds the format on all servers. One holder is enough.
    async fn hold(&self) -> Result<(), Failure> {
        let before = self.view().await.format().ok_or_else(no_answer)?;
        let Holds { done, unable, unasked } = self.set_holds(true).await?;
        let view = self.settled_view().await;
        let after = view.format().ok_or_else(no_answer)?;
        if !done.is_empty() {
            print(format!("held by {}\n", listed(&done)).as_bytes())?;
        }
        for (servers, reason) in [
            (&unable, "cannot hold it: the version is from before format 2"),
            (&unasked, "did not answer, and may not hold it"),
        ] {
            if !servers.is_empty() {
                let enough = if done.is_empty() { "" } else { "; one holder is enough" };
                print(format!("{} {reason}{enough}\n", named(servers)).as_bytes())?;
            }
        }
        if after > before {
            return Err(Failure::No(format!(
                "format {after} was put in force meanwhile: the way back is a backup from before"
            )));
        }
        if view.is_raising() {
            let reason = "a raise was under way before the hold, and its outcome is not known yet";
            return Err(Failure::Unavailable(reason.into()));
        }
        match (done.is_empty(), unasked.is_empty()) {
            (false, _) => print(format!("Format {after} is in force.\n").as_bytes()),
            (true, false) => Err(Failure::Unavailable("no server is known to hold it".into())),
            (true, true) => Err(Failure::No("no server can hold it".into())),
        }
    }

    /// The view once no raise is under way, for which a hold would have come too late.
    async fn settled_view(&self) -> View {
        let deadline = Instant::now() + self.timeout;
        loop {
            let view = self.view().await;
            if !view.is_raising() || Instant::now() + PAUSE >= deadline {
                return view;
            }
            sleep(PAUSE).await;
        }
    }

    async fn release(&self) -> Result<Holds, Failure> {
        let holds = self.set_holds(false).await?;
        if !holds.done.is_empty() {
            print(format!("released by {}\n", listed(&holds.done)).as_bytes())?;
        }
        if !holds.unable.is_empty() {
            let hold = if holds.unable.len() == 1 { "holds" } else { "hold" };
            let reason = "the version is from before format 2";
            print(format!("{} {hold} nothing: {reason}\n", named(&holds.unable)).as_bytes())?;
        }
        Ok(holds)
    }

    /// Raises the format, if no server that can be asked holds it. The servers that held it tell
    /// the leader so by new connections, which takes a moment: until then, and for as long as the
    /// leader is waited for, its refusal is not final.
    async fn raise(&self) -> Result<(), Failure> {
        let view = self.view().await;
        let before = view.format().ok_or_else(no_answer)?;
        let deadline = Instant::now() + self.timeout;
        self.release().await?;
        let format = loop {
            match self.ask_leader().await {
                Err(Error::NotYet { .. })
                    if !view.holders().is_empty() && Instant::now() + PAUSE < deadline =>
                {
                    sleep(PAUSE).await;
                }
                Err(Error::Refused { .. }) => {
                    let reason = "the leader is of a version from before format 2, which cannot \
                                  raise the format";
                    return Err(Failure::No(reason.into()));
                }
                answer => break answer?,
            }
        };
        let text = match format > before {
            true => format!("Format {format} is in force.\n"),
            false => self.view().await.sentences(),
        };
        print(text.as_bytes())
    }

    /// Has the leader raise the format. Returns the format in force.
    async fn ask_leader(&self) -> Result<Format, Error> {
        let addresses = self.all.iter().map(|(_, address)| address.clone());
        let (deadline, try_timeout) = (self.timeout, self.patience);
        let options = Options { deadline, try_timeout, ..Options::default() };
        let mut client = Client::connect(addresses, options).await?;
        let format = client.raise().await?;
        Ok(Format(u32::try_from(format).unwrap_or(u32::MAX)))
    }
}

impl Holds {
    /// Fails when a server may still hold the format.
    fn report(&self) -> Result<(), Failure> {
        if self.unasked.is_empty() {
            return Ok(());
        }
        let unasked = named(&self.unasked);
        Err(Failure::Unavailable(format!("{unasked} did not answer, and may still hold it")))
    }
}

fn no_answer() -> Failure {
    Failure::Unavailable("no server answered".into())
}
