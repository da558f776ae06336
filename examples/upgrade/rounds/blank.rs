//! Servers without data among servers of both programs.

use std::fs;

use coracle::testing::drill::{Failure, Stop};

use crate::cluster::Build;
use crate::drill::{Drill, NEVER_S, Outcome, Plan, Terms};

/// Servers of both programs found a cluster together, with a majority of either.
pub fn founding(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    for new in [2, 3] {
        let terms = Terms::raised_after(NEVER_S);
        let mut drill = Drill::prepare(plan, &format!("{name}-{new}-new"), &terms)?;
        for id in drill.cluster.ids() {
            let build = if id <= new { Build::New } else { Build::Old };
            drill.cluster.start(id, build)?;
        }
        drill.cluster.wait_for_leader()?;
        drill.begin_load(terms.value_bytes);
        for leads in [Build::Old, Build::New] {
            drill.lead_by(leads)?;
            drill.go_on()?;
        }
        drill.assert_not_raised()?;
        outcome.add(drill.finish()?);
    }
    Ok(outcome)
}

/// Servers lose their disks in a mixed cluster, while a server of either program leads. Each
/// comes back with the program that it had, and once with the other one.
pub fn lost_disks(plan: &Plan, name: &str) -> Result<Outcome, Failure> {
    let mut drill = Drill::start(plan, name, &Terms::raised_after(NEVER_S))?;
    let ids = drill.cluster.ids();
    for id in &ids[..3] {
        drill.replace(*id, Build::New, Stop::Term)?;
    }
    for leads in [Build::Old, Build::New] {
        for lost in [Build::Old, Build::New] {
            let leader = drill.lead_by(leads)?;
            let is_lost = |id: &&u64| **id != leader && drill.cluster.build(**id) == lost;
            let id = *ids.iter().rev().find(is_lost).expect("there are two of each program");
            lose_disk(&mut drill, id, lost)?;
        }
    }
    lose_disk(&mut drill, ids[4], Build::New)?;
    lose_disk(&mut drill, ids[4], Build::Old)?;
    drill.assert_not_raised()?;
    drill.finish()
}

fn lose_disk(drill: &mut Drill, id: u64, build: Build) -> Result<(), Failure> {
    drill.cluster.stop(id, Stop::Kill)?;
    fs::remove_dir_all(drill.cluster.data_dir(id))?;
    drill.cluster.start(id, build)?;
    drill.cluster.wait_until_back(id)?;
    drill.go_on()
}
