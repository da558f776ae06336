//! Damage to the logs of several nodes at once, in different places: every start reads everything,
//! so a loss of power of all machines brings all their latent damage to light together.
//!
//! No system survives the loss of every copy of an entry. So the node with the longest log stays
//! whole, and each other log is damaged where its end is still readable: its node can vote for the
//! whole one (docs/adr/0019).

use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use rand::RngExt;
use rand::seq::SliceRandom;
use tokio::time::{Instant, sleep};

use super::disk::flip;
use super::targeted::TargetedFaults;
use crate::testing::simulation::checks::expected_start::ExpectedStart;
use crate::testing::simulation::checks::violation::Check;
use crate::testing::simulation::cluster::{crash, start};
use crate::testing::simulation::world::{Machine, Sample, World};
use crate::testing::{DirectoryContents, RecordPlace};

/// The number of records at the end of a log among which the damaged one is chosen: a node with
/// small windows fetches all of them again within seconds.
const RECORDS_MAX: usize = 100;
/// A leader has to be elected within this time after the nodes have started.
const ELECTION: Duration = Duration::from_secs(20);
/// The time between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

impl TargetedFaults {
    /// Kills all nodes, damages the logs of a majority or of all but one, and starts all nodes.
    pub(super) async fn scatter_damage(&mut self) -> bool {
        let world = Rc::clone(&self.world);
        let is_away = |machine: &Rc<Machine>| machine.site.is_away.get() || machine.is_full();
        if !world.may_lose_data() || world.machines.values().any(is_away) {
            return false;
        }
        world.network.heal();
        for (id, machine) in &world.machines {
            machine.site.is_away.set(true);
            crash(&world, *id, false);
        }
        let chosen = choose(&world);
        for (id, (path, record)) in &chosen {
            world.note_data_loss(*id, u64::MAX);
            let offset = world.random(|rng| rng.random_range(record.from..record.to));
            flip(&world, &world.machines[id], path, offset);
        }
        for (id, machine) in &world.machines {
            machine.site.is_away.set(false);
            start(&world, *id);
        }
        if !chosen.is_empty() {
            world.phase.is_election_due.set(true);
            self.expect_leader().await;
            world.phase.is_election_due.set(false);
        }
        !chosen.is_empty()
    }

    /// Checks that a leader is elected, unless the nodes stop.
    async fn expect_leader(&mut self) {
        let begin = Instant::now();
        while begin.elapsed() < ELECTION {
            let leads = |sample: &Sample| sample.role == "leader";
            if self.poll().await.iter().any(leads) || self.world.has_failed() {
                return;
            }
            sleep(INTERVAL).await;
        }
        let what = format!("no leader within {ELECTION:?}, though one log is whole");
        self.world.violate(Check::Recovery, what);
    }
}

fn contents(world: &World, machine: &Machine) -> DirectoryContents {
    ExpectedStart::of(&machine.disk, world.data_dir(machine.id)).into_directory()
}

/// Chooses a record on each of a majority of nodes, or more. The result is empty when there are not
/// enough logs that may be damaged.
fn choose(world: &World) -> Vec<(u64, (PathBuf, RecordPlace))> {
    let are_good = world.machines.values().all(|machine| {
        let expected = ExpectedStart::of(&machine.disk, world.data_dir(machine.id));
        let is_whole = expected.is_good() && machine.disk.rot().is_empty();
        let directory = expected.into_directory();
        is_whole
            && directory.is_complete
            && directory.hard_states.iter().flatten().all(|state| !state.is_rejoining)
    });
    if !are_good {
        return Vec::new();
    }
    let logs = world.machines.values().map(|machine| (machine.id, contents(world, machine)));
    let mut logs: Vec<(u64, DirectoryContents)> = logs.collect();
    logs.sort_by_key(|(_, directory)| {
        let last = directory.last();
        (last.term, last.index)
    });
    logs.pop();
    world.random(|rng| logs.shuffle(rng));
    let majority = world.machines.len() / 2 + 1;
    let most = world.random(|rng| rng.random_range(majority..=world.machines.len() - 1));
    let chosen = logs.iter().filter_map(|(id, log)| Some((*id, some_record(world, *id, log)?)));
    let chosen: Vec<_> = chosen.take(most).collect();
    if chosen.len() < majority { Vec::new() } else { chosen }
}

/// Draws a record that has whole records after it, with the path of its segment, if no record
/// of the log replaces an earlier one: then nothing about the end of the log is in doubt.
fn some_record(
    world: &World,
    id: u64,
    directory: &DirectoryContents,
) -> Option<(PathBuf, RecordPlace)> {
    let paths = directory.paths(world.data_dir(id));
    let of_segment = |(path, records): (&PathBuf, &Vec<RecordPlace>)| {
        records.iter().map(|record| (path.clone(), *record)).collect::<Vec<_>>()
    };
    let records: Vec<_> = paths.iter().zip(&directory.segments).flat_map(of_segment).collect();
    let is_plain =
        records.windows(2).all(|pair| pair[0].1.position.index < pair[1].1.position.index);
    if !is_plain || directory.is_being_cut || directory.is_resetting || directory.has_tail {
        return None;
    }
    let count = records.len().checked_sub(2).filter(|count| *count > 0)?;
    let back = world.random(|rng| rng.random_range(1..=count.min(RECORDS_MAX)));
    records.get(count - back).cloned()
}
