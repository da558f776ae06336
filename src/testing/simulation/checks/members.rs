//! Checks of the members when all faults are over (docs/adr/0026): all servers show the same list,
//! and removed servers rest.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::status_poller::{ask, ask_all};
use super::violation::{Check, Violation};
use super::wire::check_step;
use crate::storage::read_joined;
use crate::testing::simulation::workload::operator::Operator;
use crate::testing::simulation::world::{Accepted, PEER_PORT, Sample, World, host};
use crate::types::{Address, ChangeKind, Entry, LogIndex, Member, Membership, NodeId, Payload};

/// The lists have to be equal within this time, and removed servers have to know it.
const PATIENCE: Duration = Duration::from_secs(10);
/// The time between two looks.
const INTERVAL: Duration = Duration::from_millis(100);
/// The longest time for which a membership may be joint once a write has succeeded after the end
/// of the faults (reports of others: a change of leader left it so for ever).
const JOINT_MAX: Duration = Duration::from_secs(5);
/// The time for which terms must not move while removed servers run.
const REST: Duration = Duration::from_secs(3);

/// Checks that no membership stays joint once the cluster has recovered from the faults. Those of a
/// leader's log are committed by then. A joint membership that is not may be that of a change which
/// was lost with its leader, at the end of a log that a slow snapshot has not replaced yet.
pub(crate) async fn watch_joint(world: Rc<World>) {
    let mut since: Option<(LogIndex, Instant)> = None;
    while !world.phase.is_agreed.get() && !world.has_failed() {
        sleep(INTERVAL).await;
        let joint = Some(world.membership()).filter(|membership| membership.is_joint());
        let change = joint.as_ref().and_then(|joint| joint.change.as_ref());
        let number = change.map(|change| change.number);
        let Some(number) = number.filter(|_| world.phase.has_recovered.get()) else {
            since = None;
            continue;
        };
        let (of, begin) = *since.get_or_insert((number, Instant::now()));
        if of != number {
            since = None;
        } else if begin.elapsed() > JOINT_MAX {
            let what = format!("change {number} is joint for {JOINT_MAX:?}: {joint:?}");
            return world.violate(Check::Membership, what);
        }
    }
}

/// Checks that all members show the same members, which are those that are committed.
pub(crate) async fn check_lists(world: &Rc<World>) {
    if world.plan.members.is_none() {
        return;
    }
    let (operator, begin) = (Operator::calm(world), Instant::now());
    loop {
        let mut lists: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for id in world.members() {
            let lines = operator.ask(id, "member list").await.unwrap_or_default();
            lists.insert(id, lines.iter().filter_map(|line| common_part(line)).collect());
        }
        let expected = expected_list(&world.membership());
        let is_right = |list: &Vec<String>| {
            expected.iter().all(|line| list.contains(line))
                && list.iter().filter(|line| line.starts_with("MEMBER ")).count()
                    == world.membership().ids().len()
        };
        let mut all = lists.values();
        let first = all.next();
        if lists.values().all(is_right) && all.all(|list| Some(list) == first) {
            return;
        }
        if begin.elapsed() > PATIENCE || world.has_failed() {
            let what = format!("members show other lists than {expected:#?}: {lists:#?}");
            return world.violate(Check::Membership, what);
        }
        sleep(INTERVAL).await;
    }
}

/// The part of a line of a list that does not depend on the server that is asked.
fn common_part(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let part = match words[..] {
        ["MEMBERS", voters, needed, _, _, format, _, index, committed] => {
            format!("MEMBERS {voters} {needed} {format} {index} {committed}")
        }
        ["MEMBER", id, vote, _, peer, client, ..] => format!("MEMBER {id} {vote} {peer} {client}"),
        ["END"] => return None,
        _ => line.to_owned(),
    };
    Some(part)
}

fn expected_list(membership: &Membership) -> Vec<String> {
    let member = |id: &NodeId| {
        let member = membership.members.get(id)?;
        let vote = if membership.is_voter(*id) { "voter" } else { "learner" };
        Some(format!("MEMBER {id} {vote} {} {}", member.peer, member.client))
    };
    membership.members.keys().filter_map(member).collect()
}

/// Checks that servers that were removed and still run know it, and that no term moves because
/// of them.
pub(crate) async fn check_rest(world: &Rc<World>) {
    let removed: Vec<u64> =
        world.serving().into_iter().filter(|id| world.is_removed(*id)).collect();
    if removed.is_empty() || world.has_failed() {
        return;
    }
    let from = world.network.calm_host("calm");
    let begin = Instant::now();
    for id in removed.into_iter().filter(|id| can_reach_others(world, *id)) {
        loop {
            let sample = ask(world, &from, id, None).await.ok().map(|(sample, _)| sample);
            let machine = &world.machines[&id];
            // One that cannot prove of which cluster it is, is told in a sentence only, as anybody
            // who asks. Neither can an empty one.
            let is_unproven = sample
                .as_ref()
                .is_some_and(|sample| sample.last_log_index == 0 || sample.cluster_id == "none");
            if is_unproven
                || machine.site.is_asking.get()
                || !machine.is_up()
                || sample.as_ref().is_some_and(|sample| sample.role == "removed")
            {
                break;
            }
            if begin.elapsed() > PATIENCE || world.has_failed() {
                let what = format!("n{id} was removed, and does not know: {sample:?}");
                return world.violate(Check::Removed, what);
            }
            sleep(INTERVAL).await;
        }
    }
    let terms = |samples: Vec<Option<Sample>>| -> Vec<Option<u64>> {
        samples.into_iter().map(|sample| sample.map(|sample| sample.term)).collect()
    };
    let before = terms(ask_all(world).await);
    sleep(REST).await;
    let after = terms(ask_all(world).await);
    let are_all_up = || world.up().len() == world.serving().len();
    if before != after && are_all_up() {
        let what = format!("terms {before:?} became {after:?} while removed servers run");
        world.violate(Check::Removed, what);
    }
}

/// True when some member is where a machine dials it: where its log, or its file, says that it is.
/// The log may end at the entry that added a member with a wrong address. Nobody dials a server
/// that was removed. While its log does not have itself as a member, it dials those that it was
/// told of when it joined.
fn can_reach_others(world: &World, id: u64) -> bool {
    let known = world.wire.members_on_disk(id);
    let disk = world.machines[&id].disk.duplicate();
    let told = read_joined(&disk, world.data_dir(id)).ok().flatten();
    let told = told.filter(|_| !known.is_member(NodeId(id)));
    let ports = world.operators.ports_in_files.borrow();
    world.members().into_iter().any(|other| {
        let of = |members: &BTreeMap<NodeId, Member>| {
            members.get(&NodeId(other)).map(|member| member.peer.clone())
        };
        let in_file =
            || Address { host: host(other), port: ports.get(&other).copied().unwrap_or(PEER_PORT) };
        let by_file = known.is_member(NodeId(other)).then(in_file);
        let told = told.as_ref().and_then(|told| of(&told.members));
        let dialled = of(&known.members).or(told).or(by_file);
        dialled == Some(world.peer_address(other))
    })
}

/// Checks the memberships of the committed log: each follows from the one before it, and each
/// change that a node has said has begun is there, in the order of the log.
pub(crate) fn check_log(world: &World, log: &[Entry]) {
    if let Err(Violation { check, what }) = check_steps(log) {
        return world.violate(check, what);
    }
    for accepted in world.operators.accepted.borrow().iter() {
        if let Err(what) = check_accepted(log, accepted) {
            return world.violate(Check::Membership, format!("{accepted:?}: {what}"));
        }
    }
}

fn check_steps(log: &[Entry]) -> Result<(), Violation> {
    let mut now: Option<&Membership> = None;
    for entry in log {
        let Payload::Membership(next) = &entry.payload else { continue };
        if let Some(now) = now {
            check_step(now, next, entry.position())?;
        }
        now = Some(next);
    }
    let last_change = now.and_then(|now| now.change.as_ref());
    match last_change {
        Some(change) => {
            let what = format!("the log ends in the middle of {change:?}");
            Err(Violation { check: Check::Membership, what })
        }
        None => Ok(()),
    }
}

/// A change is in the log where its number says, and does what the command says. A cancellation
/// has the number of the change that it takes back.
fn check_accepted(log: &[Entry], accepted: &Accepted) -> Result<(), String> {
    let place = (accepted.number as usize).checked_sub(1);
    let entry = place.and_then(|place| log.get(place));
    let Some(Entry { payload: Payload::Membership(membership), .. }) = entry else {
        return Err(format!("there is {entry:?}"));
    };
    let number = LogIndex(accepted.number);
    let under_way = membership.change.iter().map(|change| (change.number, change.what));
    let ended = membership.ended.iter().map(|change| (change.number, change.what));
    let what = under_way.chain(ended).find(|(of, _)| *of == number).map(|(_, what)| what);
    let Some(what) = what else { return Err(format!("{membership:?} is no such change")) };
    let words: Vec<&str> = accepted.command.split(' ').collect();
    let is_learner = words.contains(&"learner");
    let is_right = match words[1] {
        "add" if is_learner => matches!(what, ChangeKind::AddLearner { .. }),
        "add" => matches!(what, ChangeKind::Add { .. }),
        "remove" => matches!(what, ChangeKind::Remove { .. }),
        "replace" => matches!(what, ChangeKind::Replace { .. }),
        "promote" => matches!(what, ChangeKind::Promote { .. }),
        "demote" => matches!(what, ChangeKind::Demote { .. }),
        "update" => matches!(what, ChangeKind::Update { .. }),
        _ => true,
    };
    if is_right { Ok(()) } else { Err(format!("the log has {what:?}")) }
}
