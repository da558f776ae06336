//! The difference between a server's store and what it should be (docs/adr/0025).

use super::ids::LogIndex;

/// The difference that makes a server stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The entry at which it was found.
    pub index: LogIndex,
    /// A sentence that says what was found, with both digests if stores were compared.
    pub found: String,
}
