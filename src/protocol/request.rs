//! The commands of clients, and how they are printed. `line` and `parser` read them.

use std::fmt;

use bytes::Bytes;

use super::reply_parser::Expect;
use super::text::{Sink, put_block, put_line, put_text};
use crate::commands::{KeyRange, Once, Operation, Query};
use crate::types::{LogIndex, LogPosition, Member, MemberOperation, MemberRequest, TransferTarget};

/// Bounds on what a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest command line, in bytes, without its line end.
    pub line_bytes_max: usize,
    /// The longest key, in bytes.
    pub key_bytes_max: usize,
    /// The longest value, in bytes.
    pub value_bytes_max: usize,
}

/// Maximum number of keys in the reply to `lease`. A lease may have a million, and a reply must not
/// be that long.
pub const LEASE_KEYS_MAX: usize = 10_000;

/// A well-formed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `set`, `add`, `cas`, `delete`, `grant`, `revoke`, `compact`, and `end` after `once`.
    Write {
        /// The write.
        operation: Operation,
        /// The exactly-once prefix.
        once: Option<Once>,
        /// True when the client wants no reply at all.
        noreply: bool,
    },
    /// `get`, `getm`, `scan`, `lease`.
    Read(Query),
    /// `renew`.
    Renew {
        /// The lease.
        id: u64,
    },
    /// `begin`.
    Begin,
    /// `check`, in a transaction.
    Check {
        /// The key.
        key: Bytes,
        /// The version that it must have; 0 when it must be absent.
        version: u64,
    },
    /// `commit`.
    Commit {
        /// The exactly-once prefix.
        once: Option<Once>,
    },
    /// `discard`.
    Discard,
    /// `watch key` and `watch prefix`.
    Watch(WatchRequest),
    /// `mode`.
    SetMode(Mode),
    /// `snapshot begin`, for backups.
    BeginSnapshot,
    /// `snapshot find` and `snapshot read`, for backups.
    Snapshot(SnapshotQuery),
    /// `upgrade hold` and `upgrade release`.
    SetHold {
        /// True for `hold`.
        is_held: bool,
    },
    /// `upgrade raise`.
    Raise,
    /// `digest`.
    Digest {
        /// The log entry after which the store is asked for its digest.
        index: LogIndex,
    },
    /// `member add`, `remove`, `replace`, `promote`, `demote`, `update` and `cancel`.
    Member(MemberRequest),
    /// `member list`.
    Members,
    /// `member wait`.
    WaitForChange {
        /// The number of the change.
        number: LogIndex,
    },
    /// `leader transfer`.
    Transfer(TransferTarget),
    /// `drain` (true) and `undrain`.
    SetDraining(bool),
    /// `ping`.
    Ping,
    /// `status`.
    Status,
    /// `help`.
    Help,
    /// `quit`.
    Quit,
}

/// The way in which a server that does not lead treats the commands of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// It redirects, as a connection begins.
    #[default]
    Leader,
    /// It serves linearizable reads, and forwards writes.
    Any,
    /// It answers reads at once from what it has applied, and forwards writes.
    Stale,
}

/// A watch, which turns the connection into a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchRequest {
    /// The keys: one, or those with a prefix.
    pub keys: KeyRange,
    /// The first revision whose changes are wanted, from 1; `None` means from the next change on.
    pub from: Option<u64>,
    /// True when the records that are replaced are wanted as well.
    pub wants_previous: bool,
}

/// A question about the snapshots of one server, by a client that fetches a backup in
/// pieces of a snapshot file (docs/adr/0011). Answered by [`super::SnapshotAnswer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotQuery {
    /// The newest snapshot, if it reaches this entry.
    Find {
        /// The entry.
        index: LogIndex,
    },
    /// Bytes of this snapshot.
    Read {
        /// The last entry that is in the snapshot.
        last: LogPosition,
        /// The digest of the file.
        digest: u128,
        /// The place in the file where the bytes begin.
        offset: u64,
        /// The number of bytes, unless the file ends: 1 to 1 MiB.
        bytes_max: usize,
    },
}

impl Request {
    /// The reply that the command gets, if not an error; `None` when it gets no reply at
    /// all.
    ///
    /// # Panics
    /// As [`Request::print`].
    pub fn expect(&self) -> Option<Expect> {
        Some(match self {
            Request::Write { noreply: true, .. } | Request::Quit => return None,
            Request::Write { operation: Operation::Delete { .. }, .. } => Expect::Deleted,
            Request::Write { operation: Operation::End, .. } => Expect::Ended,
            Request::Write { operation: Operation::Grant { .. }, .. } => Expect::Lease,
            Request::Write { operation: Operation::Revoke { .. }, .. } => Expect::Revoked,
            Request::Write { operation: Operation::Compact { .. }, .. } => Expect::Compacted,
            Request::Write { .. } => Expect::Stored,
            Request::Read(Query::Get { .. }) => Expect::Value,
            Request::Read(Query::GetMeta { .. }) => Expect::Meta,
            Request::Read(Query::Scan { limit, .. }) => Expect::Scan { limit: *limit },
            Request::Read(Query::Lease { .. }) => Expect::LeaseKeys,
            Request::Read(_) => no_such_command(),
            Request::Renew { .. } => Expect::Lease,
            Request::Begin | Request::Discard | Request::SetMode(_) => Expect::Done,
            Request::Check { .. } => Expect::Queued,
            Request::Commit { .. } => Expect::Committed,
            Request::Watch(_) => Expect::Watching,
            Request::BeginSnapshot => Expect::SnapshotBegun,
            Request::Snapshot(SnapshotQuery::Find { .. }) => Expect::Snapshot,
            Request::Snapshot(SnapshotQuery::Read { .. }) => Expect::Value,
            Request::SetHold { .. } => Expect::Done,
            Request::Raise => Expect::Raised,
            Request::Digest { .. } => Expect::Digest,
            Request::Member(_) => Expect::Change,
            Request::Members => Expect::Members,
            Request::WaitForChange { .. } => Expect::ChangeWaited,
            Request::Transfer(_) => Expect::Leader,
            Request::SetDraining(_) => Expect::Done,
            Request::Ping => Expect::Pong,
            Request::Status => Expect::Status,
            Request::Help => Expect::Help,
        })
    }

    /// Prints the command: its line, and its data block if it has one.
    ///
    /// Keys and client names must be names ([`super::is_name`]); only the prefix of a scan
    /// may be empty, and it must not be `*`, which would mean every key. Anything else
    /// could break out of its field. A watch is of one key, or of a prefix as that of a scan.
    ///
    /// # Panics
    /// When the protocol has no such command: for the operations and queries of the store that
    /// its clients reach through transactions, or not at all.
    pub fn print(self, sink: &mut impl Sink) {
        match self {
            Request::Write { operation, once, noreply } => {
                print_once(once, sink);
                print_operation(operation, noreply, sink);
            }
            Request::Read(query) => print_query(&query, sink),
            Request::Renew { id } => put_line(sink, format_args!("renew {id}")),
            Request::Begin => sink.put_slice(b"begin\r\n"),
            Request::Check { key, version } => {
                put_word_and_key(b"check ", &key, sink);
                put_line(sink, format_args!(" {version}"));
            }
            Request::Commit { once } => {
                print_once(once, sink);
                sink.put_slice(b"commit\r\n");
            }
            Request::Watch(watch) => print_watch(&watch, sink),
            Request::SetMode(Mode::Leader) => sink.put_slice(b"mode leader\r\n"),
            Request::SetMode(Mode::Any) => sink.put_slice(b"mode any\r\n"),
            Request::SetMode(Mode::Stale) => sink.put_slice(b"mode stale\r\n"),
            Request::Discard => sink.put_slice(b"discard\r\n"),
            Request::BeginSnapshot => sink.put_slice(b"snapshot begin\r\n"),
            Request::Snapshot(query) => print_snapshot_query(query, sink),
            Request::SetHold { is_held: true } => sink.put_slice(b"upgrade hold\r\n"),
            Request::SetHold { is_held: false } => sink.put_slice(b"upgrade release\r\n"),
            Request::Raise => sink.put_slice(b"upgrade raise\r\n"),
            Request::Digest { index } => put_line(sink, format_args!("digest {index}")),
            Request::Member(request) => print_member(&request, sink),
            Request::Members => sink.put_slice(b"member list\r\n"),
            Request::WaitForChange { number } => {
                put_line(sink, format_args!("member wait {number}"));
            }
            Request::Transfer(target) => print_transfer(&target, sink),
            Request::SetDraining(true) => sink.put_slice(b"drain\r\n"),
            Request::SetDraining(false) => sink.put_slice(b"undrain\r\n"),
            Request::Ping => sink.put_slice(b"ping\r\n"),
            Request::Status => sink.put_slice(b"status\r\n"),
            Request::Help => sink.put_slice(b"help\r\n"),
            Request::Quit => sink.put_slice(b"quit\r\n"),
        }
    }
}

fn no_such_command() -> ! {
    unreachable!("the text protocol has no command for this")
}

fn print_once(once: Option<Once>, sink: &mut impl Sink) {
    if let Some(Once { client, seq }) = once {
        sink.put_slice(b"once ");
        sink.put_slice(&client);
        put_text(sink, format_args!(" {seq} "));
    }
}

fn print_operation(operation: Operation, noreply: bool, sink: &mut impl Sink) {
    let noreply = if noreply { " noreply" } else { "" };
    match operation {
        Operation::Set { key, exptime, value, lease } => {
            put_word_and_key(b"set ", &key, sink);
            put_text(sink, format_args!(" {exptime} {}", value.len()));
            print_value_end(value, lease, noreply, sink);
        }
        Operation::Add { key, exptime, value, lease } => {
            put_word_and_key(b"add ", &key, sink);
            put_text(sink, format_args!(" {exptime} {}", value.len()));
            print_value_end(value, lease, noreply, sink);
        }
        Operation::Cas { key, exptime, version, value, lease } => {
            put_word_and_key(b"cas ", &key, sink);
            put_text(sink, format_args!(" {exptime} {version} {}", value.len()));
            print_value_end(value, lease, noreply, sink);
        }
        Operation::Delete { key } => {
            put_word_and_key(b"delete ", &key, sink);
            put_line(sink, format_args!("{noreply}"));
        }
        Operation::End => put_line(sink, format_args!("end{noreply}")),
        Operation::Grant { id: 0, ttl, .. } => put_line(sink, format_args!("grant {ttl}")),
        Operation::Grant { id, ttl, .. } => put_line(sink, format_args!("grant {ttl} {id}")),
        Operation::Revoke { id } => put_line(sink, format_args!("revoke {id}")),
        Operation::Compact { revision } => put_line(sink, format_args!("compact {revision}")),
        Operation::Transaction(_) | Operation::Renew { .. } | Operation::SetHistory(_) => {
            no_such_command()
        }
    }
}

/// Prints what stands behind the length of a value, and the value.
fn print_value_end(value: Bytes, lease: u64, noreply: &str, sink: &mut impl Sink) {
    if lease != 0 {
        put_text(sink, format_args!(" lease {lease}"));
    }
    put_line(sink, format_args!("{noreply}"));
    put_block(sink, value);
}

fn print_query(query: &Query, sink: &mut impl Sink) {
    let at = match query {
        Query::Get { key, at } => {
            put_word_and_key(b"get ", key, sink);
            *at
        }
        Query::GetMeta { key, at } => {
            put_word_and_key(b"getm ", key, sink);
            *at
        }
        Query::Scan { prefix, limit, after, at } => {
            put_word_and_prefix(b"scan ", prefix, sink);
            put_text(sink, format_args!(" {limit}"));
            if let Some(after) = after {
                put_word_and_key(b" after ", after, sink);
            }
            *at
        }
        Query::Lease { id, .. } => {
            put_text(sink, format_args!("lease {id}"));
            0
        }
        Query::Range(_)
        | Query::Transaction(_)
        | Query::Leases
        | Query::Page(_)
        | Query::Versions(_) => no_such_command(),
    };
    if at != 0 {
        put_text(sink, format_args!(" at {at}"));
    }
    put_line(sink, format_args!(""));
}

fn print_watch(watch: &WatchRequest, sink: &mut impl Sink) {
    let WatchRequest { keys, from, wants_previous } = watch;
    match keys.as_key() {
        Some(key) => put_word_and_key(b"watch key ", key, sink),
        None => put_word_and_prefix(b"watch prefix ", keys.start(), sink),
    }
    if let Some(from) = from {
        put_text(sink, format_args!(" from {from}"));
    }
    put_line(sink, format_args!("{}", if *wants_previous { " prev" } else { "" }));
}

fn print_snapshot_query(query: SnapshotQuery, sink: &mut impl Sink) {
    match query {
        SnapshotQuery::Find { index } => put_line(sink, format_args!("snapshot find {index}")),
        SnapshotQuery::Read { last: LogPosition { index, term }, digest, offset, bytes_max } => {
            let file = format_args!("{index} {term} {digest:032x}");
            put_line(sink, format_args!("snapshot read {file} {offset} {bytes_max}"));
        }
    }
}

/// Prints a change of the members.
fn print_member(request: &MemberRequest, sink: &mut impl Sink) {
    sink.put_slice(b"member ");
    let mut put = |text: fmt::Arguments<'_>| put_text(sink, text);
    let mut new_id = None;
    match &request.operation {
        MemberOperation::Add { id, member: Member { peer, client }, is_learner } => {
            put(format_args!("add {peer} {client}{}", if *is_learner { " learner" } else { "" }));
            new_id = *id;
        }
        MemberOperation::Remove { id } => put(format_args!("remove {id}")),
        MemberOperation::Replace { old, id, member: Member { peer, client } } => {
            put(format_args!("replace {old} {peer} {client}"));
            new_id = *id;
        }
        MemberOperation::Promote { id } => put(format_args!("promote {id}")),
        MemberOperation::Demote { id } => put(format_args!("demote {id}")),
        MemberOperation::Update { id, peer, client } => {
            put(format_args!("update {id}"));
            peer.iter().for_each(|address| put(format_args!(" log {address}")));
            client.iter().for_each(|address| put(format_args!(" client {address}")));
        }
        MemberOperation::Cancel { number } => put(format_args!("cancel {number}")),
    }
    new_id.iter().for_each(|id| put(format_args!(" id {id}")));
    request.can_lose.iter().for_each(|number| put(format_args!(" can-lose {number}")));
    put_line(sink, format_args!("{}", if request.is_dry_run { " dry-run" } else { "" }));
}

/// Prints a transfer of the leadership.
fn print_transfer(target: &TransferTarget, sink: &mut impl Sink) {
    match target {
        TransferTarget::To(id) => put_line(sink, format_args!("leader transfer to {id}")),
        TransferTarget::Avoid(ids) => {
            sink.put_slice(b"leader transfer");
            ids.iter().for_each(|id| put_text(sink, format_args!(" avoid {id}")));
            put_line(sink, format_args!(""));
        }
    }
}

fn put_word_and_key(word: &[u8], key: &[u8], sink: &mut impl Sink) {
    sink.put_slice(word);
    sink.put_slice(key);
}

/// Prints a word and a prefix; an empty one, that of every key, is `*`.
fn put_word_and_prefix(word: &[u8], prefix: &[u8], sink: &mut impl Sink) {
    put_word_and_key(word, if prefix.is_empty() { b"*" } else { prefix }, sink);
}
