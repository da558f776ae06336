//! The servers that are asked one by one, each for itself: those of servers.toml, or those that the
//! servers at some addresses name.
//!
//! A cluster that is named by addresses tells the id and the address for clients of each member.
//! It does not tell the names and HTTP ports in servers.toml, so nothing can be asked there.

use std::collections::BTreeMap;
use std::time::Duration;

use coracle::client::{Error, members_of, status_of};
use coracle::config::Settings;
use coracle::protocol::MembersReport;
use coracle::types::NodeId;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::endpoints::Source;
use super::failure::Failure;
use super::output::note;
use super::survey::{self, Target};
use super::text::named;

/// The pause before servers are asked again that have not answered.
const PAUSE: Duration = Duration::from_millis(100);

/// A sentence about what only servers.toml tells.
pub const WITHOUT_FILE: &str = "Only servers.toml names the HTTP ports: without it the numbers \
                                that come from there are not known.";

/// The servers of a cluster.
#[derive(Clone, Debug)]
pub struct Roster {
    /// The name of the cluster in servers.toml, or the addresses that were named instead.
    pub name: String,
    /// The servers, by id.
    pub targets: Vec<Target>,
    /// The settings in servers.toml; `None` when servers were named by their addresses.
    pub settings: Option<Box<Settings>>,
}

/// The answers of a server at an address: its id, and the members as it knows them.
type Introduction = (String, Result<(NodeId, Option<MembersReport>), Error>);

impl Roster {
    /// The servers of a file; or those that the servers at the addresses name, of which one has to
    /// answer until the time is over.
    ///
    /// # Errors
    /// [`Failure::Unavailable`] when there are only addresses, and no server answers there.
    pub async fn of(
        source: Source,
        patience: Duration,
        timeout: Duration,
    ) -> Result<Roster, Failure> {
        let addresses = match source {
            Source::File(settings) => {
                let targets = survey::listed(&settings);
                let name = settings.cluster.clone();
                return Ok(Roster { name, targets, settings: Some(settings) });
            }
            Source::Addresses(addresses) => addresses,
        };
        let deadline = Instant::now() + timeout;
        loop {
            let introductions = join_all(addresses.iter().map(|it| introduce(it, patience))).await;
            let (targets, unknown) = targets(&introductions);
            if !targets.is_empty() {
                if !unknown.is_empty() {
                    let servers = named(&unknown);
                    note(&format!("no server tells the address of {servers} for clients"));
                }
                return Ok(Roster { name: addresses.join(","), targets, settings: None });
            }
            if Instant::now() + PAUSE >= deadline {
                let mut reasons = introductions.into_iter().filter_map(|(_, answer)| answer.err());
                let last =
                    reasons.next_back().map(|error| survey::reason(&error)).unwrap_or_default();
                return Err(Failure::Unavailable(format!("no server answered (last: {last})")));
            }
            sleep(PAUSE).await;
        }
    }

    /// The addresses for clients of all servers.
    pub fn addresses(&self) -> Vec<String> {
        self.targets.iter().map(|target| target.client.clone()).collect()
    }
}

async fn introduce(address: &str, patience: Duration) -> Introduction {
    let (status, members) =
        tokio::join!(status_of(address, patience), members_of(address, patience));
    let no_id = || Error::Unavailable { last: format!("{address}: it tells no id") };
    let answer = status.and_then(|status| status.number("id").ok_or_else(no_id));
    (address.to_owned(), answer.map(|id| (NodeId(id), members.ok())))
}

/// The servers that have answered, at the addresses where they did, and the members that the best
/// of their answers names; and the ids of those members of which it tells no address.
fn targets(introductions: &[Introduction]) -> (Vec<Target>, Vec<NodeId>) {
    let answered = || {
        let answers =
            introductions.iter().filter_map(|(at, answer)| Some((at, answer.as_ref().ok()?)));
        answers.map(|(at, (id, members))| (at, *id, members))
    };
    let mut targets: BTreeMap<NodeId, Target> = BTreeMap::new();
    for (address, id, _) in answered() {
        targets.entry(id).or_insert_with(|| target(id, address.clone()));
    }
    let reports = answered().filter_map(|(_, _, members)| members.as_ref());
    let best = reports.max_by_key(|report| (report.not_leading.is_none(), report.index));
    let members = best.map(|report| report.members.as_slice()).unwrap_or_default();
    for member in members {
        if let Some(client) = &member.client_address {
            targets.entry(member.id).or_insert_with(|| target(member.id, client.to_string()));
        }
    }
    let is_unknown = |id: &NodeId| !targets.contains_key(id);
    let unknown = members.iter().map(|member| member.id).filter(is_unknown).collect();
    (targets.into_values().collect(), unknown)
}

fn target(id: NodeId, client: String) -> Target {
    Target { id, client, http: None }
}

#[cfg(test)]
mod tests;
