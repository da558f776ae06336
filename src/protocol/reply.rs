//! The reply to a command, and how a server prints it. `reply_parser` reads it.

use bytes::Bytes;

use super::error_reply::ErrorReply;
use super::members::{MembersReport, Plan, ended_word};
use super::status::{Status, StatusReport};
use super::text::{Sink, put_block, put_line};
use crate::commands::Item;

/// The answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `set`, `add`, `cas`: the new version.
    Stored {
        /// The version.
        version: u64,
    },
    /// `delete`.
    Deleted,
    /// `end`.
    Ended,
    /// `get`.
    Value(Bytes),
    /// `getm`.
    Meta(Item),
    /// `scan`.
    Scan {
        /// Keys and items in byte order.
        items: Vec<(Bytes, Item)>,
        /// True when there are further keys.
        more: bool,
    },
    /// A command in a transaction is checked, and waits for `commit`.
    Queued,
    /// `commit`: the transaction was executed.
    Committed {
        /// The store's revision after it.
        revision: u64,
        /// The replies of its commands other than `check`, in their order.
        replies: Vec<Reply>,
    },
    /// `commit`: a `check` did not hold, and nothing was executed.
    Aborted {
        /// The key of the first such `check`.
        key: Bytes,
        /// The version of that key; 0 when it is absent.
        version: u64,
    },
    /// `grant`, `renew`.
    Lease {
        /// The lease.
        id: u64,
        /// Its time to live in seconds.
        seconds: u64,
    },
    /// `revoke`.
    Revoked,
    /// `lease`.
    LeaseKeys {
        /// The lease.
        id: u64,
        /// The seconds that it has left.
        left: u64,
        /// Its keys in byte order, [`super::LEASE_KEYS_MAX`] at most.
        keys: Vec<Bytes>,
        /// True when it has further keys.
        more: bool,
    },
    /// `watch`: the changes from this revision on follow.
    Watching {
        /// The revision.
        revision: u64,
    },
    /// `compact`: the oldest revision that can be read.
    Compacted {
        /// The revision.
        revision: u64,
    },
    /// `snapshot begin`.
    SnapshotBegun {
        /// The log index that the snapshot will reach.
        index: u64,
    },
    /// `snapshot find`. (`snapshot read` is answered by a [`Reply::Value`].)
    Snapshot {
        /// The last entry that is in the snapshot.
        index: u64,
        /// The term of that entry.
        term: u64,
        /// The size of the file in bytes.
        bytes: u64,
        /// The digest of the file.
        digest: u128,
    },
    /// `upgrade hold`, `upgrade release`: it is durable on this server.
    Done,
    /// `upgrade raise`.
    Raised {
        /// The format in force.
        format: u64,
    },
    /// `digest`.
    Digest {
        /// The log entry.
        index: u64,
        /// The digest of the store after it.
        digest: u64,
    },
    /// A change of the members has begun, or was taken back: its entry is committed and applied.
    Change {
        /// The number of the change.
        number: u64,
        /// The member that it is about; the new one, when a server takes the place of another.
        id: u64,
    },
    /// A change of the members, or a transfer: it is so already.
    Already,
    /// A change of the members with `dry-run`.
    Plan(Plan),
    /// `member list`.
    Members(Box<MembersReport>),
    /// `member wait`: the change has ended.
    ChangeEnded {
        /// The number of the change.
        number: u64,
        /// True when it was done, false when a person took it back.
        is_done: bool,
    },
    /// `member wait`: the change is under way after all the time that a command may take.
    ChangeRunning {
        /// The number of the change.
        number: u64,
        /// A sentence that says what it does, and what it waits for.
        sentence: String,
    },
    /// `leader transfer`: another server leads.
    Leader {
        /// The server.
        id: u64,
        /// The term in which it leads.
        term: u64,
    },
    /// `ping`.
    Pong,
    /// `status`.
    Status(Status),
    /// `help`.
    Help,
    /// An error, in answer to any command.
    Error(ErrorReply),
}

/// The weight of a reply in budgets, in bytes, in addition to its keys and values.
const REPLY_OVERHEAD_BYTES: usize = 64;

/// The weight of a key in a list of keys, in bytes, in addition to its own bytes.
const KEY_BYTES: usize = 32;

/// The answer to `help`.
const HELP: &str = "\
set <key> <exptime> <numbytes> [noreply], then the data: write\r
add <key> <exptime> <numbytes> [noreply], then the data: write if the key is absent\r
cas <key> <exptime> <version> <numbytes> [noreply], then the data: write if at that version\r
  lease <id> behind <numbytes>: the key goes with that lease\r
delete <key> [noreply]: remove\r
get <key> [at <revision>]: the value\r
getm <key> [at <revision>]: the value with its version and the seconds it has left\r
scan <prefix> <limit> [after <key>] [at <revision>]: keys and values in order; * is every key\r
begin: a transaction of the commands up to commit: check, set, delete, get, getm\r
check <key> <version>: commit only if the key has that version; 0: if it is absent\r
commit: execute all of them, or none; discard: forget them\r
grant <seconds> [<id>]: a lease, whose keys go with it when it ends\r
renew <id>: its time begins anew; revoke <id>: end it; lease <id>: its time left and its keys\r
watch key <key> [from <revision>] [prev]: a stream of the changes; quit ends it\r
watch prefix <prefix> [from <revision>] [prev]: the same of many keys; * is every key\r
compact <revision>: forget what was before that revision\r
mode leader: redirect when another server leads; mode any: forward to it;\r
  mode stale: forward writes to it, and read what is here\r
once <client> <seq> <write>: execute a write or a commit exactly once, however often it is sent;\r
  end [noreply] in the place of the write: forget the client, which has ended\r
snapshot begin: have a snapshot taken, for a backup; then snapshot find <index>\r
snapshot find <index>: the newest snapshot here that reaches that entry\r
snapshot read <index> <term> <digest> <offset> <numbytes>: a piece of its file\r
upgrade hold: keep the format of the cluster where it is; upgrade release: no longer\r
upgrade raise: put the next format in force now\r
member list: the members, as this server knows them\r
member add <log-address> <client-address> [id <n>] [learner] [can-lose <n>] [dry-run]\r
member remove <id> [can-lose <n>] [dry-run]\r
member replace <id> <log-address> <client-address> [id <n>] [can-lose <n>] [dry-run]\r
member promote <id> [dry-run]: a learner becomes a voter\r
member demote <id> [can-lose <n>] [dry-run]: a voter becomes a learner\r
member update <id> [log <address>] [client <address>]: it is reached there from now on\r
member wait <number>: until that change has ended; member cancel <number>: take it back\r
leader transfer [to <id> | avoid <id>]: hand the leadership over\r
drain: hand over, and be nobody's choice for a leader; undrain: no longer\r
digest <index>: the digest of the store here after that log entry\r
ping: is the server there?\r
status: the server's state\r
help: this text\r
quit: close the connection\r
END\r
";

impl Reply {
    /// The memory that the reply keeps until it is sent, in bytes: a round figure for
    /// budgets.
    pub fn weight_bytes(&self) -> usize {
        let content = match self {
            Reply::Value(value) => value.len(),
            Reply::Meta(item) => item.value.len(),
            Reply::Scan { items, .. } => items
                .iter()
                .map(|(key, item)| key.len() + item.value.len() + REPLY_OVERHEAD_BYTES)
                .sum(),
            Reply::Committed { replies, .. } => replies.iter().map(Reply::weight_bytes).sum(),
            Reply::LeaseKeys { keys, .. } => keys.iter().map(|key| key.len() + KEY_BYTES).sum(),
            Reply::Members(members) => members.weight_bytes(),
            Reply::ChangeRunning { sentence, .. } => sentence.len(),
            Reply::Status(_) => size_of::<StatusReport>(),
            _ => 0,
        };
        content + REPLY_OVERHEAD_BYTES
    }

    /// Prints the reply, all its lines with their line ends.
    pub fn print(self, sink: &mut impl Sink) {
        match self {
            Reply::Stored { version } => put_line(sink, format_args!("OK {version}")),
            Reply::Deleted => sink.put_slice(b"DELETED\r\n"),
            Reply::Ended => sink.put_slice(b"ENDED\r\n"),
            Reply::Value(value) => {
                put_line(sink, format_args!("VALUE {}", value.len()));
                put_block(sink, value);
            }
            Reply::Meta(Item { value, version, exptime }) => {
                put_line(sink, format_args!("VALUE {version} {exptime} {}", value.len()));
                put_block(sink, value);
            }
            Reply::Scan { items, more } => print_scan(items, more, sink),
            Reply::Queued => sink.put_slice(b"QUEUED\r\n"),
            Reply::Committed { revision, replies } => {
                put_line(sink, format_args!("COMMITTED {revision} {}", replies.len()));
                replies.into_iter().for_each(|reply| reply.print(sink));
            }
            Reply::Aborted { key, version } => {
                sink.put_slice(b"ABORTED ");
                sink.put_slice(&key);
                put_line(sink, format_args!(" {version}"));
            }
            Reply::Lease { id, seconds } => put_line(sink, format_args!("LEASE {id} {seconds}")),
            Reply::Revoked => sink.put_slice(b"REVOKED\r\n"),
            Reply::LeaseKeys { id, left, keys, more } => {
                put_line(sink, format_args!("LEASE {id} {left}"));
                print_keys(&keys, more, sink);
            }
            Reply::Watching { revision } => put_line(sink, format_args!("WATCHING {revision}")),
            Reply::Compacted { revision } => put_line(sink, format_args!("OK {revision}")),
            Reply::SnapshotBegun { index } => put_line(sink, format_args!("OK {index}")),
            Reply::Snapshot { index, term, bytes, digest } => {
                put_line(sink, format_args!("SNAPSHOT {index} {term} {bytes} {digest:032x}"));
            }
            Reply::Done => sink.put_slice(b"OK\r\n"),
            Reply::Raised { format } => put_line(sink, format_args!("OK {format}")),
            Reply::Digest { index, digest } => {
                put_line(sink, format_args!("DIGEST {index} {digest:016x}"));
            }
            Reply::Change { number, id } => put_line(sink, format_args!("CHANGE {number} {id}")),
            Reply::Already => sink.put_slice(b"ALREADY\r\n"),
            Reply::Plan(plan) => plan.print(sink),
            Reply::Members(members) => members.print(sink),
            Reply::ChangeEnded { number, is_done } => {
                put_line(sink, format_args!("ENDED {number} {}", ended_word(is_done)));
            }
            Reply::ChangeRunning { number, sentence } => {
                put_line(sink, format_args!("RUNNING {number} {sentence}"));
            }
            Reply::Leader { id, term } => put_line(sink, format_args!("LEADER {id} {term}")),
            Reply::Pong => sink.put_slice(b"PONG\r\n"),
            Reply::Status(status) => status.print(sink),
            Reply::Help => sink.put_slice(HELP.as_bytes()),
            Reply::Error(error) => put_line(sink, format_args!("{error}")),
        }
    }
}

fn print_scan(items: Vec<(Bytes, Item)>, more: bool, sink: &mut impl Sink) {
    for (key, Item { value, version, exptime }) in items {
        sink.put_slice(b"KEY ");
        sink.put_slice(&key);
        put_line(sink, format_args!(" {version} {exptime} {}", value.len()));
        put_block(sink, value);
    }
    print_end(more, sink);
}

fn print_keys(keys: &[Bytes], more: bool, sink: &mut impl Sink) {
    for key in keys {
        sink.put_slice(b"KEY ");
        sink.put_slice(key);
        put_line(sink, format_args!(""));
    }
    print_end(more, sink);
}

/// Prints the end of a list, and whether it goes on.
fn print_end(more: bool, sink: &mut impl Sink) {
    sink.put_slice(if more { b"MORE\r\n" } else { b"END\r\n" });
}

#[cfg(test)]
mod tests;
