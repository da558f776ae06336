//! The reasons why bytes are not a frame.

use std::io;

use super::hello::BINARY_BYTES_MAX;
use super::join::CLUSTER_BYTES_MAX;
use crate::types::{FormatRange, LogIndex, LogPosition, NodeId, STAMP_MS_MAX, Term};

/// The reason why bytes are not a frame, or a frame is one that no node sends.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The header names another protocol version.
    #[error("the frame is of protocol version {theirs}, and this server speaks version {ours}")]
    Version {
        /// The version of the frame.
        theirs: u8,
        /// The version of this program.
        ours: u8,
    },
    /// The length of the body is 0.
    #[error("the frame has no body")]
    Empty,
    /// The frame is longer than the limit.
    #[error("the frame has {frame_bytes} bytes, and the limit is {frame_bytes_max}")]
    TooLarge {
        /// The size of header and body in bytes.
        frame_bytes: u64,
        /// The limit in bytes.
        frame_bytes_max: usize,
    },
    /// The bytes were changed on the way.
    #[error("the frame's checksum is {stored:08x}, and its bytes give {computed:08x}")]
    Checksum {
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the received bytes.
        computed: u32,
    },
    /// The body is not the MessagePack of any frame.
    #[error("the frame's body does not decode: {0}")]
    Malformed(#[from] rmp_serde::decode::Error),
    /// Bytes follow the end of the body's array.
    #[error("the frame's body ends before the frame does")]
    Trailing,
    /// The sender or the recipient is 0.
    #[error("the frame goes from node {from} to node {to}, and 0 is no node")]
    NoNode {
        /// The sender.
        from: NodeId,
        /// The recipient.
        to: NodeId,
    },
    /// No program reads these formats.
    #[error("the hello says that its sender reads the formats {0}, which is no range from 1 on")]
    Formats(FormatRange),
    /// The version of the sender's program is not a short printable text.
    #[error(
        "the hello names a version of {bytes} bytes, and it must have 1 to {BINARY_BYTES_MAX} \
         printable characters"
    )]
    Binary {
        /// Its length in bytes.
        bytes: usize,
    },
    /// The name of a cluster is one that no servers.toml may have.
    #[error(
        "the frame names a cluster by {bytes} bytes, and a name has 1 to {CLUSTER_BYTES_MAX} \
         bytes without control characters"
    )]
    Cluster {
        /// Its length in bytes.
        bytes: usize,
    },
    /// No program writes this format.
    #[error("the frame names a format in force that no cluster can have")]
    FormatInForce,
    /// The table of a StateCheck is longer than any cluster.
    #[error("the frame has a table of {peers} servers, and the limit is {peers_max}")]
    Peers {
        /// The number of servers.
        peers: usize,
        /// The limit.
        peers_max: usize,
    },
    /// The table of a StateCheck, or a question to join, names node 0.
    #[error("the frame names node 0, and 0 is no node")]
    NoPeer,
    /// No log of a node in that term can have this position.
    #[error("the frame of term {term} names the log position {position}, which cannot be")]
    Position {
        /// The position.
        position: LogPosition,
        /// The envelope's term.
        term: Term,
    },
    /// No log has so many entries.
    #[error("the frame names entry {0}, and no log has more than {max}", max = LogIndex::MAX)]
    Index(LogIndex),
    /// The stamp of an entry is after the end of all clocks.
    #[error("entry {index} has the stamp {stamp_ms}, and the last one is {STAMP_MS_MAX}")]
    Stamp {
        /// The index of the entry.
        index: LogIndex,
        /// Its stamp in milliseconds.
        stamp_ms: u64,
    },
    /// The place of a conflict is before every log.
    #[error("the frame reports a conflict at entry 0, and the first entry has index 1")]
    ConflictIndex,
    /// An index names the place before the first entry as an entry.
    #[error("the frame names entry 0, and the first entry has index 1")]
    NoEntry,
    /// A forwarded command has no bytes.
    #[error("the frame forwards a command without a byte")]
    NoCommand,
    /// The term is the largest number, so no election could follow it.
    #[error("the frame is of term {}, and no term follows it", Term(u64::MAX))]
    LastTerm,
    /// The entries have a gap or are out of order.
    #[error("the frame has entry {found} where entry {expected} belongs")]
    EntryIndex {
        /// The index that the next entry must have.
        expected: LogIndex,
        /// The index that the entry has.
        found: LogIndex,
    },
    /// The terms of the entries fall, or rise above the term of their leader.
    #[error("entry {index} is of term {found}, and must be of one from {lowest} to {highest}")]
    EntryTerm {
        /// The index of the entry.
        index: LogIndex,
        /// The term of the entry.
        found: Term,
        /// The term of the entry before it.
        lowest: Term,
        /// The leader's term.
        highest: Term,
    },
    /// A chunk does not lie within its snapshot.
    #[error("a piece at byte {offset} does not lie within a snapshot of {snapshot_bytes} bytes")]
    Chunk {
        /// The offset in bytes at which the chunk begins.
        offset: u64,
        /// The size of the snapshot in bytes.
        snapshot_bytes: u64,
    },
    /// The connection failed.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
}
