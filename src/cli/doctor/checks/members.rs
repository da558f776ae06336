//! The members: how many can be lost, and who is not in step.

use std::time::Duration;

use coracle::protocol::{CanLose, MemberReport, MemberState, MembersReport};
use coracle::types::NodeId;

use super::super::super::member::list::{member_of, tolerance};
use super::super::super::survey::{Heard, leading};
use super::super::super::text::{named, time};
use super::super::facts::Facts;
use super::super::finding::{Diagnosis, Finding};

const NAME: &str = "members";
/// The age in milliseconds of a change of the members that is taken for stuck.
const CHANGE_AGE_MS_MAX: u64 = 600_000;

/// Checks who leads, how many can be lost, and each member.
pub fn check(facts: &Facts, diagnosis: &mut Diagnosis) {
    let heard: Vec<Heard> = facts.servers.iter().map(|server| server.heard.clone()).collect();
    let Some(members) = leading(&heard) else {
        match facts.servers.iter().any(|server| server.is_up()) {
            true => diagnosis.findings.push(no_leader(facts)),
            false => diagnosis.unchecked.push("the members, because no server answers".into()),
        }
        return;
    };
    diagnosis.findings.push(losses(members));
    diagnosis.findings.extend(members.members.iter().filter_map(member));
    diagnosis.findings.extend(change(members));
    diagnosis.findings.extend(refusals(&heard));
    diagnosis.findings.extend(strangers(facts, members));
}

fn no_leader(facts: &Facts) -> Finding {
    let up = facts.servers.iter().filter(|server| server.is_up()).count();
    let text = format!("no leader answers, and {up} of {} servers do", facts.servers.len());
    let advice = "start the servers that are down: a majority elects a leader by itself; if a \
                  majority runs, mend the network between the log ports";
    Finding::fail(NAME, text, advice)
}

fn losses(members: &MembersReport) -> Finding {
    let text = tolerance(members);
    let text = text.trim_end_matches('.');
    match members.can_lose {
        CanLose::Voters(1..) => Finding::ok(NAME, text),
        CanLose::Voters(0) => {
            let advice = "bring back who is missing, or add a server: `coracle member list` names \
                          all; one more failure stops all writes";
            Finding::warn(NAME, text, advice)
        }
        CanLose::NoQuorum | CanLose::Unknown => {
            Finding::fail(NAME, text, "start the voters that are down: writes wait for them")
        }
    }
}

/// The finding about a member that is not in step for a reason that does not end by itself.
fn member(member: &MemberReport) -> Option<Finding> {
    let id = member.id;
    let finding = match member.state {
        MemberState::Unseen => {
            let since = member.seen_ms.map(|ms| time(Duration::from_millis(ms)));
            let since = since.map_or("since it leads".to_owned(), |time| format!("for {time}"));
            let text = format!("the {} has not been heard by the leader {since}", member.kind);
            let advice = format!(
                "start it, mend the network to its log port, or replace it: `coracle member \
                 replace {id} ADDRESS`"
            );
            Finding::warn(NAME, text, advice)
        }
        MemberState::Rejoining => Finding::warn(
            NAME,
            "it lost what it had, and does not count until it has caught up",
            "start all other servers: it needs to hear each of them once; look at its disk",
        ),
        MemberState::Draining => {
            let advice = format!("`coracle undrain {id}`, or stop it for what it was drained for");
            Finding::warn(NAME, "it is drained: it does not lead", advice)
        }
        MemberState::Leader
        | MemberState::Follower
        | MemberState::Catching
        | MemberState::Unknown => return None,
    };
    Some(finding.of(id))
}

/// The finding about a change that does not come to its end.
fn change(members: &MembersReport) -> Option<Finding> {
    let change = members.change.as_ref()?;
    let age_ms = change.age_ms.filter(|age| *age > CHANGE_AGE_MS_MAX)?;
    let waits = change.waits_for.as_deref().unwrap_or("nothing that it tells");
    let [age, bound] = [age_ms, CHANGE_AGE_MS_MAX].map(|ms| time(Duration::from_millis(ms)));
    let text = format!(
        "change {} ({}) has been under way for {age}, more than {bound}; it waits for: {waits}",
        change.number, change.what
    );
    let advice = format!("mend that, or take it back: `coracle member cancel {}`", change.number);
    Some(Finding::warn(NAME, text, advice))
}

/// The findings about members that refuse the snapshot that they need.
fn refusals(heard: &[Heard]) -> Vec<Finding> {
    let statuses = heard.iter().filter_map(|heard| heard.status.as_ref().ok());
    let lists = statuses.filter_map(|status| status.get("snapshot_refusals"));
    let refusals = lists.flat_map(|list| list.split(','));
    let refusals = refusals.filter_map(|refusal| {
        let (id, reason) = refusal.split_once(':')?;
        Some((NodeId(id.parse().ok()?), reason))
    });
    let finding = |(id, reason): (NodeId, &str)| {
        let advice = match reason {
            "no_room" => "make room on its disk: it is sent the snapshot again by itself",
            _ => "run the same version on all servers; its log says what is wrong",
        };
        let text = format!("it refuses the snapshot that it needs: {reason}");
        Finding::fail(NAME, text, advice).of(id)
    };
    refusals.map(finding).collect()
}

/// The finding about servers of servers.toml that are no members, which commands ask in vain.
fn strangers(facts: &Facts, members: &MembersReport) -> Option<Finding> {
    let is_stranger = |id: &NodeId| member_of(members, *id).is_none();
    let listed = facts.settings.as_ref()?.servers.keys().copied();
    let strangers: Vec<NodeId> = listed.filter(is_stranger).collect();
    let are = if strangers.len() == 1 { "is no member" } else { "are no members" };
    let text = format!("{} of servers.toml {are} of the cluster", named(&strangers));
    let advice = "take them out of servers.toml, and stop them if they run";
    (!strangers.is_empty()).then(|| Finding::warn(NAME, text, advice))
}

#[cfg(test)]
mod tests;
