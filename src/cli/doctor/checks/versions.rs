//! The versions of the programs, the formats that they read, and the cluster that they are of.

use std::collections::BTreeMap;

use coracle::client::Status;
use coracle::types::NodeId;

use super::super::super::text::named;
use super::super::facts::Facts;
use super::super::finding::{Diagnosis, Finding};

/// Checks that all servers run the same, read the format in force, and are of one cluster.
pub fn check(facts: &Facts, diagnosis: &mut Diagnosis) {
    let statuses: Vec<(NodeId, &Status)> = facts
        .servers
        .iter()
        .filter_map(|server| Some((server.id(), server.heard.status.as_ref().ok()?)))
        .collect();
    if statuses.is_empty() {
        diagnosis.unchecked.push("versions and formats, because no server answers".into());
        return;
    }
    diagnosis.findings.push(versions(&statuses));
    diagnosis.findings.push(formats(&statuses));
    diagnosis.findings.extend(clusters(&statuses));
    diagnosis.findings.extend(statuses.iter().filter_map(|(id, status)| removed(*id, status)));
}

/// The servers by what their statuses have under a name.
fn groups<'a>(statuses: &[(NodeId, &'a Status)], name: &str) -> BTreeMap<&'a str, Vec<NodeId>> {
    let mut groups: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
    for (id, status) in statuses {
        groups.entry(status.get(name).unwrap_or("unknown")).or_default().push(*id);
    }
    groups
}

fn listed(groups: &BTreeMap<&str, Vec<NodeId>>) -> String {
    let each = groups.iter().map(|(value, ids)| format!("{value} on {}", named(ids)));
    each.collect::<Vec<_>>().join(", ")
}

fn versions(statuses: &[(NodeId, &Status)]) -> Finding {
    let groups = groups(statuses, "version");
    match groups.len() {
        1 => Finding::ok("versions", listed(&groups)),
        _ => {
            let advice = "finish the upgrade, or go back: `coracle upgrade status`";
            Finding::warn("versions", format!("different ones: {}", listed(&groups)), advice)
        }
    }
}

fn formats(statuses: &[(NodeId, &Status)]) -> Finding {
    const NAME: &str = "formats";
    let in_force = statuses.iter().filter_map(|(_, status)| status.number("format")).max();
    let Some(in_force) = in_force else {
        return Finding::ok(NAME, "format 1 is in force: no server tells of another");
    };
    let too_old: Vec<NodeId> =
        statuses.iter().filter(|(_, status)| !reads(status, in_force)).map(|(id, _)| *id).collect();
    if !too_old.is_empty() {
        let text = format!("format {in_force} is in force, and {} cannot read it", named(&too_old));
        return Finding::fail(NAME, text, "start the version there that the others run");
    }
    let groups = groups(statuses, "format");
    if groups.len() > 1 {
        let text = format!("a server is behind the format in force: {}", listed(&groups));
        let advice = "wait until it has caught up; if it does not, look at its log";
        return Finding::warn(NAME, text, advice);
    }
    Finding::ok(NAME, format!("format {in_force} is in force, and each server reads it"))
}

/// True when a server reads a format. One that does not tell was before format 2.
fn reads(status: &Status, format: u64) -> bool {
    let (lowest, highest) =
        status.get("reads_formats").and_then(|range| range.split_once("..")).unwrap_or(("1", "1"));
    let bound = |text: &str| text.parse::<u64>().ok();
    bound(lowest).zip(bound(highest)).is_some_and(|(low, high)| (low..=high).contains(&format))
}

/// The finding about servers of different clusters.
fn clusters(statuses: &[(NodeId, &Status)]) -> Option<Finding> {
    let mut groups = groups(statuses, "cluster_id");
    groups.retain(|id, _| !["none", "unknown"].contains(id));
    let text = format!("the servers are of different clusters: {}", listed(&groups));
    let advice = "give each server its own data directory again: `coracle config` lists them; \
                  servers of different clusters never work together";
    (groups.len() > 1).then(|| Finding::fail("cluster", text, advice))
}

/// The finding about a server that runs although it was removed.
fn removed(id: NodeId, status: &Status) -> Option<Finding> {
    let index = status.number("removed_at")?;
    let text = format!("entry {index} of the log removed it from the cluster, and it still runs");
    Some(Finding::warn("cluster", text, "stop it: its id is never used again").of(id))
}

#[cfg(test)]
mod tests;
