//! The settings of servers that join.

use super::*;

fn at(host: &str, port: u16) -> Address {
    Address { host: host.into(), port }
}

fn members() -> BTreeMap<NodeId, Member> {
    let member =
        |id| Member { peer: at(&format!("host{id}"), 9001), client: at("host", id as u16) };
    [1, 2, 6].into_iter().map(|id| (NodeId(id), member(id))).collect()
}

fn load(overrides: &Overrides) -> JoinSettings {
    JoinSettings::load(None, overrides).unwrap()
}

#[test]
fn without_a_file_the_cluster_names_everything() {
    let overrides = Overrides { data_dir: Some("dir".into()), ..Overrides::default() };
    let joining = load(&overrides);
    assert_eq!(joining.cluster(), None);
    let settings = joining.settings(NodeId(6), "orders", &members(), None);
    assert_eq!(settings.cluster, "orders");
    assert_eq!(settings.servers.len(), 3);
    let own = &settings.servers[&NodeId(6)];
    assert_eq!(own.data_dir, Path::new("dir/6"));
    assert_eq!((&own.log_listen, &own.client_listen), (&at("host6", 9001), &at("host", 6)));
    assert_eq!(own.member(), members()[&NodeId(6)]);
    assert_eq!(settings.raft.promise(), None);
}

#[test]
fn the_flags_for_addresses_are_about_the_server_that_joins_alone() {
    let overrides = Overrides {
        log_listen: Some(at("0.0.0.0", 1)),
        client_listen: Some(at("0.0.0.0", 2)),
        log_advertise: Some(at("outside", 3)),
        client_advertise: Some(at("outside", 4)),
        ..Overrides::default()
    };
    let settings = load(&overrides).settings(NodeId(6), "orders", &members(), None);
    let own = &settings.servers[&NodeId(6)];
    assert_eq!((&own.log_listen, &own.client_listen), (&at("0.0.0.0", 1), &at("0.0.0.0", 2)));
    assert_eq!(own.member(), Member { peer: at("outside", 3), client: at("outside", 4) });
    assert_eq!(settings.servers[&NodeId(1)].member(), members()[&NodeId(1)]);
    let nowhere = Overrides { log_advertise: Some(at("0.0.0.0", 3)), ..Overrides::default() };
    let error = JoinSettings::load(None, &nowhere).unwrap_err().to_string();
    assert!(error.contains("--log-advertise"), "{error}");
}

#[test]
fn the_times_follow_the_promise_of_the_cluster_when_no_file_says_them() {
    for ms in [3, 30, 150, 4000] {
        let promise = Some(Duration::from_millis(ms));
        let settings =
            load(&Overrides::default()).settings(NodeId(6), "orders", &members(), promise);
        let raft = settings.raft;
        assert_eq!(raft.promise(), promise);
        assert!(raft.election_timeout_ms_max > ms && raft.heartbeat_interval_ms <= ms / 3);
        assert!(raft.tick_ms >= 1 && raft.tick_ms <= raft.heartbeat_interval_ms);
    }
}

#[test]
fn a_file_gives_the_tables_and_no_servers() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let server = "[[servers]]\nid = 9\nhostname = \"h\"\nclient_port = 1\nlog_port = 2\n";
    std::fs::write(file.path(), format!("cluster = \"orders\"\n{server}[raft]\ntick_ms = 5\n"))
        .unwrap();
    let joining = JoinSettings::load(Some(file.path()), &Overrides::default()).unwrap();
    assert_eq!(joining.cluster(), Some("orders"));
    let promise = Some(Duration::from_millis(150));
    let settings = joining.settings(NodeId(6), "orders", &members(), promise);
    assert_eq!(settings.servers.keys().map(|id| id.0).collect::<Vec<_>>(), [1, 2, 6]);
    assert_eq!((settings.raft.tick_ms, settings.raft.promise()), (5, None), "the file counts");
}

#[test]
fn a_large_cluster_gets_the_memory_that_it_needs() {
    let member = Member { peer: at("host", 1), client: at("host", 2) };
    let many: BTreeMap<_, _> = (1..=64).map(|id| (NodeId(id), member.clone())).collect();
    let limits = load(&Overrides::default()).settings(NodeId(6), "orders", &many, None).limits;
    assert!(limits.client_bytes(64) >= limits.client_bytes_min());
}
