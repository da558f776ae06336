//! The settings that are no secrets.
//!
//! They are listed here, and everything else is left out: a key that is added to servers.toml later
//! is in no archive before somebody has thought about it. Comments are left out as well.

use std::fs;
use std::path::Path;

use toml::{Table, Value};

use super::manifest::Part;

/// The tables of servers.toml, and the keys of each whose values may be told. The top level has no
/// name, and its keys that are tables are not listed.
const TOLD: &[(&str, &[&str])] = &[
    ("", &["cluster", "data_dir", "log_level", "log_format"]),
    (
        "servers",
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
        "raft",
        &[
            "tick_ms",
            "election_timeout_ms",
            "heartbeat_interval_ms",
            "batched_peer_delay_ms",
            "leader_lease",
        ],
    ),
    ("log", &["segment_bytes", "keep_entries"]),
    ("snapshot", &["entries_max", "bytes_max", "bytes_per_second_max"]),
    ("history", &["keep_revisions", "bytes_max"]),
    (
        "limits",
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
    ("session", &["threads"]),
    ("http", &["connections_max", "disk_stall_ms_max"]),
    ("diagnosis", &["slow_operation_ms"]),
    ("upgrade", &["raise_after_s"]),
];

/// The part with the settings of a file, if there is one.
pub fn part(path: Option<&Path>) -> Part {
    let read = |path: &Path| {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        told(&text)
    };
    let content = match path {
        Some(path) => read(path).map_err(|reason| format!("{}: {reason}", path.display())),
        None => Err("the servers were named by addresses, and not by a file".into()),
    };
    Part { name: "servers.toml".into(), content: content.map(String::into_bytes) }
}

/// The text of servers.toml with the keys that may be told, and nothing else of it.
fn told(text: &str) -> Result<String, String> {
    // The words of the parser may quote a line of the file, so they are not told.
    let table: Table = text.parse().map_err(|_| "it is no TOML".to_owned())?;
    let mut told = keys_of("", &table);
    for (name, value) in &table {
        let filtered = match value {
            _ if !TOLD.iter().any(|(known, _)| known == name) => continue,
            Value::Table(table) => Value::Table(keys_of(name, table)),
            Value::Array(values) => {
                let tables = values.iter().filter_map(Value::as_table);
                Value::Array(tables.map(|table| keys_of(name, table).into()).collect())
            }
            _ => continue,
        };
        told.insert(name.clone(), filtered);
    }
    toml::to_string(&told).map_err(|error| format!("it cannot be printed: {error}"))
}

/// The keys of a table that may be told, with their values as far as these are no tables.
fn keys_of(name: &str, table: &Table) -> Table {
    let keys = TOLD.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, keys)| keys);
    let is_told =
        |(key, value): &(&String, &Value)| keys.contains(&key.as_str()) && !has_table(value);
    table.iter().filter(is_told).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// True of a table, and of an array with one in it. No key that may be told has one.
fn has_table(value: &Value) -> bool {
    match value {
        Value::Table(_) => true,
        Value::Array(values) => values.iter().any(has_table),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
