//! `lease`: keys that go together when nobody renews them.

use clap::{Args, Subcommand};
use coracle::client::{Client, Error, LeaseInfo};

use super::cluster::Cluster;
use super::failure::Failure;
use super::json::{AsJson, Object, json_bytes, json_list};
use super::text::quoted;

#[derive(Debug, Subcommand)]
pub enum LeaseCommand {
    /// Grant a lease, and print its id. A key that is written with it (`coracle set --lease`) goes
    /// when it ends
    Grant {
        /// The time after which the lease ends unless it is renewed
        seconds: u64,
        /// The id of the lease, 1 to 2^63 - 1; without this one that nobody has
        #[arg(long)]
        id: Option<u64>,
        #[command(flatten)]
        json: AsJson,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Let the time of a lease begin anew, and print it
    Renew {
        /// The id of the lease
        id: u64,
        #[command(flatten)]
        json: AsJson,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// End a lease, and remove its keys
    Revoke {
        /// The id of the lease
        id: u64,
        #[command(flatten)]
        cluster: Cluster,
    },
    /// Print the seconds that a lease has left, and its keys
    Info(InfoCommand),
}

#[derive(Args, Debug)]
pub struct InfoCommand {
    /// The id of the lease
    id: u64,
    #[command(flatten)]
    json: AsJson,
    #[command(flatten)]
    cluster: Cluster,
}

impl LeaseCommand {
    pub fn run(self) -> Result<(), Failure> {
        match self {
            LeaseCommand::Grant { seconds, id, json, cluster } => {
                let grant = async |client: &mut Client| match id {
                    None => client.grant(seconds).await,
                    Some(id) => client.grant_as(id, seconds).await.map(|_| id),
                };
                let id = cluster.ask(grant)?;
                json.print(|| Object::new().raw("id", id), || format!("{id}\n"))
            }
            LeaseCommand::Renew { id, json, cluster } => {
                let left = cluster.ask(async |client| client.renew(id).await)?;
                let object = || Object::new().raw("id", id).raw("seconds_left", left);
                json.print(object, || format!("{left}\n"))
            }
            LeaseCommand::Revoke { id, cluster } => {
                let revoke = async |client: &mut Client| match client.revoke(id).await? {
                    true => Ok(()),
                    false => Err(Error::NoLease),
                };
                cluster.ask(revoke)
            }
            LeaseCommand::Info(command) => command.run(),
        }
    }
}

impl InfoCommand {
    fn run(self) -> Result<(), Failure> {
        let info = self.cluster.ask(async |client| client.lease_info(self.id).await)?;
        self.json.print(|| object(&info), || text(&info))
    }
}

/// Lines of a name and a value.
fn text(info: &LeaseInfo) -> String {
    let mut text = format!("id {}\nseconds_left {}\n", info.id, info.left);
    for key in &info.keys {
        text += &format!("key {}\n", quoted(key));
    }
    if info.more {
        text += "more yes\n";
    }
    text
}

fn object(info: &LeaseInfo) -> Object {
    let keys = json_list(info.keys.iter().map(|key| json_bytes(key)));
    let object = Object::new().raw("id", info.id).raw("seconds_left", info.left);
    object.raw("keys", keys).raw("more", info.more)
}
