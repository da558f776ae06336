//! Asks every node for its status, all the time, and believes none of it.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::check::Check;
use super::client::Lines;
use super::network::SimHost;
use super::world::{World, host};

/// How often a node is asked.
const INTERVAL: Duration = Duration::from_millis(35);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a node told of itself at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) id: u64,
    /// Which of its lives.
    pub(super) life: u64,
    pub(super) role: String,
    pub(super) term: u64,
    pub(super) commit_index: u64,
    pub(super) last_applied: u64,
    pub(super) last_log_index: u64,
    pub(super) snapshot_index: u64,
    pub(super) store_digest: u64,
    /// What its clients take of the memory.
    pub(super) memory_bytes_used: u64,
    /// When its answer was there, on the clock of the clients.
    pub(super) heard: u64,
    /// The latest time that any node's clock had shown by then.
    pub(super) latest_clock_ms: u64,
}

/// Watches node `id` for ever.
pub(super) async fn watch(world: Rc<World>, id: u64) {
    let from = world.network.calm_host("monitor");
    let mut lines = None;
    let mut last: Option<Sample> = None;
    loop {
        sleep(INTERVAL).await;
        let life = world.machines[&id].lives.get();
        let asked = ask(&world, &from, id, lines.take());
        let Ok(Ok((sample, connection))) = timeout(PATIENCE, asked).await else { continue };
        // Of a node that was started again meanwhile nobody knows which life spoke.
        if world.machines[&id].lives.get() != life {
            continue;
        }
        lines = Some(connection);
        check(&world, last.as_ref(), &sample);
        world.oracle.on_sample(id);
        last = Some(sample.clone());
        if !world.is_agreed.get() {
            world.samples.borrow_mut().push(sample);
        }
    }
}

/// One status of a node; the connection is used again when it is still good.
pub(super) async fn ask(
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
    lines.send(b"status\r\n").await?;
    let mut fields = BTreeMap::new();
    loop {
        let line = lines.line().await?;
        if line == "END" {
            break;
        }
        let (name, value) = line.split_once(' ').ok_or(io::ErrorKind::InvalidData)?;
        fields.insert(name.to_owned(), value.to_owned());
    }
    let number = |name: &str| -> io::Result<u64> {
        fields
            .get(name)
            .and_then(|value| value.parse().ok())
            .ok_or(io::ErrorKind::InvalidData.into())
    };
    let digest = fields.get("store_digest").and_then(|value| u64::from_str_radix(value, 16).ok());
    let sample = Sample {
        id,
        life,
        role: fields.get("role").cloned().unwrap_or_default(),
        term: number("term")?,
        commit_index: number("commit_index")?,
        last_applied: number("last_applied")?,
        last_log_index: number("last_log_index")?,
        snapshot_index: number("snapshot_index")?,
        store_digest: digest.ok_or(io::ErrorKind::InvalidData)?,
        memory_bytes_used: number("memory_bytes_used")?,
        heard: world.moment(),
        latest_clock_ms: world.latest_clock_ms(),
    };
    Ok((sample, lines))
}

/// What one sample and the one before must fulfil. What all samples must fulfil
/// together is checked at the end, by the audit.
fn check(world: &World, last: Option<&Sample>, sample: &Sample) {
    let Sample { id, life, term, commit_index, last_applied, last_log_index, .. } = sample;
    world.trace.count(&[*id, *life, *term, *commit_index, *last_applied, sample.store_digest]);
    if sample.role != "rejoining" {
        if *last_applied > 0 {
            world.participants.borrow_mut().insert(*id);
        }
        // The answer may be one of the life that ended with the loss.
        if world.forgetful.get().is_some_and(|(of, at)| of == *id && *life > at) {
            world.forgetful.set(None);
        }
    }
    if sample.role == "leader" {
        world.oracle.on_leader(*id, *term);
    }
    // Commit is told by the core, applied by the store a moment later.
    if commit_index > last_log_index {
        world.violate(
            Check::LogMatching,
            format!("n{id} committed what it does not have: {sample:?}"),
        );
    }
    // What a snapshot stands for was applied, or will be with it.
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
