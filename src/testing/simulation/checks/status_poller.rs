//! Polls the status of every node, and compares each with the one before and with other facts.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::violation::Check;
use crate::testing::simulation::network::SimHost;
use crate::testing::simulation::workload::lines::Lines;
use crate::testing::simulation::world::{Sample, World, host};

/// The time between two polls of a node.
const INTERVAL: Duration = Duration::from_millis(35);
/// The longest time that a node may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Polls node `id` for ever.
pub(crate) async fn watch(world: Rc<World>, id: u64) {
    let from = world.network.calm_host("monitor");
    let mut lines = None;
    let mut last: Option<Sample> = None;
    loop {
        sleep(INTERVAL).await;
        let life = world.machines[&id].lives.get();
        let asked = ask(&world, &from, id, lines.take());
        let Ok(Ok((sample, connection))) = timeout(PATIENCE, asked).await else { continue };
        // The answer of a node that was restarted meanwhile may be of either life.
        if world.machines[&id].lives.get() != life {
            continue;
        }
        lines = Some(connection);
        check(&world, last.as_ref(), &sample);
        let is_removed = sample.role == "removed";
        world.wire.on_sample(id, sample.term, sample.last_applied, is_removed);
        last = Some(sample.clone());
        if !world.phase.is_agreed.get() {
            world.samples.borrow_mut().push(sample);
        }
    }
}

/// Requests the status of a node. Takes a connection of an earlier request, and returns one for the
/// next.
pub(crate) async fn ask(
    world: &World,
    from: &SimHost,
    id: u64,
    lines: Option<Lines>,
) -> io::Result<(Sample, Lines)> {
    let mut lines = match lines {
        Some(lines) => lines,
        None => Lines::connect(from, &host(id)).await?,
    };
    let life = world.machines[&id].lives.get();
    let asked = world.wire.next_moment();
    let status = lines.status().await?;
    let number = |name: &str| -> io::Result<u64> {
        status.number(name).ok_or(io::ErrorKind::InvalidData.into())
    };
    let digest = status.get("store_digest").and_then(|value| u64::from_str_radix(value, 16).ok());
    let sample = Sample {
        id,
        life,
        role: status.get("role").unwrap_or_default().to_owned(),
        term: number("term")?,
        commit_index: number("commit_index")?,
        last_applied: number("last_applied")?,
        last_log_index: number("last_log_index")?,
        snapshot_index: number("snapshot_index")?,
        store_digest: digest.ok_or(io::ErrorKind::InvalidData)?,
        memory_bytes_used: number("memory_bytes_used")?,
        format: number("format")?,
        cluster_id: status.get("cluster_id").unwrap_or_default().to_owned(),
        asked,
        heard: world.next_time(),
        latest_clock_ms: world.latest_clock_ms(),
    };
    Ok((sample, lines))
}

/// The statuses of all members; `None` for a node that does not answer within a second.
pub(crate) async fn ask_all(world: &World) -> Vec<Option<Sample>> {
    let from = world.network.calm_host("calm");
    let mut statuses = Vec::new();
    for id in world.members() {
        let asked = ask(world, &from, id, None);
        let status = timeout(Duration::from_secs(1), asked).await;
        statuses.push(status.ok().and_then(Result::ok).map(|(sample, _)| sample));
    }
    statuses
}

/// Checks a sample by itself and against the one before it. `final_state` checks all samples
/// together.
fn check(world: &World, last: Option<&Sample>, sample: &Sample) {
    let Sample { id, life, term, commit_index, last_applied, last_log_index, .. } = sample;
    world.trace.count(&[*id, *life, *term, *commit_index, *last_applied, sample.store_digest]);
    // A server without members in its log says that it learns.
    let is_blank = world.plan.members.is_some() && world.wire.is_rejoining(*id);
    if sample.role != "rejoining" && !is_blank {
        if *last_applied > 0 {
            world.data.participants.borrow_mut().insert(*id);
        }
        // An answer of the life that ended with the loss does not count.
        world.data.losses.borrow_mut().retain(|of, at| of != id || *life <= *at);
    } else if world.data.participants.borrow().contains(id) {
        // The leader may have found out that it has forgotten something.
        world.data.losses.borrow_mut().entry(*id).or_insert(life - 1);
    }
    if sample.role == "leader" {
        world.wire.on_leader(*id, *term, sample.asked, *last_log_index);
    }
    // The core reports the commit index, and the store's applied index follows later.
    if commit_index > last_log_index {
        world.violate(
            Check::LogMatching,
            format!("n{id} committed what it does not have: {sample:?}"),
        );
    }
    // A snapshot contains only committed entries.
    if sample.snapshot_index > *commit_index {
        world.violate(
            Check::Snapshot,
            format!("n{id} has a snapshot of what is not committed: {sample:?}"),
        );
    }
    let Some(last) = last.filter(|last| last.life == sample.life) else { return };
    let has_fallen = last.term > *term
        || last.commit_index > *commit_index
        || last.last_applied > *last_applied
        || last.snapshot_index > sample.snapshot_index;
    if has_fallen {
        world.violate(Check::Monotonic, format!("n{id} went back: {last:?}, then {sample:?}"));
    }
}
