//! Faults: which comes when, and how each is inflicted.

mod aged_disk;
mod amnesia;
pub(crate) mod delayed_completions;
pub(crate) mod disk;
pub(crate) mod members;
mod memory;
pub(crate) mod nemesis;
mod scattered_damage;
mod sick_follower;
mod stalled_quorum;
pub(crate) mod targeted;
pub(crate) mod topology;
pub(crate) mod upgrades;
mod wipe_majority;
