use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::keys::TABLES;
use super::{LogFormat, ModelLimits, Overrides, Settings};
use crate::testing::byte_mutation::mutation;
use crate::types::{Address, NodeId};

mod http;
mod limits;

const ONE: &str = "[[servers]]\nid = 1\nhostname = \"a\"\nclient_port = 1000\nlog_port = 1001\n";

fn parse(text: &str) -> Result<Settings, String> {
    parse_with(text, &Overrides::default())
}

fn parse_with(text: &str, overrides: &Overrides) -> Result<Settings, String> {
    Settings::parse(Path::new("servers.toml"), text, overrides).map_err(|error| error.to_string())
}

/// A sentence without the line that it names.
fn without_line(sentence: &str) -> String {
    match sentence.strip_prefix("servers.toml, line ").and_then(|rest| rest.split_once(": ")) {
        Some((_, rest)) => format!("servers.toml: {rest}"),
        None => sentence.to_owned(),
    }
}

/// Asserts that a file with one server and the tables `extra` is refused with this sentence.
fn refused(extra: &str, sentence: &str) {
    let said = parse(&format!("{ONE}{extra}")).unwrap_err();
    assert_eq!(without_line(&said), sentence, "for {extra:?}");
}

#[test]
fn a_file_with_servers_only_gives_the_defaults() {
    let settings = parse(ONE).unwrap();
    assert_eq!(settings.cluster, "coracle");
    assert_eq!(settings.servers[&NodeId(1)].data_dir, PathBuf::from("data/1"));
    assert_eq!(settings.servers[&NodeId(1)].client_address(), "a:1000");
    assert_eq!(settings.raft.tick_ms, 10);
    assert_eq!(settings.raft.heartbeat_interval_ms, 50);
    assert_eq!(settings.raft.batched_peer_delay_ms, 2);
    assert_eq!(settings.raft.election_timeout_ms_min, 150);
    assert_eq!(settings.raft.election_timeout_ms_max, 300);
    assert!(!settings.raft.leader_lease, "clocks are not relied on unless somebody says so");
    assert_eq!(settings.log.segment_bytes, 8 << 20);
    assert_eq!(settings.snapshot.entries_max, 100_000);
    assert_eq!(settings.limits.request_timeout_ms, 5_000);
    assert_eq!(settings.session.threads, 0);
    let history = settings.history;
    assert_eq!((history.keep_revisions, history.bytes_max), (100_000, 268_435_456));
}

#[test]
fn every_key_is_read_into_its_own_place() {
    let text = format!(
        "cluster = \"c\"\ndata_dir = \"/d\"\nlog_level = \"trace\"\nlog_format = \"json\"\n{ONE}
        [raft]\ntick_ms = 2\nelection_timeout_ms = [1000, 2000]\nheartbeat_interval_ms = 101
        batched_peer_delay_ms = 30
        leader_lease = true
        [log]\nsegment_bytes = 10000001\nkeep_entries = 12
        [snapshot]\nentries_max = 13\nbytes_max = 14\nbytes_per_second_max = 15
        [history]\nkeep_revisions = 34\nbytes_max = 35
        [limits]\nrequest_timeout_ms = 15\nconnections_max = 16\nline_bytes_max = 517
        key_bytes_max = 100\nvalue_bytes_max = 18\nmemory_bytes = 100000019\nstore_bytes_max = 20
        inflight_commands_max = 21\ninflight_bytes_max = 1022\nwrite_stall_ms_max = 23
        proposals_pending_max = 24\nappend_entries_max = 25\nappend_bytes_max = 26
        peer_inflight_entries_max = 27\npeer_inflight_bytes_max = 1028
        transaction_ops_max = 30\ntransaction_bytes_max = 31\nleases_max = 32\nwatches_max = 33
        [session]\nthreads = 29
        [http]\nconnections_max = 36\ndisk_stall_ms_max = 1037"
    );
    let settings = parse(&text).unwrap();
    let (raft, limits) = (settings.raft, settings.limits);
    let history = settings.history;
    assert_eq!((history.keep_revisions, history.bytes_max), (34, 35));
    assert_eq!(settings.cluster, "c");
    assert_eq!(settings.logging.level, log::LevelFilter::Trace);
    assert_eq!(settings.logging.format, LogFormat::Json);
    assert_eq!(settings.servers[&NodeId(1)].data_dir, PathBuf::from("/d/1"));
    assert_eq!((raft.tick_ms, raft.heartbeat_interval_ms), (2, 101));
    assert_eq!(raft.batched_peer_delay_ms, 30);
    assert_eq!((raft.election_timeout_ms_min, raft.election_timeout_ms_max), (1000, 2000));
    assert!(raft.leader_lease);
    assert_eq!((settings.log.segment_bytes, settings.log.keep_entries), (10_000_001, 12));
    assert_eq!((settings.snapshot.entries_max, settings.snapshot.bytes_max), (13, 14));
    assert_eq!((limits.request_timeout_ms, limits.connections_max), (15, 16));
    assert_eq!((limits.line_bytes_max, limits.key_bytes_max), (517, 100));
    assert_eq!((limits.value_bytes_max, limits.memory_bytes), (18, 100_000_019));
    assert_eq!((limits.store_bytes_max, limits.inflight_commands_max), (20, 21));
    assert_eq!((limits.inflight_bytes_max, limits.write_stall_ms_max), (1022, 23));
    assert_eq!((limits.proposals_pending_max, limits.append.entries_max), (24, 25));
    assert_eq!((limits.append.bytes_max, limits.peer_inflight_entries_max), (26, 27));
    assert_eq!((limits.peer_inflight_bytes_max, settings.session.threads), (1028, 29));
    let ModelLimits { transaction_ops_max, transaction_bytes_max, leases_max, watches_max } =
        limits.model;
    assert_eq!((transaction_ops_max, transaction_bytes_max), (30, 31));
    assert_eq!((leases_max, watches_max), (32, 33));
    let http = settings.http;
    assert_eq!((http.connections_max, http.disk_stall_ms_max), (36, 1_037));
}

#[test]
fn the_committed_servers_toml_lists_five_servers_and_says_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers.toml");
    let settings = Settings::load(&path, &Overrides::default()).unwrap();
    let ports: Vec<_> = settings
        .servers
        .values()
        .map(|s| (s.id.0, s.advertised.client.port, s.advertised.peer.port))
        .collect();
    let expected =
        [(1, 9000, 9001), (2, 9002, 9003), (3, 9004, 9005), (4, 9006, 9007), (5, 9008, 9009)];
    assert_eq!(ports, expected);
    let http_ports = settings.servers.values().filter_map(|server| server.http_listen.clone());
    assert!(http_ports.map(|address| address.port).eq(9100..=9104));
    let defaults = parse(ONE).unwrap();
    assert_eq!(settings.http, defaults.http);
    assert_eq!(settings.logging, defaults.logging);
    assert_eq!(
        (settings.cluster, settings.raft, settings.log, settings.snapshot, settings.limits),
        (defaults.cluster, defaults.raft, defaults.log, defaults.snapshot, defaults.limits)
    );
}

#[test]
fn a_relative_data_dir_is_relative_to_the_file_and_the_flag_is_taken_as_it_is() {
    let text = format!("data_dir = \"store\"\n{ONE}");
    let path = Path::new("etc/cluster/servers.toml");
    let mut overrides = Overrides::default();
    let settings = Settings::parse(path, &text, &overrides).unwrap();
    assert_eq!(settings.servers[&NodeId(1)].data_dir, PathBuf::from("etc/cluster/store/1"));
    overrides.data_dir = Some("elsewhere".into());
    let settings = Settings::parse(path, &text, &overrides).unwrap();
    assert_eq!(settings.servers[&NodeId(1)].data_dir, PathBuf::from("elsewhere/1"));
}

#[test]
fn flags_come_before_the_file_and_are_checked_like_it() {
    let mut overrides = Overrides {
        data_dir: None,
        heartbeat_interval_ms: Some(20),
        election_timeout_ms_min: Some(60),
        election_timeout_ms_max: Some(90),
        ..Overrides::default()
    };
    let raft = parse_with(ONE, &overrides).unwrap().raft;
    assert_eq!(raft.heartbeat_interval_ms, 20);
    assert_eq!((raft.election_timeout_ms_min, raft.election_timeout_ms_max), (60, 90));

    overrides.heartbeat_interval_ms = Some(21);
    assert_eq!(
        parse_with(ONE, &overrides).unwrap_err(),
        "--heartbeat-interval-ms is 21: it must be at most 20, a third of the least election \
         timeout of 60 ms: lower it or raise election_timeout_ms"
    );
    overrides.heartbeat_interval_ms = Some(0);
    assert_eq!(
        parse_with(ONE, &overrides).unwrap_err(),
        "--heartbeat-interval-ms is 0: it must be from 1 to 600000"
    );
    overrides = Overrides { election_timeout_ms_min: Some(300), ..Overrides::default() };
    assert_eq!(
        parse_with(ONE, &overrides).unwrap_err(),
        "--election-timeout-ms-min is [300, 300]: it must be a smaller number, then a larger \
         one: servers that all wait equally long split the vote"
    );
    overrides = Overrides { data_dir: Some("".into()), ..Overrides::default() };
    assert_eq!(
        parse_with(ONE, &overrides).unwrap_err(),
        "--data-dir is empty: it must be a directory, such as \"data\""
    );
}

#[test]
fn a_missing_file_and_one_that_is_not_toml_are_named_with_the_line() {
    let error = Settings::load(Path::new("no/such.toml"), &Overrides::default()).unwrap_err();
    let sentence = error.to_string();
    assert!(sentence.starts_with("no/such.toml cannot be read ("), "{sentence}");
    assert!(sentence.ends_with("): name the servers' file with --config"), "{sentence}");

    let sentence = parse("cluster = \"c\"\n\nservers = [\n").unwrap_err();
    assert!(sentence.starts_with("servers.toml, line "), "{sentence}");
    assert_eq!(sentence.lines().count(), 1);
    let sentence = parse("cluster = \"c\"\ncluster = \"d\"\n").unwrap_err();
    assert!(sentence.starts_with("servers.toml, line 2: this is not TOML: "), "{sentence}");
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    refused(
        "[raft]\nelection_timeout = [150, 300]",
        "servers.toml: [raft] election_timeout is not a key of this table: did you mean \
         election_timeout_ms?",
    );
    refused(
        "[session]\nzzz = 1",
        "servers.toml: [session] zzz is not a key of this table: the keys are threads",
    );
    refused(
        "port = 1",
        "servers.toml: [[servers]] number 1 port is not a key of this table: the keys are id, \
         hostname, client_port, log_port, http_port, client_listen, log_listen, http_listen",
    );
    assert_eq!(
        without_line(&parse(&format!("clustre = \"c\"\n{ONE}")).unwrap_err()),
        "servers.toml: clustre is not a key of this table: did you mean cluster?"
    );
}

#[test]
fn an_unknown_key_is_reported_before_anything_else_in_every_table() {
    // A key that is required is missing, because it is misspelt.
    for (wrong, right) in [
        ("clientport", "client_port"),
        ("Client_Port", "client_port"),
        ("client-port", "client_port"),
        ("hostnam", "hostname"),
        ("ID", "id"),
    ] {
        let text = ONE.replace(&format!("{right} ="), &format!("{wrong} ="));
        let sentence = parse(&text).unwrap_err();
        let expected = format!("{wrong} is not a key of this table: did you mean {right}?");
        assert!(sentence.ends_with(&expected), "{sentence}");
    }
    for (table, keys) in TABLES {
        for key in *keys {
            let misspelt = format!("{}_", &key[..key.len() - 1]);
            // The value before it is wrong, too.
            let first = keys.iter().find(|other| other != &key).unwrap_or(key);
            let wrong =
                if first == key { String::new() } else { format!("{first} = 1979-05-27\n") };
            let table = if table.is_empty() { String::new() } else { format!("{table}\n") };
            let (before, after) = if table.is_empty() { ("", ONE) } else { (ONE, "") };
            let sentence =
                parse(&format!("{before}{table}{wrong}{misspelt} = 1\n{after}")).unwrap_err();
            let expected = format!("{misspelt} is not a key of this table: ");
            assert!(sentence.contains(&expected), "{sentence}");
        }
    }
    refused(
        "[raft]\ndata_dir = \"x\"",
        "servers.toml: [raft] data_dir is not a key of this table: it belongs to the beginning of \
         the file, before any [table]",
    );
    refused(
        "[limits]\ntick_ms = 1",
        "servers.toml: [limits] tick_ms is not a key of this table: it belongs into [raft]",
    );
    refused(
        "[limits]\nelection_timout_ms = 1",
        "servers.toml: [limits] election_timout_ms is not a key of this table: did you mean \
         election_timeout_ms, which belongs into [raft]?",
    );
    refused(
        "[raft]\ndata_dri = 1",
        "servers.toml: [raft] data_dri is not a key of this table: did you mean data_dir, which \
         belongs to the beginning of the file?",
    );
    refused(
        "[limts]\nx = 1",
        "servers.toml: limts is not a key of this table: did you mean limits?",
    );
}

#[test]
fn every_known_key_is_asked_for_and_a_value_of_another_type_is_refused_by_its_name() {
    for (table, keys) in TABLES {
        for key in *keys {
            let wrong = format!("{key} = 1979-05-27\n");
            let text = match *table {
                "" => format!("{wrong}{}", if *key == "servers" { "" } else { ONE }),
                "[[servers]]" => {
                    let right = ONE.lines().find(|line| line.starts_with(key)).unwrap_or_default();
                    match right {
                        "" => format!("{ONE}{wrong}"),
                        right => ONE.replace(&format!("{right}\n"), &wrong),
                    }
                }
                table => format!("{ONE}{table}\n{wrong}"),
            };
            let sentence = parse(&text).unwrap_err();
            assert!(sentence.contains(&format!("{key} is 1979-05-27: it must be ")), "{sentence}");
            let line = text.lines().position(|line| line == wrong.trim_end()).unwrap() + 1;
            assert!(sentence.starts_with(&format!("servers.toml, line {line}: ")), "{sentence}");
        }
    }
}

#[test]
fn an_error_names_the_line_of_the_key_or_of_the_table_that_lacks_it() {
    for (extra, line) in [
        ("\n# A comment.\n[raft]\n\ntick_ms = 0\n", 10),
        ("raft = { tick_ms = 0 }\n", 6),
        ("[raft]\nelection_timeout_ms = [\n  2,\n  1,\n]\n", 7),
        ("[[servers]]\nid = 2\n", 6),
        ("\n\n[[servers]]\nid = 2\nhostname = \"b\"\nclient_port = 2\n", 8),
        ("[[servers]]\nid = 1\nhostname = \"b\"\nclient_port = 1\nlog_port = 2\n", 7),
        ("[[servers]]\nid = 2\nhostname = \"a\"\nclient_port = 2\nlog_port = 1000\n", 10),
        ("[limits]\nmemory_bytes = 1\n", 7),
        ("[session]\nthread = 1\n", 7),
    ] {
        for end in ["\n", "\r\n"] {
            let text = format!("{ONE}{extra}").replace('\n', end);
            let text = if extra.starts_with("raft =") {
                // An inline table of the top level stands before all others.
                format!("{}{}", extra.replace('\n', end), ONE.replace('\n', end))
            } else {
                text
            };
            let line = if extra.starts_with("raft =") { 1 } else { line };
            let sentence = parse(&text).unwrap_err();
            assert!(sentence.starts_with(&format!("servers.toml, line {line}: ")), "{sentence}");
        }
    }
}

#[test]
fn files_that_are_no_text_say_so_and_a_byte_order_mark_and_cr_lf_do_no_harm() {
    let settings = parse(ONE).unwrap();
    assert_eq!(parse(&format!("\u{feff}{ONE}")).unwrap(), settings);
    assert_eq!(parse(&ONE.replace('\n', "\r\n")).unwrap(), settings);
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("servers.toml");
    let load = |path: &Path| Settings::load(path, &Overrides::default()).unwrap_err().to_string();
    for (bytes, ending) in [
        (
            &b"# \n# M\xfcller\n"[..],
            "servers.toml, line 2: byte 0xfc is not UTF-8: save the file \
          as UTF-8, say with `iconv -t UTF-8`",
        ),
        (
            b"",
            "servers.toml lists no servers: add a [[servers]] table for each one, with id, \
          hostname, client_port and log_port",
        ),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let sentence = load(&path);
        assert!(sentence.ends_with(ending), "{sentence}");
    }
    std::fs::write(&path, b"\0\0\0").unwrap();
    assert!(load(&path).contains("servers.toml, line 1: this is not TOML: "));
    let sentence = load(temp.path());
    assert!(sentence.contains(" cannot be read (Is a directory"), "{sentence}");
    let ending = format!("say `--config {}/servers.toml`", temp.path().display());
    assert!(sentence.ends_with(&ending), "{sentence}");
}

#[test]
fn files_without_servers_or_with_clashing_servers_are_refused() {
    assert_eq!(
        without_line(&parse("").unwrap_err()),
        "servers.toml lists no servers: add a [[servers]] table for each one, with id, hostname, \
         client_port and log_port"
    );
    refused(
        "[[servers]]\nid = 1\nhostname = \"b\"\nclient_port = 1000\nlog_port = 1001",
        "servers.toml: [[servers]] number 2 id is 1, the id of another server: an id belongs to \
         one server for ever, so give this one another",
    );
    refused(
        "[[servers]]\nid = 2\nhostname = \"A\"\nclient_port = 1001\nlog_port = 1002",
        "servers.toml: [[servers]] number 2 client_port is 1001, which on A is also the log_port \
         of server 1: every listener needs its own port, so change one of them",
    );
    refused(
        "[[servers]]\nid = 0",
        "servers.toml: [[servers]] number 2 id is 0: it must be from 1 to 9223372036854775807",
    );
    refused(
        "[[servers]]\nid = 2\nclient_port = 1",
        "servers.toml: [[servers]] number 2 hostname is missing: add it (a name or an address, \
         such as \"127.0.0.1\")",
    );
    refused(
        "[[servers]]\nid = 2\nhostname = \"b\"\nclient_port = 65536",
        "servers.toml: [[servers]] number 2 client_port is 65536: it must be from 1 to 65535",
    );
    refused(
        "[[servers]]\nid = 2\nhostname = \"b c\"",
        "servers.toml: [[servers]] number 2 hostname is \"b c\": it must be a name or an \
         address, such as \"127.0.0.1\"",
    );
    refused(
        "[[servers]]\nid = 2\nhostname = \"b\"\nlog_port = 1",
        "servers.toml: [[servers]] number 2 client_port is missing: add it (a number from 1 to \
         65535)",
    );
    assert_eq!(
        without_line(&parse("servers = 5").unwrap_err()),
        "servers.toml: servers is 5: it must be tables: [[servers]]"
    );
}

#[test]
fn an_unknown_id_is_reported_with_the_known_ids() {
    let error = parse(ONE).unwrap().server(NodeId(7)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "servers.toml has no server with id 7: the ids are 1; name one of them with --id, or add \
         a [[servers]] table"
    );
}

#[test]
fn timings_that_elect_nobody_are_refused() {
    refused(
        "[raft]\nelection_timeout_ms = [300, 300]",
        "servers.toml: [raft] election_timeout_ms is [300, 300]: it must be a smaller number, \
         then a larger one: servers that all wait equally long split the vote",
    );
    refused(
        "[raft]\nheartbeat_interval_ms = 51",
        "servers.toml: [raft] heartbeat_interval_ms is 51: it must be at most 50, a third of \
         the least election timeout of 150 ms: lower it or raise election_timeout_ms",
    );
    refused(
        "[raft]\ntick_ms = 51",
        "servers.toml: [raft] tick_ms is 51: it must be at most the heartbeat_interval_ms of 50",
    );
    refused(
        "[raft]\nelection_timeout_ms = 150",
        "servers.toml: [raft] election_timeout_ms is 150: it must be two numbers: [min, max]",
    );
}

#[test]
fn numbers_out_of_bounds_and_other_types_are_refused() {
    refused(
        "[limits]\nconnections_max = 0",
        "servers.toml: [limits] connections_max is 0: it must be from 1 to 1000000",
    );
    refused(
        "[limits]\nvalue_bytes_max = -1",
        "servers.toml: [limits] value_bytes_max is -1: it must be from 1 to 67108864",
    );
    refused(
        "[limits]\nmemory_bytes = \"1 GiB\"",
        "servers.toml: [limits] memory_bytes is \"1 GiB\": it must be a number from 1 to \
         1099511627776",
    );
    refused("[[raft]]", "servers.toml: raft is [{}]: it must be a table: [raft]");
    assert_eq!(
        without_line(&parse(&format!("cluster = 1\n{ONE}")).unwrap_err()),
        "servers.toml: cluster is 1: it must be text in quotes"
    );
    assert_eq!(
        without_line(&parse(&format!("cluster = \"\"\n{ONE}")).unwrap_err()),
        "servers.toml: cluster is \"\": it must be a name of 1 to 64 bytes without control \
         characters"
    );
    assert_eq!(
        without_line(&parse(&format!("data_dir = \"\"\n{ONE}")).unwrap_err()),
        "servers.toml: data_dir is empty: it must be a directory, such as \"data\""
    );
}

proptest! {
    #[test]
    fn no_text_panics_and_every_error_is_one_line(text in "\\PC*") {
        if let Err(sentence) = parse(&text) {
            prop_assert_eq!(sentence.lines().count(), 1);
        }
    }

    #[test]
    fn no_number_anywhere_panics(
        table in prop::sample::select(vec![
            "raft", "log", "snapshot", "history", "limits", "session",
        ]),
        key in prop::sample::select(vec![
            "tick_ms", "heartbeat_interval_ms", "segment_bytes", "keep_entries", "entries_max",
            "bytes_max", "key_bytes_max", "value_bytes_max", "memory_bytes", "threads",
            "append_bytes_max", "peer_inflight_bytes_max", "inflight_bytes_max",
        ]),
        number in prop_oneof![any::<i64>(), 0..100_000i64],
    ) {
        let _ = parse(&format!("{ONE}[{table}]\n{key} = {number}"));
    }

    #[test]
    fn a_changed_file_gives_settings_or_one_line(mutation in mutation()) {
        let whole = include_str!("../../servers.toml");
        let text = String::from_utf8_lossy(&mutation.of(whole.as_bytes())).into_owned();
        if let Err(sentence) = parse(&text) {
            prop_assert_eq!(sentence.lines().count(), 1);
        }
    }
}

#[test]
fn a_server_listens_where_it_is_reached_unless_the_file_or_a_flag_says_otherwise() {
    let address = |text: &str| text.parse::<Address>().unwrap();
    let server = |text: &str, overrides: &Overrides| {
        let settings = Settings::parse(Path::new("servers.toml"), text, overrides).unwrap();
        settings.servers[&NodeId(1)].clone()
    };
    let plain = server(ONE, &Overrides::default());
    assert_eq!(plain.client_listen, plain.member().client);
    assert_eq!(plain.log_listen, plain.member().peer);

    let apart =
        format!("{ONE}client_listen = \"0.0.0.0:9000\"\nlog_listen = \"[::]:9001\"\n[session]\n");
    let listening = server(&apart, &Overrides::default());
    assert_eq!(listening.member(), plain.member());
    assert_eq!(listening.client_listen, address("0.0.0.0:9000"));
    assert_eq!(listening.log_listen, address("[::]:9001"));

    let flags = |id| Overrides {
        id: Some(NodeId(id)),
        client_listen: Some(address("10.0.0.1:1")),
        log_listen: Some(address("10.0.0.1:2")),
        client_advertise: Some(address("a.example:3")),
        log_advertise: Some(address("b.example:4")),
        ..Overrides::default()
    };
    let flagged = server(&apart, &flags(1));
    assert_eq!(flagged.client_listen, address("10.0.0.1:1"));
    assert_eq!(flagged.log_listen, address("10.0.0.1:2"));
    assert_eq!(flagged.client_address(), "a.example:3");
    assert_eq!(flagged.member().peer, address("b.example:4"));
    assert_eq!(server(&apart, &flags(2)), listening, "they are about another server");
}

#[test]
fn an_address_to_listen_at_is_a_host_and_a_port_that_no_other_listener_of_the_server_has() {
    let bound = "HOST:PORT, an address of this machine and a port from 1 to 65535, such as";
    for wrong in ["9001", "0.0.0.0", "0.0.0.0:0", "::1:9001", "a b:9001", ":9001", "h:65536"] {
        refused(
            &format!("log_listen = {wrong:?}"),
            &format!(
                "servers.toml: [[servers]] number 1 log_listen is {wrong:?}: it must be {bound} \
                 \"0.0.0.0:1001\""
            ),
        );
    }
    for (client, log) in [("0.0.0.0:7", "0.0.0.0:7"), ("[::]:7", "b:7"), ("B:7", "b:7")] {
        let host = log.split(':').next().unwrap();
        refused(
            &format!("client_listen = {client:?}\nlog_listen = {log:?}"),
            &format!(
                "servers.toml: [[servers]] number 1 log_listen is 7, which on {host} is also the \
                 client_listen of server 1: every listener needs its own port, so change one of \
                 them"
            ),
        );
    }
    // Two servers on two machines listen at the same port.
    let two = format!(
        "{ONE}log_listen = \"0.0.0.0:9001\"\n[[servers]]\nid = 2\nhostname = \"b\"\n\
         client_port = 1000\nlog_port = 1001\nlog_listen = \"0.0.0.0:9001\"\n"
    );
    assert!(parse(&two).is_ok());
}

/// A client that is redirected to 0.0.0.0 dials its own machine.
#[test]
fn an_address_that_stands_for_a_whole_machine_is_none_at_which_a_server_is_reached() {
    let rest = "which nobody can dial: it must be the address at which clients and other servers \
                reach this server; to listen on all addresses of the machine, set client_listen \
                and log_listen (or --client-listen and --log-listen) to it with the ports";
    for host in ["0.0.0.0", "::"] {
        let text = ONE.replace("\"a\"", &format!("{host:?}"));
        let sentence = without_line(&parse(&text).unwrap_err());
        let place = "servers.toml: [[servers]] number 1 hostname";
        assert_eq!(sentence, format!("{place} is {host}, {rest}"));
        let advertised = Address { host: host.into(), port: 1 };
        let flag = Overrides {
            id: Some(NodeId(1)),
            log_advertise: Some(advertised),
            ..Overrides::default()
        };
        let sentence = parse_with(ONE, &flag).unwrap_err();
        assert_eq!(sentence, format!("--log-advertise is {host}, {rest}"));
    }
    let flags = Overrides {
        id: Some(NodeId(1)),
        client_advertise: Some("a:1000".parse().unwrap()),
        log_advertise: Some("a:1001".parse().unwrap()),
        ..Overrides::default()
    };
    assert!(parse_with(&ONE.replace("\"a\"", "\"0.0.0.0\""), &flags).is_ok());
}
