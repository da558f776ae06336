//! The clients of a run.

pub(crate) mod client;
pub(crate) mod lines;
mod load;
mod mix;
mod names;
pub(crate) mod operator;
mod pinned;
mod slow;
mod stale;
mod watcher;

use std::rc::Rc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;

use super::world::World;
use client::SimClient;
pub(crate) use load::write_steadily;
use mix::HotKey;
pub(crate) use names::leave_names;
use pinned::PinnedClient;

/// The first number of the clients that stay at one node.
const FIRST_PINNED: u64 = 100;
/// The number of the client that reads slowly.
const SLOW: u64 = 200;

/// The first number of the clients that read what a server has applied.
const FIRST_STALE: u64 = 400;

/// Starts all watchers. They work until all nodes are equal at the end.
pub(crate) fn start_watchers(world: &Rc<World>, mut rng: StdRng) -> Vec<JoinHandle<()>> {
    let watchers = 1..=world.plan.clients.model.watchers;
    let start = |number| {
        let rng = StdRng::seed_from_u64(rng.random());
        actix::spawn(watcher::watch(Rc::clone(world), number, rng))
    };
    watchers.map(start).collect()
}

/// Starts all clients. They work until the phase is over.
pub(crate) fn start_all(world: &Rc<World>, mut rng: StdRng) -> Vec<JoinHandle<()>> {
    let hot_key = Rc::new(HotKey::default());
    let mut next_rng = || StdRng::seed_from_u64(rng.random());
    let mut clients = Vec::new();
    for number in 1..=world.plan.clients.moving {
        let client = SimClient::new(world, number, next_rng()).with_hot_key(&hot_key);
        clients.push(actix::spawn(client.run()));
    }
    for number in 0..world.plan.clients.pinned {
        let node = 1 + number % world.plan.nodes;
        let number = FIRST_PINNED + number;
        let client = PinnedClient::new(world, number, node, Rc::clone(&hot_key), next_rng());
        clients.push(actix::spawn(client.run()));
    }
    for number in 0..world.plan.clients.model.stale_readers {
        let reads = stale::read_stale(Rc::clone(world), FIRST_STALE + number, next_rng());
        clients.push(actix::spawn(reads));
    }
    if world.plan.clients.are_some_slow {
        clients.push(actix::spawn(slow::read_slowly(Rc::clone(world), SLOW, next_rng())));
        clients.push(actix::spawn(slow::send_by_halves(Rc::clone(world), SLOW + 1, next_rng())));
    }
    clients
}
