//! Both directions together: a printed request or reply is parsed to the same value.

mod members;
mod store;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::kv::{Item, LEASE_ID_MAX, Once, Operation, Query};
use crate::types::{ClusterId, Format, FormatRange, Incarnation, LogIndex, LogPosition, Term};

fn name() -> impl Strategy<Value = Bytes> {
    let byte = prop_oneof![Just(b'*'), 0x21..0x7f_u8, 0x80..=u8::MAX];
    prop::collection::vec(byte, 1..=64).prop_map(Bytes::from)
}

fn value() -> impl Strategy<Value = Bytes> {
    let byte = prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n')];
    prop::collection::vec(byte, 0..100).prop_map(Bytes::from)
}

fn exptime() -> impl Strategy<Value = u64> {
    0..=3_153_600_000_u64
}

fn operation() -> impl Strategy<Value = Operation> {
    let lease = 0..=LEASE_ID_MAX;
    let stored = (name(), exptime(), value(), any::<u64>(), 0..3, lease);
    prop_oneof![
        3 => stored.prop_map(|(key, exptime, value, version, verb, lease)| match verb {
            0 => Operation::Set { key, exptime, value, lease },
            1 => Operation::Add { key, exptime, value, lease },
            _ => Operation::Cas { key, exptime, version, value, lease },
        }),
        1 => name().prop_map(|key| Operation::Delete { key }),
    ]
}

fn once() -> impl Strategy<Value = Option<Once>> {
    let once = (name(), 1..=u64::MAX).prop_map(|(client, seq)| Once { client, seq });
    prop::option::of(once)
}

fn query() -> impl Strategy<Value = Query> {
    let at = || prop_oneof![Just(0), any::<u64>()];
    let scan = (store::prefix(), 1..=10_000_u64, prop::option::of(name()), at());
    prop_oneof![
        (name(), at()).prop_map(|(key, at)| Query::Get { key, at }),
        (name(), at()).prop_map(|(key, at)| Query::GetMeta { key, at }),
        scan.prop_map(|(prefix, limit, after, at)| Query::Scan { prefix, limit, after, at }),
    ]
}

fn snapshot_query() -> impl Strategy<Value = SnapshotQuery> {
    let read = (any::<[u64; 3]>(), any::<u128>(), 1..=1024 * 1024_usize);
    prop_oneof![
        any::<u64>().prop_map(|index| SnapshotQuery::Find { index: LogIndex(index) }),
        read.prop_map(|([index, term, offset], digest, bytes_max)| {
            let last = LogPosition { index: LogIndex(index), term: Term(term) };
            SnapshotQuery::Read { last, digest, offset, bytes_max }
        }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    let write = (operation(), once(), any::<bool>());
    let simple = vec![Request::Ping, Request::Status, Request::Help, Request::Quit];
    prop_oneof![
        4 => write.prop_map(|(operation, once, noreply)| {
            Request::Write { operation, once, noreply }
        }),
        3 => query().prop_map(Request::Read),
        1 => (name(), 1..=u64::MAX, any::<bool>()).prop_map(|(client, seq, noreply)| {
            let once = Some(Once { client, seq });
            Request::Write { operation: Operation::End, once, noreply }
        }),
        1 => Just(Request::BeginSnapshot),
        1 => any::<bool>().prop_map(|is_held| Request::SetHold { is_held }),
        1 => Just(Request::Raise),
        1 => any::<u64>().prop_map(|index| Request::Digest { index: LogIndex(index) }),
        2 => snapshot_query().prop_map(Request::Snapshot),
        1 => prop::sample::select(simple),
        3 => members::request(),
        4 => store::request(),
    ]
}

fn item() -> impl Strategy<Value = Item> {
    (value(), any::<u64>(), any::<u64>()).prop_map(|(value, version, exptime)| Item {
        value,
        version,
        exptime,
    })
}

fn error() -> impl Strategy<Value = ErrorReply> {
    let simple = vec![
        ErrorReply::NotFound,
        ErrorReply::Stale,
        ErrorReply::NoLeader,
        ErrorReply::Busy,
        ErrorReply::Full,
        ErrorReply::Timeout,
    ];
    let host = prop_oneof!["[a-z0-9.-]{1,20}", "[a-f0-9]{0,4}::[a-f0-9:]{1,10}"];
    prop_oneof![
        3 => prop::sample::select(simple),
        2 => store::error_of_store(),
        1 => "[ -~]{0,80}".prop_map(|text| ErrorReply::CmdErr(text.into())),
        1 => "[ -~]{0,80}".prop_map(|text| ErrorReply::TooLarge(text.into())),
        1 => "[ -~]{0,80}".prop_map(|text| ErrorReply::Internal(text.into())),
        1 => "[ -~]{0,80}".prop_map(|sentence| ErrorReply::NotYet { sentence }),
        1 => "[ -~]{0,80}".prop_map(|sentence| ErrorReply::Refused { sentence }),
        1 => "ERR_NEW_[A-Z]{1,10}( [a-z ]{1,20})?".prop_map(ErrorReply::Unknown),
        1 => any::<u64>().prop_map(|version| ErrorReply::Version { version }),
        1 => any::<u64>().prop_map(|version| ErrorReply::Exists { version }),
        2 => (host, any::<u16>()).prop_map(|(host, port)| ErrorReply::Redirect { host, port }),
    ]
}

fn status() -> impl Strategy<Value = Status> {
    let transfers = prop::collection::vec(any::<(u64, u64, u64)>(), 0..4);
    let refusals = prop::collection::vec((any::<u64>(), "[a-z_]{1,9}"), 0..4);
    let numbers = any::<[u64; 14]>();
    let ids = (prop::option::of(any::<u128>()), any::<u128>());
    let format = (any::<[u32; 3]>(), any::<bool>(), prop::option::of("[ -~]{1,80}"));
    let cluster = ("[ -~]{1,64}", ids, format);
    ("[a-z_]{1,16}", prop::option::of(any::<u64>()), numbers, transfers, refusals, cluster)
        .prop_map(|(role, leader, numbers, snapshot_transfers, snapshot_refusals, cluster)| {
            let (version, (cluster_id, incarnation), format) = cluster;
            let ([format, lowest, highest], is_upgrade_held, upgrade_waits_for) = format;
            let (removed_at, is_draining) = (leader, is_upgrade_held);
            let [id, term, commit_index, last_applied, last_log_index, snapshot_index, ..] =
                numbers;
            let [.., wall_clock_ms, store_clock_ms, keys, uptime_seconds, _, _, _, _] = numbers;
            let [.., store_bytes, once_clients, store_digest, memory_bytes_used] = numbers;
            let report = StatusReport {
                id,
                role,
                term,
                leader,
                commit_index,
                last_applied,
                last_log_index,
                snapshot_index,
                keys,
                uptime_seconds,
                wall_clock_ms,
                store_clock_ms,
                store_bytes,
                once_clients,
                store_digest,
                memory_bytes_used,
                snapshot_transfers,
                snapshot_refusals,
                version,
                format: Format(format),
                reads_formats: FormatRange { lowest: Format(lowest), highest: Format(highest) },
                cluster_id: cluster_id.map(ClusterId),
                incarnation: Incarnation(incarnation),
                is_upgrade_held,
                upgrade_waits_for,
                removed_at,
                is_draining,
                revision: store_digest,
                compacted_revision: store_bytes,
                history_changes: keys,
                history_bytes: commit_index,
                leases: last_applied,
            };
            report.into_lines()
        })
}

/// A reply with what its client expects.
fn reply() -> impl Strategy<Value = (Expect, Reply)> {
    let limit = 20;
    let items = prop::collection::vec((name(), item()), 0..limit as usize);
    let snapshot = (any::<[u64; 3]>(), any::<u128>());
    let expect = vec![
        Expect::Stored,
        Expect::Scan { limit },
        Expect::Status,
        Expect::Members,
        Expect::Change,
        Expect::Help,
    ];
    prop_oneof![
        any::<u64>().prop_map(|version| (Expect::Stored, Reply::Stored { version })),
        any::<u64>().prop_map(|version| (Expect::Written, Reply::Stored { version })),
        prop::sample::select(vec![Expect::Deleted, Expect::Written])
            .prop_map(|expect| (expect, Reply::Deleted)),
        Just((Expect::Ended, Reply::Ended)),
        value().prop_map(|value| (Expect::Value, Reply::Value(value))),
        item().prop_map(|item| (Expect::Meta, Reply::Meta(item))),
        (items, any::<bool>()).prop_map(move |(items, more)| {
            // A page without a key is the last one.
            let more = more && !items.is_empty();
            (Expect::Scan { limit }, Reply::Scan { items, more })
        }),
        any::<u64>().prop_map(|index| (Expect::SnapshotBegun, Reply::SnapshotBegun { index })),
        snapshot.prop_map(|([index, term, bytes], digest)| {
            (Expect::Snapshot, Reply::Snapshot { index, term, bytes, digest })
        }),
        Just((Expect::Done, Reply::Done)),
        any::<u64>().prop_map(|format| (Expect::Raised, Reply::Raised { format })),
        any::<[u64; 2]>()
            .prop_map(|[index, digest]| (Expect::Digest, Reply::Digest { index, digest })),
        Just((Expect::Pong, Reply::Pong)),
        Just((Expect::Help, Reply::Help)),
        status().prop_map(|status| (Expect::Status, Reply::Status(status))),
        members::reply(),
        store::reply(),
        (prop::sample::select(expect), error())
            .prop_map(|(expect, error)| (expect, Reply::Error(error))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_request_is_parsed_to_the_same_request(
        requests in prop::collection::vec(request(), 1..4),
    ) {
        let limits = Limits { line_bytes_max: 1024, key_bytes_max: 250, value_bytes_max: 1024 };
        let mut text = Vec::new();
        for request in &requests {
            request.clone().print(&mut text);
        }
        let mut input = BytesMut::from(&text[..]);
        let mut parser = Parser::new(limits);
        for request in requests {
            prop_assert_eq!(parser.next(&mut input), Some(Parsed::Request(request)));
        }
        prop_assert_eq!(parser.next(&mut input), None);
        prop_assert!(input.is_empty());
    }

    #[test]
    fn a_printed_reply_is_parsed_to_the_same_reply(
        replies in prop::collection::vec(reply(), 1..4),
        piece_bytes in 1..200_usize,
    ) {
        let mut text = Vec::new();
        for (_, reply) in &replies {
            reply.clone().print(&mut text);
        }
        let mut pieces = text.chunks(piece_bytes);
        let mut input = BytesMut::new();
        for (expect, reply) in replies {
            let mut parser = ReplyParser::new(expect);
            let parsed = loop {
                match parser.next(&mut input) {
                    Ok(None) => input.extend_from_slice(pieces.next().expect("there is more")),
                    parsed => break parsed,
                }
            };
            prop_assert_eq!(parsed, Ok(Some(reply)));
        }
        prop_assert!(input.is_empty() && pieces.next().is_none());
    }

    #[test]
    fn a_printed_stream_is_parsed_to_the_same_parts(
        parts in prop::collection::vec(store::watch_part(), 1..6),
        piece_bytes in 1..200_usize,
    ) {
        let mut text = Vec::new();
        for part in &parts {
            part.print(&mut text);
        }
        let (mut parser, mut input, mut parsed) = (WatchParser::new(), BytesMut::new(), Vec::new());
        for piece in text.chunks(piece_bytes) {
            input.extend_from_slice(piece);
            while let Some(part) = parser.next(&mut input).expect("it is a stream") {
                parsed.push(part);
            }
        }
        prop_assert_eq!(parsed, parts);
        prop_assert!(input.is_empty());
    }

    /// The load generator's view of a reply agrees with the parser's.
    #[test]
    fn a_first_reply_takes_as_many_bytes_as_the_parser((_, reply) in reply()) {
        let is_single = !matches!(
            reply,
            Reply::Scan { .. }
                | Reply::Committed { .. }
                | Reply::LeaseKeys { .. }
                | Reply::Status(_)
                | Reply::Members(_)
                | Reply::Help
        );
        prop_assume!(is_single);
        let mut text = Vec::new();
        reply.clone().print(&mut text);
        let bytes = text.len();
        text.extend_from_slice(b"OK 1\r\n");
        let (taken, line) = first_reply(&text).expect("it is a reply").expect("it is all there");
        prop_assert_eq!(taken, bytes);
        let is_error = matches!(line, ReplyLine::Error(_));
        prop_assert_eq!(is_error, matches!(reply, Reply::Error(_)));
        if let ReplyLine::Error(error) = line {
            prop_assert_eq!(error.reply().map(Reply::Error), Some(reply));
        }
    }
}
