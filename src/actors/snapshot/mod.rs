//! The snapshot files of a node: the actor that stores them and the actor that reads them
//! (docs/adr/0008).
//!
//! | file | contents |
//! |---|---|
//! | `writer` | SnapshotWriterActor: saves and receives snapshots, and removes files |
//! | `reader` | SnapshotReaderActor: chunks of snapshots for peers and for backups |
//! | `load` | a snapshot file as a store |
//!
//! The two run on threads of their own, so that a peer or a backup is served while a large
//! snapshot is written. They share no state. Four rules keep them in agreement about the
//! files:
//!
//! - Only the writer changes the directory. So all changes have one order, and RaftActor
//!   hears of them in that order: no change that RaftActor has not heard of removes a
//!   snapshot that it relies on.
//! - The reader knows of a new file before RaftActor does. The writer sends [`WriterReport`]
//!   first, then `SnapshotWritten` or `SnapshotReceived`. A mailbox delivers its messages in
//!   the order in which they were put in, and the report is in the reader's mailbox before
//!   the other message is sent. So every `ReadSnapshotRequest` or `QuerySnapshots` that
//!   follows from the other message comes after the report.
//! - A file may be pruned before the reader has heard of it. A file that is open stays
//!   readable. One that can no longer be opened counts as unreadable, like a damaged one: the
//!   reader forgets it and tells the writer ([`SnapshotUnreadable`]), which knows whether it
//!   was pruned.
//! - A file can be replaced by one of the same name, which holds the same entries. Every file
//!   that is stored has a number ([`StoredSnapshot`]), so that a report about the old file is
//!   not taken for one about the new file.
//!
//! [`WriterReport`]: crate::actors::messages::snapshots::WriterReport
//! [`SnapshotUnreadable`]: crate::actors::messages::snapshots::SnapshotUnreadable
//! [`StoredSnapshot`]: crate::actors::messages::snapshots::StoredSnapshot

pub mod load;
pub mod reader;
pub mod writer;

#[cfg(test)]
mod tests;
