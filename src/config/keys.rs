//! The keys of servers.toml, table by table, and what is nearest to a key that is none.

/// Every table with its keys. The top level has no name.
pub const TABLES: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "cluster",
            "data_dir",
            "log_level",
            "log_format",
            "servers",
            "raft",
            "log",
            "snapshot",
            "history",
            "limits",
            "session",
            "http",
            "diagnosis",
            "upgrade",
        ],
    ),
    (
        "[[servers]]",
        &[
            "id",
            "hostname",
            "client_port",
            "log_port",
            "http_port",
            "client_listen",
            "log_listen",
            "http_listen",
        ],
    ),
    (
        "[raft]",
        &[
            "tick_ms",
            "election_timeout_ms",
            "heartbeat_interval_ms",
            "batched_peer_delay_ms",
            "leader_lease",
        ],
    ),
    ("[log]", &["segment_bytes", "keep_entries"]),
    ("[snapshot]", &["entries_max", "bytes_max", "bytes_per_second_max"]),
    ("[history]", &["keep_revisions", "bytes_max"]),
    (
        "[limits]",
        &[
            "request_timeout_ms",
            "connections_max",
            "line_bytes_max",
            "key_bytes_max",
            "value_bytes_max",
            "memory_bytes",
            "store_bytes_max",
            "inflight_commands_max",
            "inflight_bytes_max",
            "write_stall_ms_max",
            "proposals_pending_max",
            "append_entries_max",
            "append_bytes_max",
            "peer_inflight_entries_max",
            "peer_inflight_bytes_max",
            "transaction_ops_max",
            "transaction_bytes_max",
            "leases_max",
            "watches_max",
        ],
    ),
    ("[session]", &["threads"]),
    ("[http]", &["connections_max", "disk_stall_ms_max"]),
    ("[diagnosis]", &["slow_operation_ms"]),
    ("[upgrade]", &["raise_after_s"]),
];

/// The least likeness, from 0 to 1, at which a known key is suggested.
const LIKENESS_MIN: f64 = 0.75;

/// The keys of a table, whose name may have the number of an array's element after it.
pub(super) fn keys_of(table: &str) -> &'static [&'static str] {
    let name = table.split(' ').next().unwrap_or_default();
    TABLES.iter().find(|(known, _)| *known == name).map_or(&[], |(_, keys)| keys)
}

/// A clause that says what to write instead of `key`, which `table` does not have: the table that
/// has it, the nearest key of this table, or all of its keys.
pub(super) fn advice(table: &str, key: &str) -> String {
    let is_exact = |(_, keys): &&(&str, &[&str])| keys.contains(&key);
    match TABLES.iter().find(is_exact) {
        Some(("", _)) => {
            return "it belongs to the beginning of the file, before any [table]".into();
        }
        Some((other, _)) => return format!("it belongs into {other}"),
        None => {}
    }
    let keys = keys_of(table);
    let here = nearest(key, keys);
    let elsewhere = TABLES.iter().filter_map(|(other, keys)| Some((nearest(key, keys)?, *other)));
    let elsewhere = elsewhere.max_by(|(a, _), (b, _)| a.0.total_cmp(&b.0));
    match (here, elsewhere) {
        (here, Some(((likeness, known), other)))
            if here.is_none_or(|(least, _)| least < likeness) =>
        {
            match other {
                "" => format!("did you mean {known}, which belongs to the beginning of the file?"),
                other => format!("did you mean {known}, which belongs into {other}?"),
            }
        }
        (Some((_, known)), _) => format!("did you mean {known}?"),
        (None, _) => format!("the keys are {}", keys.join(", ")),
    }
}

/// The key that is most like another one, and how much; none when no key is.
fn nearest(key: &str, keys: &[&'static str]) -> Option<(f64, &'static str)> {
    let plain = key.to_ascii_lowercase().replace('-', "_");
    let alike = keys.iter().map(|known| (strsim::jaro_winkler(known, &plain), *known));
    let nearest = alike.max_by(|a, b| a.0.total_cmp(&b.0));
    nearest.filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
}
