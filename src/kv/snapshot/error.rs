//! The reasons why a snapshot is refused.

/// The reason why blocks are not a snapshot of a store.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// A block has an unknown kind, or a kind that is not allowed at its place.
    #[error("a block of kind {0} cannot stand here")]
    Kind(u8),
    /// A block has no bytes, or the snapshot has no blocks.
    #[error("a block is empty")]
    Empty,
    /// A record does not decode.
    #[error("a record does not decode: {0}")]
    Malformed(String),
    /// A record cannot be in any store.
    #[error("{0}")]
    Impossible(&'static str),
    /// The loaded records do not match the counts and the digest in the head.
    #[error(
        "the snapshot promises {promised_keys} keys, {promised_clients} clients and digest \
         {promised_digest:016x}, and holds {keys}, {clients} and {digest:016x}"
    )]
    Incomplete {
        /// The number of keys by the head.
        promised_keys: u64,
        /// The number of clients by the head.
        promised_clients: u64,
        /// The digest by the head.
        promised_digest: u64,
        /// The number of keys in the blocks.
        keys: u64,
        /// The number of clients in the blocks.
        clients: u64,
        /// The digest of the records in the blocks.
        digest: u64,
    },
    /// The blocks hold fewer changes than the head says, or fewer keys that are gone.
    #[error("the snapshot promises changes up to number {promised}, and holds them up to {found}")]
    IncompleteHistory {
        /// The number after that of the last change in the blocks.
        found: u64,
        /// The same by the head.
        promised: u64,
    },
}
