//! Faults: which comes when, and how each is inflicted.

pub(crate) mod delayed_completions;
pub(crate) mod disk;
pub(crate) mod nemesis;
pub(crate) mod targeted;
pub(crate) mod topology;
