//! What the core asks of the world.

/// Numbers what is handed to the disk; completions come back in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistSeq(pub u64);
