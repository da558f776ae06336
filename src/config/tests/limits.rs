//! Limits of `servers.toml` that have to fit together.

use super::{ONE, parse, refused};
use crate::config::Settings;
use crate::config::limits::FRAME_OVERHEAD_BYTES;
use crate::types::ENTRY_BYTES_MAX;
use crate::wire::FRAME_BYTES_MAX;

#[test]
fn limits_that_do_not_fit_together_are_refused() {
    refused(
        "[limits]\nkey_bytes_max = 500",
        "servers.toml: [limits] line_bytes_max is 1024: it must be at least 1256, so that a scan \
         after the longest key fits: raise it or lower key_bytes_max",
    );
    refused(
        "[limits]\ninflight_bytes_max = 1000000",
        "servers.toml: [limits] inflight_bytes_max is 1000000: it must be at least 1049600, so \
         that the largest command fits: raise it or lower value_bytes_max",
    );
    refused(
        "[limits]\nproposals_pending_max = 1000",
        "servers.toml: [limits] proposals_pending_max is 1000: it must be at least 1024, so that \
         one connection's own pipelining is never ERR_BUSY: raise it or lower \
         inflight_commands_max",
    );
    refused(
        "[limits]\npeer_inflight_entries_max = 1000",
        "servers.toml: [limits] peer_inflight_entries_max is 1000: it must be at least 1024, so \
         that a full AppendEntries fits: raise it or lower append_entries_max",
    );
    refused(
        "[limits]\npeer_inflight_bytes_max = 1000000",
        "servers.toml: [limits] peer_inflight_bytes_max is 1000000: it must be at least 1048954, \
         so that a full AppendEntries fits: raise it or lower append_bytes_max, value_bytes_max \
         and transaction_bytes_max",
    );
    refused(
        "[limits]\nmemory_bytes = 16777215",
        "servers.toml: [limits] memory_bytes is 16777215: it must be at least 27262976: 0 for \
         the windows between 1 servers and 27262976 for clients: raise it or lower \
         peer_inflight_bytes_max, append_bytes_max, value_bytes_max, transaction_bytes_max and \
         inflight_bytes_max",
    );
    refused(
        "[log]\nsegment_bytes = 1000000",
        "servers.toml: [log] segment_bytes is 1000000: it must be at least 1114490, so that the \
         largest entry fits: raise it or lower [limits] value_bytes_max and transaction_bytes_max",
    );
    refused(
        "[log]\nsegment_bytes = 1638527\n[limits]\ntransaction_bytes_max = 1572864",
        "servers.toml: [log] segment_bytes is 1638527: it must be at least 1638528, so that the \
         largest entry fits: raise it or lower [limits] value_bytes_max and transaction_bytes_max",
    );
}

/// A file from before there were transactions gives sizes that had room for the largest value, and
/// says nothing of transactions.
#[test]
fn without_its_key_a_transaction_is_as_large_as_the_other_sizes_allow() {
    let bytes_max = |text: &str| {
        let limits = parse(&format!("{ONE}{text}")).unwrap().limits;
        limits.model.transaction_bytes_max
    };
    assert_eq!(bytes_max(""), 3 << 19);
    assert_eq!(bytes_max("[log]\nsegment_bytes = 1638528"), 3 << 19);
    assert_eq!(bytes_max("[log]\nsegment_bytes = 1638527"), (3 << 19) - 1);
    assert_eq!(bytes_max("[log]\nsegment_bytes = 1114490"), (1 << 20) + 250);
    assert_eq!(bytes_max("[limits]\npeer_inflight_bytes_max = 1048954"), (1 << 20) + 250);
    assert_eq!(bytes_max("[limits]\ninflight_bytes_max = 1049600"), 1_049_600 - 128);
}

/// Files from before there were transactions stay right, with windows and log files of their own.
#[test]
fn a_transaction_is_no_larger_than_the_windows_and_the_log_files_allow() {
    let transaction_bytes_max = |extra: &str| {
        let settings = parse(&format!("{ONE}{extra}")).unwrap();
        let Settings { limits, log, .. } = settings;
        assert!(limits.entry_bytes_max() + FRAME_OVERHEAD_BYTES <= log.segment_bytes, "{extra}");
        limits.model.transaction_bytes_max
    };
    assert_eq!(transaction_bytes_max(""), 3 << 19);
    for extra in [
        "[log]\nsegment_bytes = 1200000",
        "[limits]\ninflight_bytes_max = 1100000",
        "[limits]\npeer_inflight_bytes_max = 1100000",
    ] {
        let bytes_max = transaction_bytes_max(extra);
        assert!((1_000_000..1_200_000).contains(&bytes_max), "{extra}: {bytes_max}");
    }
    let small = "[log]\nsegment_bytes = 70000\n[limits]\nvalue_bytes_max = 1024\n";
    assert!((1_000..5_000).contains(&transaction_bytes_max(small)));
}

#[test]
fn the_memory_covers_what_replication_needs_and_a_client() {
    let servers = |count: u16| -> String {
        let server = |id| {
            let (client, log) = (9000 + 2 * id, 9001 + 2 * id);
            format!(
                "[[servers]]\nid = {id}\nhostname = \"h\"\n\
                 client_port = {client}\nlog_port = {log}\n"
            )
        };
        (1..=count).map(server).collect()
    };
    for count in [1, 3, 5, 7, 9] {
        let limits = parse(&servers(count)).unwrap().limits;
        let count = usize::from(count);
        let sum = limits.replication_bytes(count) + limits.client_bytes(count);
        assert_eq!(sum, limits.memory_bytes);
        assert!(limits.client_bytes(count) >= limits.client_bytes_min());
        // Half of it covers one client: its window, a scan, unsent replies, the next command.
        assert!(limits.client_bytes_min() / 2 > (4 + 4 + 1 + 1) << 20);
    }
    let error = parse(&(servers(7) + "[limits]\nmemory_bytes = 100000000\n")).unwrap_err();
    assert!(error.contains("memory_bytes is 100000000: it must be at least "), "{error}");
    assert!(error.contains(" for the windows between 7 servers and "), "{error}");
}

#[test]
fn the_largest_entry_and_a_full_append_fit_into_a_frame() {
    let mut limits = parse(ONE).unwrap().limits;
    limits.append.bytes_max = 1;
    assert!(limits.own_frame_bytes_max() > limits.entry_bytes_max());
    limits.append.bytes_max = 1 << 26;
    assert!(limits.own_frame_bytes_max() > 1 << 26);
}

/// A server's limits may be lowered while its log and its peers hold entries from before, so
/// the frames between servers must not depend on any server's limits (docs/bugs.md C12).
#[test]
fn the_highest_limits_of_any_server_keep_within_the_bounds_of_the_format() {
    let text = format!(
        "{ONE}[limits]\nvalue_bytes_max = 67108864\nkey_bytes_max = 65536\n\
         line_bytes_max = 200000\nappend_bytes_max = 67108864\n\
         inflight_bytes_max = 100000000\npeer_inflight_bytes_max = 100000000\n\
         memory_bytes = 2000000000\n"
    );
    let limits = parse(&text).unwrap().limits;
    assert!(limits.entry_bytes_max() <= ENTRY_BYTES_MAX);
    assert!(limits.own_frame_bytes_max() <= FRAME_BYTES_MAX as u64);
    for (key, more) in [("value_bytes_max", 1 << 26), ("append_bytes_max", 1 << 26)] {
        let error = parse(&format!("{ONE}[limits]\n{key} = {}", more + 1)).unwrap_err();
        assert!(error.ends_with("it must be from 1 to 67108864"), "{error}");
    }
    let error = parse(&format!("{ONE}[limits]\nkey_bytes_max = 65537")).unwrap_err();
    assert!(error.ends_with("it must be from 1 to 65536"), "{error}");
}
