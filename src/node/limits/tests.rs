//! The files that are set apart for peers and for HTTP.

use std::path::Path;

use super::*;
use crate::config::Overrides;

#[test]
fn a_cluster_can_grow_where_there_are_files_enough_and_starts_where_there_are_few() {
    assert_eq!(members_max(5, u64::MAX), MEMBERS_MAX);
    assert_eq!(members_max(5, 100), 5, "a small limit leaves room for those that are there");
    for open_files_max in [256, 1024, 1 << 20] {
        let members = members_max(5, open_files_max);
        assert!(members > 5 && 3 * members as u64 <= open_files_max / 8);
    }
}

#[test]
fn the_connections_of_http_take_none_of_the_descriptors_that_a_server_needs() {
    let clients = |http: &str| {
        let text = format!(
            "[[servers]]\nid = 1\nhostname = \"a\"\nclient_port = 1\nlog_port = 2\n{http}\
             [http]\nconnections_max = 100\n"
        );
        let settings =
            Settings::parse(Path::new("servers.toml"), &text, &Overrides::default()).unwrap();
        let server = settings.servers.values().next().unwrap();
        connections_max(&settings, server, 1_024).unwrap()
    };
    assert_eq!(clients("") - clients("http_port = 3\n"), 100 + HTTP_FILES);
}
