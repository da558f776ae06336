//! The numbers that identify kinds of frames, and outcomes in them.
//!
//! A number is never given to another kind. The elements of each kind are laid down in
//! docs/internals/wire_format.md, under the heading that each constant names.

/// The handshake of a connection: docs/internals/wire_format.md#hello.
pub(super) const HELLO: u8 = 1;
/// The refusal of a hello: docs/internals/wire_format.md#refused.
pub(super) const REFUSED: u8 = 2;
/// Entries, or a heartbeat: docs/internals/wire_format.md#appendentries.
pub(super) const APPEND_ENTRIES: u8 = 16;
/// The answer to entries: docs/internals/wire_format.md#appendentriesresponse.
pub(super) const APPEND_ENTRIES_RESPONSE: u8 = 17;
/// A request for a vote: docs/internals/wire_format.md#requestvote.
pub(super) const REQUEST_VOTE: u8 = 18;
/// The answer to a request for a vote: docs/internals/wire_format.md#requestvoteresponse.
pub(super) const REQUEST_VOTE_RESPONSE: u8 = 19;
/// A request for a pre-vote: docs/internals/wire_format.md#prevote.
pub(super) const PRE_VOTE: u8 = 20;
/// The answer to a request for a pre-vote: docs/internals/wire_format.md#prevoteresponse.
pub(super) const PRE_VOTE_RESPONSE: u8 = 21;
/// The question of a rejoining node: docs/internals/wire_format.md#rejoinrequest.
pub(super) const REJOIN_REQUEST: u8 = 22;
/// The answer to a rejoining node: docs/internals/wire_format.md#rejoinresponse.
pub(super) const REJOIN_RESPONSE: u8 = 23;
/// A chunk of a snapshot: docs/internals/wire_format.md#installsnapshot.
pub(super) const INSTALL_SNAPSHOT: u8 = 24;
/// The answer to a chunk: docs/internals/wire_format.md#installsnapshotresponse.
pub(super) const INSTALL_SNAPSHOT_RESPONSE: u8 = 25;
/// The word to a peer that has lost entries: docs/internals/wire_format.md#forgotten.
pub(super) const FORGOTTEN: u8 = 26;
/// The digest of the leader's store: docs/internals/wire_format.md#statecheck.
pub(super) const STATE_CHECK: u8 = 27;
/// The answer to it: docs/internals/wire_format.md#statecheckresponse.
pub(super) const STATE_CHECK_RESPONSE: u8 = 28;
/// The word to a peer whose store differs: docs/internals/wire_format.md#statediverged.
pub(super) const STATE_DIVERGED: u8 = 29;
/// The word to a peer about its earlier acknowledgements:
/// docs/internals/wire_format.md#remembered.
pub(super) const REMEMBERED: u8 = 30;

/// The order to start an election: docs/internals/wire_format.md#timeoutnow.
pub(super) const TIMEOUT_NOW: u8 = 31;
/// A request for a vote at the leader's wish: docs/internals/wire_format.md#transfervote.
pub(super) const TRANSFER_VOTE: u8 = 32;
/// The refusal to start an election: docs/internals/wire_format.md#transferrefused.
pub(super) const TRANSFER_REFUSED: u8 = 33;
/// The word to a learner that has nothing to have forgotten:
/// docs/internals/wire_format.md#admitted.
pub(super) const ADMITTED: u8 = 34;

/// The refusal of the hello of a server that was removed:
/// docs/internals/wire_format.md#removed.
pub(super) const REMOVED: u8 = 35;
/// The question of a server that joins: docs/internals/wire_format.md#join.
pub(super) const JOIN: u8 = 36;
/// The answer to it: docs/internals/wire_format.md#joined.
pub(super) const JOINED: u8 = 37;

/// The question of a reader that does not lead: docs/internals/wire_format.md#readindex.
pub(super) const READ_INDEX: u8 = 38;
/// The answer to it: docs/internals/wire_format.md#readindexresponse.
pub(super) const READ_INDEX_RESPONSE: u8 = 39;
/// A command on its way to the leader: docs/internals/wire_format.md#forward.
pub(super) const FORWARD: u8 = 40;
/// The word about such a command: docs/internals/wire_format.md#forwarded.
pub(super) const FORWARDED: u8 = 41;

/// The question of an idle connection: docs/internals/wire_format.md#probe.
pub(super) const PROBE: u8 = 42;
/// The answer to it: docs/internals/wire_format.md#probeanswer.
pub(super) const PROBE_ANSWER: u8 = 43;

/// The second element of a hello, and of a question to join. It identifies the protocol.
pub(super) const HELLO_MAGIC: &str = "coracle";

/// The keys of the map in a hello: docs/internals/wire_format.md#hello.
pub(super) const FORMATS_KEY: &str = "formats";
pub(super) const BINARY_KEY: &str = "binary";
pub(super) const INCARNATION_KEY: &str = "incarnation";
pub(super) const BOOT_KEY: &str = "boot";
pub(super) const CLUSTER_ID_KEY: &str = "cluster_id";
pub(super) const HELD_KEY: &str = "held";
pub(super) const ADDRESSES_KEY: &str = "addresses";
pub(super) const DRAINING_KEY: &str = "draining";
pub(super) const HTTP_KEY: &str = "http";

/// The keys of the maps of joining, besides those: docs/internals/wire_format.md#join.
pub(super) const ID_KEY: &str = "id";
pub(super) const CLUSTER_KEY: &str = "cluster";
pub(super) const FORMAT_KEY: &str = "format";
pub(super) const MEMBERSHIP_KEY: &str = "membership";
pub(super) const PROMISE_KEY: &str = "promise_ms";
pub(super) const RESTORE_ID_KEY: &str = "restore_id";
/// The key in the map of a removal: docs/internals/wire_format.md#removed.
pub(super) const AT_KEY: &str = "at";

/// The outcome of an append that succeeded.
pub(super) const OUTCOME_SUCCESS: u8 = 0;
/// The outcome of an append whose entries do not follow the log.
pub(super) const OUTCOME_CONFLICT: u8 = 1;

/// The refusal of a snapshot for which the disk has no room.
pub(super) const REFUSAL_NO_ROOM: u8 = 0;
/// The refusal of a snapshot that is not the one that was offered, or cannot be decoded.
pub(super) const REFUSAL_UNUSABLE: u8 = 1;

/// A forwarded command that the leader has appended.
pub(super) const FORWARDED_APPENDED: u8 = 0;
/// One that came to a node that does not lead.
pub(super) const FORWARDED_NOT_LEADER: u8 = 1;
/// One for which the leader has no room.
pub(super) const FORWARDED_BUSY: u8 = 2;
/// One that the format in force does not have.
pub(super) const FORWARDED_NOT_YET: u8 = 3;

#[cfg(test)]
mod tests;
