//! The commands about transactions, leases, watches, history and modes, one by one.

use super::*;
use crate::kv::KeyRange;
use crate::protocol::{LEASE_KEYS_MAX, Mode, WatchRequest};

fn get_at(key: &'static str, at: u64) -> Request {
    Request::Read(Query::Get { key: bytes(key), at })
}

fn watch(keys: KeyRange, from: Option<u64>, wants_previous: bool) -> Request {
    Request::Watch(WatchRequest { keys, from, wants_previous })
}

fn grant(id: u64, ttl: u64) -> Request {
    write(Operation::Grant { id, ttl, leases_max: 0 })
}

#[test]
fn the_commands_of_transactions_leases_and_watches() {
    let key = |key| KeyRange::key(bytes(key));
    let prefix = |prefix| KeyRange::prefix(bytes(prefix));
    let scan_at = |after: Option<&'static str>, at| {
        let after = after.map(bytes);
        Request::Read(Query::Scan { prefix: bytes("p"), limit: 5, after, at })
    };
    let leased = Operation::Set { key: bytes("k"), exptime: 9, value: bytes("x"), lease: 77 };
    let cas = Operation::Cas {
        key: bytes("k"),
        exptime: 0,
        version: 3,
        value: bytes(""),
        lease: i64::MAX as u64,
    };
    let keys_max = LEASE_KEYS_MAX as u64 + 1;
    let once = Some(Once { client: bytes("c"), seq: 4 });
    let table = [
        ("get k at 7", get_at("k", 7)),
        ("GET  k  AT  007 ", get_at("k", 7)),
        ("get at at 1", get_at("at", 1)),
        ("getm k at 7", Request::Read(Query::GetMeta { key: bytes("k"), at: 7 })),
        ("scan p 5 at 7", scan_at(None, 7)),
        ("scan p 5 after k at 7", scan_at(Some("k"), 7)),
        ("scan p 5 after at at 7", scan_at(Some("at"), 7)),
        ("begin", Request::Begin),
        ("Check k 0", Request::Check { key: bytes("k"), version: 0 }),
        ("commit", Request::Commit { once: None }),
        ("once c 4 COMMIT", Request::Commit { once }),
        ("discard", Request::Discard),
        ("grant 1", grant(0, 1)),
        ("grant 3153600000 9223372036854775807", grant(i64::MAX as u64, 3_153_600_000)),
        ("renew 7", Request::Renew { id: 7 }),
        ("revoke 7", write(Operation::Revoke { id: 7 })),
        ("lease 7", Request::Read(Query::Lease { id: 7, keys_max })),
        ("set k 9 1 lease 77\r\nx", write(leased.clone())),
        ("set k 9 1 LEASE 77 NOREPLY\r\nx", quietly(leased)),
        ("cas k 0 3 0 lease 9223372036854775807\r\n", write(cas)),
        ("watch key k", watch(key("k"), None, false)),
        ("watch key * from 7", watch(key("*"), Some(7), false)),
        ("watch key from from 7 prev", watch(key("from"), Some(7), true)),
        ("Watch PREFIX p PREV", watch(prefix("p"), None, true)),
        ("watch prefix * from 0", watch(KeyRange::all(), None, false)),
        ("watch prefix ** from 1 prev", watch(prefix("**"), Some(1), true)),
        ("compact 7", write(Operation::Compact { revision: 7 })),
        ("mode leader", Request::SetMode(Mode::Leader)),
        ("mode Any", Request::SetMode(Mode::Any)),
        ("MODE stale", Request::SetMode(Mode::Stale)),
    ];
    for (line, request) in table {
        let parsed = parse(format!("{line}\r\nping\r\n"));
        let expected = [Parsed::Request(request), Parsed::Request(Request::Ping)];
        assert_eq!(parsed, expected, "{line}");
    }
}

#[test]
fn what_is_wrong_with_such_a_line_is_told() {
    let table = [
        ("get k 7", "there are too many fields"),
        ("get k at", "<revision> is not a number"),
        ("get k at 0", "<revision> begins at 1"),
        ("getm k at x", "<revision> is not a number"),
        ("get k at 7 7", "there are too many fields"),
        ("scan p 5 at 7 after k", "there are too many fields"),
        ("scan p 5 from k", "there are too many fields"),
        ("begin 1", "there are too many fields"),
        ("check k", "<version> is not a number"),
        ("check", "a key is missing"),
        ("check k 1 1", "there are too many fields"),
        ("commit now", "there are too many fields"),
        ("once c 4 commit noreply", "there are too many fields"),
        ("once c 0 commit", "<seq> begins at 1"),
        ("once c 1 begin", "once goes before set, add, cas, delete, commit or end only"),
        ("once c 1 grant 5", "once goes before set, add, cas, delete, commit or end only"),
        ("discard 1", "there are too many fields"),
        ("grant", "<seconds> is not a number"),
        ("grant 0", "<seconds> is 1 to 3153600000"),
        ("grant 3153600001", "<seconds> is 1 to 3153600000"),
        ("grant 5 0", "the <id> of a lease is 1 to 9223372036854775807"),
        ("grant 5 9223372036854775808", "the <id> of a lease is 1 to 9223372036854775807"),
        ("renew 0", "the <id> of a lease is 1 to 9223372036854775807"),
        ("revoke 0", "the <id> of a lease is 1 to 9223372036854775807"),
        ("lease 18446744073709551615", "the <id> of a lease is 1 to 9223372036854775807"),
        ("grant 5 x", "<id> is not a number"),
        ("grant 5 6 7", "there are too many fields"),
        ("renew", "<id> is not a number"),
        ("revoke -1", "<id> is not a number"),
        ("lease 7 8", "there are too many fields"),
        ("watch", "key or prefix is missing behind watch"),
        ("watch k", "behind watch stands key or prefix"),
        ("watch key", "a key is missing"),
        ("watch key k from", "<revision> is not a number"),
        ("watch key k 7", "at the end stands from <revision>, prev, both, or nothing"),
        ("watch key k prev from 7", "there are too many fields"),
        ("watch prefix p from 7 prev prev", "there are too many fields"),
        ("compact", "<revision> is not a number"),
        ("compact 1 2", "there are too many fields"),
        ("mode", "leader, any or stale is missing behind mode"),
        ("mode follower", "behind mode stands leader, any or stale"),
        ("mode any now", "there are too many fields"),
    ];
    for (line, text) in table {
        let parsed = parse(format!("{line}\r\nping\r\n"));
        let error = Parsed::Refused(ErrorReply::CmdErr(text.into()));
        assert_eq!(parsed, [error, Parsed::Request(Request::Ping)], "{line}");
    }
    for line in [
        "get 12345678901 at 7",
        "scan 12345678901 5 at 7",
        "scan p 5 after 12345678901 at 7",
        "check 12345678901 0",
        "watch key 12345678901",
        "watch prefix 12345678901 from 7",
    ] {
        assert!(is_too_large(&parse(format!("{line}\r\n"))[0]), "{line}");
    }
}
