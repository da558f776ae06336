use coracle::types::NodeId;
use tempfile::TempDir;

use super::*;

fn said(failure: Failure) -> String {
    assert!(matches!(failure, Failure::Usage(_)), "{failure:?}");
    failure.to_string()
}

#[test]
fn the_settings_stay_in_a_directory_that_is_given() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("new");
    let place = || Place::given(&path).unwrap();
    let settings = place().settings(Some(3), Some(20_000)).unwrap();
    let addresses = |settings: &Settings| -> Vec<String> {
        settings.servers.values().map(|server| server.client_address()).collect()
    };
    let expected = ["127.0.0.1:20000", "127.0.0.1:20002", "127.0.0.1:20004"];
    assert_eq!(addresses(&settings), expected);
    let third = settings.server(NodeId(3)).unwrap();
    assert_eq!(third.advertised.peer.port, 20_005);
    assert_eq!(third.http_address().unwrap().port, 20_102);
    assert_eq!(third.data_dir, path.join("data/3"));
    for servers in [None, Some(3)] {
        assert_eq!(addresses(&place().settings(servers, None).unwrap()), expected);
    }
    let other = said(place().settings(Some(5), None).unwrap_err());
    assert!(other.contains("lists 3 servers, and not 5: leave out --nodes"), "{other}");
    let other = said(place().settings(None, Some(1)).unwrap_err());
    assert!(other.contains("leave out --port"), "{other}");
    place().leave().unwrap();
    assert!(path.join("servers.toml").exists());
}

#[test]
fn a_temporary_directory_is_removed_with_all_that_is_in_it() {
    let place = Place::temporary().unwrap();
    let other = Place::temporary().unwrap();
    assert_ne!(place.path(), other.path());
    let path = place.path().to_path_buf();
    assert_eq!(place.settings(None, Some(0)).unwrap().servers.len(), 1);
    assert!(path.join("servers.toml").exists());
    place.leave().unwrap();
    assert!(!path.exists());
    other.leave().unwrap();
}

#[test]
fn free_ports_are_different_and_not_taken() {
    let ports = free_ports(25).unwrap();
    let mut all: Vec<u16> = ports.iter().flat_map(|it| [it.client, it.log, it.http]).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 75);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(!is_free(taken.local_addr().unwrap().port()));
}

#[test]
fn the_highest_first_port_leaves_room_for_all_servers() {
    let last = *ports_from(65_000, 25).last().unwrap();
    assert_eq!(last, Ports { client: 65_048, log: 65_049, http: 65_124 });
}
