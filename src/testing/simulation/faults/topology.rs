//! Cuts in the network, as shapes of the nodes that still reach each other.

use crate::testing::simulation::world::{World, host};

/// Cuts all lines between the two sides, in both directions.
pub(crate) fn cut_between(world: &World, side: &[u64], other: &[u64]) {
    for a in side {
        for b in other {
            world.network.cut(&host(*a), &host(*b));
            world.network.cut(&host(*b), &host(*a));
        }
    }
}

/// Mends all lines between the two sides.
pub(crate) fn mend_between(world: &World, side: &[u64], other: &[u64]) {
    for a in side {
        for b in other {
            world.network.mend(&host(*a), &host(*b));
            world.network.mend(&host(*b), &host(*a));
        }
    }
}

/// Leaves each node other than `hub` its line to `hub` only.
pub(crate) fn cut_to_star(world: &World, hub: u64) {
    let spokes: Vec<u64> = world.serving().into_iter().filter(|id| *id != hub).collect();
    for (place, a) in spokes.iter().enumerate() {
        cut_between(world, &[*a], &spokes[place + 1..]);
    }
}

/// Leaves each node the lines to its neighbours in `line` only.
pub(crate) fn cut_to_chain(world: &World, line: &[u64]) {
    for (place, a) in line.iter().enumerate() {
        cut_between(world, &[*a], line.get(place + 2..).unwrap_or_default());
    }
}

/// Cuts all lines of a node.
pub(crate) fn isolate(world: &World, id: u64) {
    let rest: Vec<u64> = world.serving().into_iter().filter(|other| *other != id).collect();
    cut_between(world, &[id], &rest);
}
