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

use clap::{Args, Subcommand};
use coracle::client::{Client, Error, Options, set_hold_of, status_of};
use coracle::types::{Format, NodeId};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, block_on};
use super::failure::Failure;
use super::json::{AsJson, Object, json_list};
use super::output::print;
use super::paint::Paint;
use super::text::{listed, named};
use program::{Program, own_formats, own_formats_object};
use view::View;

#[derive(Debug, Subcommand)]
pub enum UpgradeCommand {
    /// Print each server's version, the format in force, and what the next one waits for
    Status(Asking),
    /// Say whether servers of another program can take part in the cluster as it is
    Check {
        /// The program that servers are to run
        #[arg(long, value_name = "BINARY")]
        to: PathBuf,
        #[command(flatten)]
        asking: Asking,
    },
    /// Have every server hold the format where it is: an older program can be run again
    Hold(Asking),
    /// Have every server hold the format no longer
    Release(Asking),
    /// Release every hold, and have the leader put the next format in force now
    Raise(Asking),
    /// Print the version of this program and the formats that it reads
    Formats {
        #[command(flatten)]
        json: AsJson,
    },
}

/// The options of the commands that ask the servers.
#[derive(Args, Debug)]
pub struct Asking {
    #[command(flatten)]
    json: AsJson,
    #[command(flatten)]
    cluster: Cluster<2_000>,
}

impl UpgradeCommand {
    /// Does what the command asks for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            UpgradeCommand::Status(asking) => block_on(async {
                let view = Servers::of(&asking).await?.view().await;
                let text = || view.table(Paint::of_stdout()) + &view.sentences();
                asking.json.print(|| view.json(), text)?;
                view.format().map(|_| ()).ok_or_else(no_answer)
            })?,
            UpgradeCommand::Check { to, asking } => block_on(async {
                let servers = Servers::of(&asking).await?;
                let program = Program::ask(&to)?;
                program.verdict(&servers.view().await).told(asking.json)
            })?,
            UpgradeCommand::Hold(asking) => {
                block_on(async { Servers::of(&asking).await?.hold().await })?
            }
            UpgradeCommand::Release(asking) => block_on(async {
                let servers = Servers::of(&asking).await?;
                let holds = servers.release().await?;
                servers.print(|| holds.object().line())?;
                holds.report()
            })?,
            UpgradeCommand::Raise(asking) => {
                block_on(async { Servers::of(&asking).await?.raise().await })?
            }
            UpgradeCommand::Formats { json } => json.print(own_formats_object, own_formats),
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
    /// True when only JSON is to be printed.
    is_json: bool,
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
    async fn of(asking: &Asking) -> Result<Servers, Failure> {
        let Asking { json, cluster } = asking;
        let targets = cluster.roster().await?.targets.into_iter();
        let all = targets.map(|target| (target.id, target.client)).collect();
        let (patience, timeout, is_json) =
            (cluster.patience(), cluster.timeout(), json.is_wanted());
        Ok(Servers { all, patience, timeout, is_json })
    }

    /// Prints an object when JSON is wanted.
    fn print(&self, object: impl FnOnce() -> String) -> Result<(), Failure> {
        if self.is_json { print(object().as_bytes()) } else { Ok(()) }
    }

    /// Prints a line for people unless JSON is wanted.
    fn say(&self, line: &str) -> Result<(), Failure> {
        if self.is_json { Ok(()) } else { print(line.as_bytes()) }
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
        let holds = self.set_holds(true).await?;
        let view = self.settled_view().await;
        let after = view.format().ok_or_else(no_answer)?;
        self.print(|| holds.object().raw("format", after).line())?;
        let Holds { done, unable, unasked } = holds;
        if !done.is_empty() {
            self.say(&format!("held by {}\n", listed(&done)))?;
        }
        for (servers, reason) in [
            (&unable, "cannot hold it: the version is from before format 2"),
            (&unasked, "did not answer, and may not hold it"),
        ] {
            if !servers.is_empty() {
                let enough = if done.is_empty() { "" } else { "; one holder is enough" };
                self.say(&format!("{} {reason}{enough}\n", named(servers)))?;
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
            (false, _) => self.say(&format!("Format {after} is in force.\n")),
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
            self.say(&format!("released by {}\n", listed(&holds.done)))?;
        }
        if !holds.unable.is_empty() {
            let hold = if holds.unable.len() == 1 { "holds" } else { "hold" };
            let reason = "the version is from before format 2";
            self.say(&format!("{} {hold} nothing: {reason}\n", named(&holds.unable)))?;
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
        let is_raised = format > before;
        self.print(|| Object::new().raw("format", format).raw("is_raised", is_raised).line())?;
        let text = match is_raised {
            true => format!("Format {format} is in force.\n"),
            false => self.view().await.sentences(),
        };
        self.say(&text)
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
    /// The servers by what became of the request.
    fn object(&self) -> Object {
        Object::new()
            .raw("done", json_list(self.done.iter()))
            .raw("unable", json_list(self.unable.iter()))
            .raw("unasked", json_list(self.unasked.iter()))
    }

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
