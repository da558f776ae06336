//! That queues have bounds, as far as can be seen from outside a node: what is
//! under way from one to another, and on how many connections (bugs.md B36, B80).

use std::rc::Rc;
use std::time::Duration;

use tokio::time::sleep;

use super::check::Check;
use super::world::{World, host};

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
