//! That queues have bounds, as far as can be seen from outside a node: what is
//! under way from one to another, and on how many connections (bugs.md B36, B80); and
//! that what was taken of a node's memory comes back (B29).

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::check::Check;
use super::statuses;
use super::world::{World, host};
use crate::actors::session::SESSION_BYTES;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// Connections to one peer that a node holds: the one in use, and one that it is
/// about to give up.
const CONNECTIONS_MAX: usize = 2;

/// What is not entries: heartbeats, votes and the questions of a newcomer, for as
/// long as a node takes to see that its peer is silent. A hundred bytes each, one a
/// tick of 5 ms for two seconds, and as much again.
const SMALL_MESSAGES_BYTES_MAX: u64 = 80 * 1024;

/// Looks at all nodes for ever.
pub(super) async fn watch(world: Rc<World>) {
    loop {
        sleep(INTERVAL).await;
        for from in world.machines.keys() {
            for to in world.machines.keys().filter(|to| *to != from) {
                check(&world, *from, *to);
            }
        }
    }
}

/// By then a node has let go of clients that left without reading.
const MEMORY_BACK_MAX: Duration = Duration::from_secs(60);

/// The clients are done, and all that they sent is applied: what they took comes back,
/// but for what every connection costs, whatever happened before.
pub(super) async fn watch_memory_come_back(world: &World) {
    let deadline = Instant::now() + MEMORY_BACK_MAX;
    loop {
        let statuses = statuses(world).await;
        let is_back = |used: u64| used.is_multiple_of(SESSION_BYTES);
        if statuses.iter().flatten().all(|sample| is_back(sample.memory_bytes_used)) {
            return;
        }
        if Instant::now() > deadline {
            let used = statuses.iter().flatten().map(|s| (s.id, s.memory_bytes_used));
            let used: Vec<_> = used.collect();
            world.violate(Check::Bounds, format!("nothing is under way, and is taken: {used:?}"));
            return;
        }
        sleep(INTERVAL).await;
    }
}

fn check(world: &World, from: u64, to: u64) {
    let load = world.network.load(&host(from), &host(to));
    let limits = &world.plan.settings.limits;
    // Entries in their frames take at most twice what they weigh: the least are small.
    let window_bytes = limits.peer_inflight_bytes_max + limits.frame_bytes_max();
    let unread_bytes_max = 2 * window_bytes + SMALL_MESSAGES_BYTES_MAX;
    if load.connections > CONNECTIONS_MAX || load.unread_bytes as u64 > unread_bytes_max {
        world.violate(Check::Bounds, format!("from n{from} to n{to}: {load:?}"));
    }
}
