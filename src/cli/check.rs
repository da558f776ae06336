//! `check`: compares the stores of all servers after one log entry.
//!
//! Servers apply entries at different times, and each knows the digests of its store only after
//! the last few thousand of them, and after some older ones. So the command asks how far each
//! server is, takes an entry that all have applied, and asks all for the digest after it. Under
//! load a server may have moved on too far meanwhile; then the command looks again, until its time
//! is over. At the end it compares those that it can.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use clap::Args;
use coracle::client::{Status, digest_of, status_of};
use coracle::types::NodeId;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::cluster::{Cluster, block_on};
use super::failure::Failure;
use super::json::{AsJson, Object, json_list};
use super::output::print;

#[derive(Args, Debug)]
pub struct CheckCommand {
    #[command(flatten)]
    json: AsJson,
    #[command(flatten)]
    cluster: Cluster<5_000, 1_000>,
}

/// The pause before the next round.
const PAUSE: Duration = Duration::from_millis(50);
/// A server knows the digest after each entry whose index is a multiple of this for longer than
/// after the others.
const KEPT_INTERVAL: u64 = 1024;

/// A server that answered, and its state as it is now.
struct Answered {
    id: NodeId,
    address: String,
    last_applied: u64,
    digest: Option<u64>,
}

/// The digests after one entry, of the servers that know them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparison {
    index: u64,
    digests: BTreeMap<NodeId, u64>,
}

/// The end of a search for an entry after which the servers can be compared.
#[derive(Debug)]
struct Search {
    best: Comparison,
    /// The servers that did not answer in the last round.
    unreachable: BTreeSet<NodeId>,
}

impl CheckCommand {
    /// Prints that all are equal. Fails when servers differ, and when fewer than a majority could
    /// be compared.
    pub fn run(self) -> Result<(), Failure> {
        let (servers, search) = block_on(async {
            let targets = self.cluster.roster().await?.targets.into_iter();
            let servers: Vec<_> = targets.map(|target| (target.id, target.client)).collect();
            let deadline = Instant::now() + self.cluster.timeout();
            let search = search(&servers, self.cluster.patience(), deadline).await;
            Ok::<_, Failure>((servers, search))
        })??;
        let ids: BTreeSet<NodeId> = servers.iter().map(|(id, _)| *id).collect();
        if self.json.is_wanted() {
            print(object(&search, &ids).line().as_bytes())?;
            return verdict(&search, &ids).map(|_| ());
        }
        print(format!("{}\n", verdict(&search, &ids)?).as_bytes())
    }
}

/// Looks for an entry after which all servers that answer can be compared, until the deadline.
/// Returns the comparison of the most servers.
async fn search(servers: &[(NodeId, String)], patience: Duration, deadline: Instant) -> Search {
    let mut best = Comparison { index: 0, digests: BTreeMap::new() };
    loop {
        let answered = ask_status(servers, patience).await;
        let is_there = |id: &NodeId| answered.iter().any(|server| server.id == *id);
        let unreachable = servers.iter().map(|(id, _)| *id).filter(|id| !is_there(id)).collect();
        let mut indexes: Vec<u64> = answered.iter().map(|server| server.last_applied).collect();
        indexes.sort_unstable();
        indexes.dedup();
        // The least first, at which all can be compared. A server that is far behind leaves no
        // entry that the others still know, and must not hide what they have.
        for index in indexes.iter().flat_map(|index| [*index, index - index % KEPT_INTERVAL]) {
            let comparison = compare(&answered, index, patience).await;
            if comparison.digests.len() > best.digests.len() || comparison.is_different() {
                best = comparison;
            }
            if best.digests.len() == answered.len() || best.is_different() {
                return Search { best, unreachable };
            }
        }
        if Instant::now() + PAUSE >= deadline || answered.len() <= servers.len() / 2 {
            return Search { best, unreachable };
        }
        sleep(PAUSE).await;
    }
}

async fn ask_status(servers: &[(NodeId, String)], patience: Duration) -> Vec<Answered> {
    let ask = servers.iter().map(async |(id, address)| {
        let status = status_of(address, patience).await.ok()?;
        let last_applied = status.number("last_applied")?;
        Some(Answered { id: *id, address: address.clone(), last_applied, digest: digest(&status) })
    });
    join_all(ask).await.into_iter().flatten().collect()
}

/// The digest in a status: that after the entry which the server has applied last. A server from
/// before format 2 knows no other.
fn digest(status: &Status) -> Option<u64> {
    u64::from_str_radix(status.get("store_digest")?, 16).ok()
}

/// Asks all servers that have applied the entry for the digest after it.
async fn compare(answered: &[Answered], index: u64, patience: Duration) -> Comparison {
    let ask = answered.iter().filter(|server| server.last_applied >= index).map(async |server| {
        let now = server.digest.filter(|_| server.last_applied == index);
        let digest = match now {
            Some(digest) => Ok(digest),
            None => digest_of(&server.address, index, patience).await,
        };
        digest.ok().map(|digest| (server.id, digest))
    });
    Comparison { index, digests: join_all(ask).await.into_iter().flatten().collect() }
}

impl Comparison {
    fn is_different(&self) -> bool {
        let mut digests = self.digests.values();
        let first = digests.next();
        digests.any(|digest| Some(digest) != first)
    }
}

/// The answer to a program: `is_equal` is null when fewer than a majority could be compared.
fn object(search: &Search, servers: &BTreeSet<NodeId>) -> Object {
    let Search { best, unreachable } = search;
    let is_majority = best.digests.len() > servers.len() / 2;
    let is_equal = (is_majority || best.is_different()).then(|| !best.is_different());
    let servers = servers.iter().map(|id| {
        let digest = best.digests.get(id).map(|digest| format!("{digest:016x}"));
        Object::new()
            .raw("id", id)
            .raw("is_reachable", !unreachable.contains(id))
            .optional_text("digest", digest.as_deref())
    });
    let object = Object::new().optional("is_equal", is_equal).raw("entry", best.index);
    object.raw("servers", json_list(servers))
}

/// The answer to the person who asked.
fn verdict(search: &Search, servers: &BTreeSet<NodeId>) -> Result<String, Failure> {
    let Search { best: Comparison { index, digests }, unreachable } = search;
    let compared: BTreeSet<NodeId> = digests.keys().copied().collect();
    let missing = missing(servers, &compared, unreachable);
    let mut groups: BTreeMap<u64, BTreeSet<NodeId>> = BTreeMap::new();
    for (id, digest) in digests {
        groups.entry(*digest).or_default().insert(*id);
    }
    let majority = servers.len() / 2 + 1;
    if let Some((digest, equal)) = groups.first_key_value().filter(|_| groups.len() == 1) {
        let text = format!("{} after entry {index}, digest {digest:016x}{missing}", named(equal));
        return match equal.len() >= majority {
            true => Ok(format!("equal: {text}")),
            false => Err(Failure::Unavailable(format!(
                "fewer than a majority of the servers could be compared; equal: {text}"
            ))),
        };
    }
    if groups.is_empty() {
        return Err(Failure::Unavailable(format!("no server could be compared{missing}")));
    }
    let right = groups.iter().find(|(_, equal)| equal.len() >= majority);
    let wrong = groups.iter().filter(|(digest, _)| right.is_none_or(|(right, _)| right != *digest));
    let each: Vec<String> =
        wrong.map(|(digest, equal)| format!("{} {digest:016x}", has(equal))).collect();
    let each = each.join(", ");
    Err(Failure::No(match right {
        Some((digest, equal)) => {
            let different: BTreeSet<NodeId> = compared.difference(equal).copied().collect();
            let differ = if different.len() == 1 { "differs" } else { "differ" };
            format!(
                "{} {differ} after entry {index}: {each}; the others, {}, have digest \
                 {digest:016x}{missing}",
                named(&different),
                named(equal)
            )
        }
        None => format!(
            "the stores differ after entry {index}, and no digest has a majority: {each}{missing}"
        ),
    }))
}

/// The end of a sentence, which names the servers that were not compared.
fn missing(
    servers: &BTreeSet<NodeId>,
    compared: &BTreeSet<NodeId>,
    unreachable: &BTreeSet<NodeId>,
) -> String {
    let silent: BTreeSet<NodeId> = unreachable.difference(compared).copied().collect();
    let others = |id: &&NodeId| !compared.contains(id) && !silent.contains(id);
    let behind: BTreeSet<NodeId> = servers.iter().filter(others).copied().collect();
    let mut text = String::new();
    if !silent.is_empty() {
        text += &format!("; not compared: {}, without an answer", named(&silent));
    }
    if !behind.is_empty() {
        text += &format!("; not compared: {}, not near that entry", named(&behind));
    }
    text
}

/// `server 3`, `servers 1, 2, 3`.
fn named(servers: &BTreeSet<NodeId>) -> String {
    let ids: Vec<String> = servers.iter().map(NodeId::to_string).collect();
    format!("{} {}", if ids.len() == 1 { "server" } else { "servers" }, ids.join(", "))
}

fn has(servers: &BTreeSet<NodeId>) -> String {
    format!("{} {}", named(servers), if servers.len() == 1 { "has" } else { "have" })
}

#[cfg(test)]
mod tests;
