//! Any commands about transactions, leases, watches and history, any replies to them, and any
//! stream of a watch.

use proptest::prelude::*;

use super::{error, item, name, once, value};
use crate::kv::{KeyRange, LEASE_ID_MAX, LEASE_TTL, Operation, Query};
use crate::protocol::*;

/// A prefix: `*` alone is the text of an empty one.
pub fn prefix() -> impl Strategy<Value = bytes::Bytes> {
    let not_every = name().prop_filter("*", |name| *name != "*");
    prop_oneof![Just(bytes::Bytes::new()), not_every]
}

fn watch() -> impl Strategy<Value = WatchRequest> {
    let keys = prop_oneof![name().prop_map(KeyRange::key), prefix().prop_map(KeyRange::prefix)];
    (keys, prop::option::of(1..=u64::MAX), any::<bool>())
        .prop_map(|(keys, from, wants_previous)| WatchRequest { keys, from, wants_previous })
}

pub fn request() -> impl Strategy<Value = Request> {
    let write = |operation| Request::Write { operation, once: None, noreply: false };
    let keys_max = LEASE_KEYS_MAX as u64 + 1;
    let modes = vec![Mode::Leader, Mode::Any, Mode::Stale];
    prop_oneof![
        Just(Request::Begin),
        Just(Request::Discard),
        (name(), any::<u64>()).prop_map(|(key, version)| Request::Check { key, version }),
        once().prop_map(|once| Request::Commit { once }),
        (1..=LEASE_ID_MAX, LEASE_TTL).prop_map(move |(id, ttl)| write(Operation::Grant {
            id,
            ttl,
            leases_max: 0
        })),
        Just(write(Operation::Grant { id: 0, ttl: 1, leases_max: 0 })),
        (1..=LEASE_ID_MAX).prop_map(|id| Request::Renew { id }),
        (1..=LEASE_ID_MAX).prop_map(move |id| write(Operation::Revoke { id })),
        any::<u64>().prop_map(move |revision| write(Operation::Compact { revision })),
        (1..=LEASE_ID_MAX).prop_map(move |id| Request::Read(Query::Lease { id, keys_max })),
        watch().prop_map(Request::Watch),
        prop::sample::select(modes).prop_map(Request::SetMode),
    ]
}

pub fn error_of_store() -> impl Strategy<Value = ErrorReply> {
    prop_oneof![
        any::<u64>().prop_map(|revision| ErrorReply::Compacted { revision }),
        any::<u64>().prop_map(|revision| ErrorReply::Future { revision }),
        Just(ErrorReply::NoLease),
        Just(ErrorReply::LeaseExists),
    ]
}

/// The reply to a command in a transaction.
fn part() -> impl Strategy<Value = Reply> {
    prop_oneof![
        any::<u64>().prop_map(|version| Reply::Stored { version }),
        Just(Reply::Deleted),
        Just(Reply::Error(ErrorReply::NotFound)),
        value().prop_map(Reply::Value),
        item().prop_map(Reply::Meta),
        error().prop_map(Reply::Error),
    ]
}

/// A reply with what its client expects.
pub fn reply() -> impl Strategy<Value = (Expect, Reply)> {
    let committed = (any::<u64>(), prop::collection::vec(part(), 0..6));
    let lease = (any::<[u64; 2]>(), prop::collection::vec(name(), 0..5), any::<bool>());
    let expect = vec![Expect::Queued, Expect::Committed, Expect::Lease, Expect::LeaseKeys];
    prop_oneof![
        Just((Expect::Queued, Reply::Queued)),
        committed.prop_map(|(revision, replies)| {
            (Expect::Committed, Reply::Committed { revision, replies })
        }),
        (name(), any::<u64>())
            .prop_map(|(key, version)| (Expect::Committed, Reply::Aborted { key, version })),
        any::<[u64; 2]>().prop_map(|[id, seconds]| (Expect::Lease, Reply::Lease { id, seconds })),
        Just((Expect::Revoked, Reply::Revoked)),
        lease.prop_map(|([id, left], keys, more)| {
            (Expect::LeaseKeys, Reply::LeaseKeys { id, left, keys, more })
        }),
        any::<u64>().prop_map(|revision| (Expect::Watching, Reply::Watching { revision })),
        any::<u64>().prop_map(|revision| (Expect::Compacted, Reply::Compacted { revision })),
        (prop::sample::select(expect), error())
            .prop_map(|(expect, error)| (expect, Reply::Error(error))),
    ]
}

fn event() -> impl Strategy<Value = WatchEvent> {
    let kind = prop_oneof![
        (any::<u64>(), value()).prop_map(|(exptime, value)| WatchKind::Set { exptime, value }),
        Just(WatchKind::Deleted),
        Just(WatchKind::Expired),
    ];
    let previous =
        (any::<u64>(), value()).prop_map(|(revision, value)| WatchPrevious { revision, value });
    (name(), any::<u64>(), kind, prop::option::of(previous))
        .prop_map(|(key, revision, kind, previous)| WatchEvent { key, revision, kind, previous })
}

pub fn watch_part() -> impl Strategy<Value = WatchPart> {
    prop_oneof![
        6 => event().prop_map(WatchPart::Event),
        3 => any::<u64>().prop_map(|revision| WatchPart::End { revision }),
        1 => error().prop_map(WatchPart::Ended),
    ]
}
