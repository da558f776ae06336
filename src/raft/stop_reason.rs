//! The reasons for which a node must stop, although its disk is good.

use crate::types::{FormatInForce, FormatRange, LogIndex};

/// The reason why a node must stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopReason {
    /// The cluster has a format that this node does not read. Nothing of it was stored.
    #[error(
        "the cluster has format {}, and this server reads formats {reads}: start version {} or a \
         later one; nothing of that format was stored here",
        needed.format, needed.since.escape_default()
    )]
    Unreadable {
        /// The format of the cluster.
        needed: FormatInForce,
        /// The formats that this node reads.
        reads: FormatRange,
    },
    /// The store differs from that of a majority.
    #[error(
        "the store of this server differs from that of a majority: its digest after entry {index} \
         is {own:016x}, and theirs is {majority:016x}"
    )]
    Diverged {
        /// The entry after which they were compared.
        index: LogIndex,
        /// The digest of this node's store.
        own: u64,
        /// The digest of the majority's stores.
        majority: u64,
    },
    /// A part of the store in memory is not what was written there.
    #[error(
        "the memory of this server holds other bytes than were written there: {what}, found at \
         entry {index}"
    )]
    Corrupted {
        /// The last entry that was applied when it was found.
        index: LogIndex,
        /// A clause that says what differs.
        what: String,
    },
}
