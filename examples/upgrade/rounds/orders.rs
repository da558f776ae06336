//! The orders in which the servers are upgraded.

use std::thread::sleep;
use std::time::Duration;

use coracle::testing::drill::{Failure, Stop};

use crate::cluster::Build;
use crate::drill::{Drill, NEVER_S, Outcome, Plan, Terms};

/// The time for which all members have to be able to read the format before it is raised, in
/// seconds.
const RAISE_AFTER_S: u64 = 1;

/// Upgrades the servers in the order that `order` makes of the ids and the leader's id. The format
/// is raised by itself when all are new, and not before.
fn upgrade(
    plan: &Plan,
    name: &str,
    order: fn(Vec<u64>, u64) -> Vec<u64>,
) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &Terms::raised_after(RAISE_AFTER_S))?;
    let leader = drill.cluster.wait_for_leader()?;
    let order = order(drill.cluster.ids(), leader);
    let (last, first) = order.split_last().expect("a cluster has servers");
    for id in first {
        drill.replace(*id, Build::New, Stop::Term)?;
        drill.assert_not_raised()?;
    }
    drill.replace(*last, Build::New, Stop::Term)?;
    drill.wait_for_format()?;
    drill.go_on()?;
    // A restart after the raise finds the format in the log.
    drill.replace(*last, Build::New, Stop::Kill)?;
    drill.kill_leader()?;
    drill.wait_for_format()?;
    drill.finish()
}

/// In the order of the ids.
pub fn ascending(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    upgrade(plan, name, |ids, _| ids)
}

/// In the reverse order of the ids.
pub fn descending(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    upgrade(plan, name, |ids, _| ids.into_iter().rev().collect())
}

/// The leader first.
pub fn leader_first(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    upgrade(plan, name, |ids, leader| {
        let others = ids.into_iter().filter(|id| *id != leader);
        std::iter::once(leader).chain(others).collect()
    })
}

/// The leader last.
pub fn leader_last(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    upgrade(plan, name, |ids, leader| {
        let others = ids.into_iter().filter(|id| *id != leader);
        others.chain(std::iter::once(leader)).collect()
    })
}

/// All new, all old again, all new, while one server holds the format.
pub fn back_and_forth(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &Terms::raised_after(RAISE_AFTER_S))?;
    let ids = drill.cluster.ids();
    let holder = ids[0];
    for id in &ids {
        drill.replace(*id, Build::New, Stop::Term)?;
        if *id == holder {
            say_ok(&mut drill, holder, "upgrade hold")?;
        }
    }
    assert_held(&mut drill)?;
    for id in ids.iter().rev() {
        drill.replace(*id, Build::Old, Stop::Term)?;
    }
    for id in &ids {
        drill.replace(*id, Build::New, Stop::Term)?;
    }
    // The hold is a file in the data directory: it has survived the old program.
    assert_held(&mut drill)?;
    say_ok(&mut drill, holder, "upgrade release")?;
    drill.wait_for_format()?;
    drill.go_on()?;
    drill.finish()
}

/// The same by kill -9 and without a hold: the settings let nobody raise the format for days.
pub fn by_settings(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &Terms::raised_after(NEVER_S))?;
    for build in [Build::New, Build::Old, Build::New] {
        for id in drill.cluster.ids() {
            drill.replace(id, build, Stop::Kill)?;
        }
        drill.assert_not_raised()?;
    }
    drill.finish()
}

fn say_ok(drill: &mut Drill, id: u64, command: &str) -> Result<(), Failure> {
    match drill.say(id, command) {
        Some(reply) if reply.starts_with("OK") => Ok(()),
        reply => Err(Failure::new(format!("server {id} replied {reply:?} to {command}"))),
    }
}

/// Waits for longer than a raise without a hold takes. All servers have to show the old format.
fn assert_held(drill: &mut Drill) -> Result<(), Failure> {
    sleep(Duration::from_secs(2 * RAISE_AFTER_S + 1));
    drill.go_on()?;
    drill.assert_not_raised()
}
