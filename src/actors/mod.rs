//! The actors of a node: thin shells that unpack a message, call the pure part and
//! execute the effects that it returns.
//!
//! | folder or file | actors |
//! |---|---|
//! | `raft` | RaftActor: the Raft core and the commands that wait for it |
//! | `log` | LogActor: the log and the hard state on disk |
//! | `kv` | KvActor: the store |
//! | `snapshot` | SnapshotWriterActor and SnapshotReaderActor: snapshot files |
//! | `peers` | the connections to the other nodes, and the replication over them |
//! | `clients` | the client connections |
//! | `watch` | WatchHubActor: the watches of the client connections of one thread |
//! | `door` | DoorActor: the way from the HTTP port into the node |
//! | `ticker` | TickerActor: time, as a message |
//! | `prober` | ProberActor: how long messages wait in mailboxes |
//! | `io` | parts that actors share: a connection, fair turns, the memory budget |
//! | `messages` | every message between two actors |
//!
//! **Rule of the messages.** A question and its answer are defined together, in the
//! file of the service that answers; both sides import it. Message files import only
//! the messages of services below them, pure types and `io::memory`. An actor imports
//! another actor only to start it.

pub mod clients;
pub mod door;
pub mod io;
pub mod kv;
pub mod log;
pub mod messages;
pub mod peers;
pub mod prober;
pub mod raft;
pub mod snapshot;
pub mod ticker;
pub mod watch;
