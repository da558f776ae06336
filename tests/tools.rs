//! `coracle top`, `doctor`, `debug bundle` and the prompt with real servers, some of them dead.

mod common;

/// One file for each command.
mod tools {
    mod bundle;
    mod doctor;
    mod prompt;
    mod screen;
    mod terminal;
    mod top;

    use std::fs;

    use coracle::testing::drill::free_ports;

    use super::common::Cluster;

    /// The server that has no HTTP port.
    pub const WITHOUT_HTTP: u64 = 5;

    /// Starts five servers, all but one with an HTTP port in servers.toml, and waits for a leader.
    pub fn start() -> Cluster {
        let mut cluster = Cluster::prepare();
        let ports = free_ports(cluster.ids().len()).unwrap();
        let mut text = fs::read_to_string(cluster.config()).unwrap();
        for (id, port) in cluster.ids().into_iter().zip(ports) {
            if id != WITHOUT_HTTP {
                let line = format!("[[servers]]\nid = {id}\n");
                text = text.replace(&line, &format!("{line}http_port = {port}\n"));
            }
        }
        fs::write(cluster.config(), text).unwrap();
        cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
        cluster.wait_for_leader();
        cluster.wait_for_highest_format();
        cluster
    }

    /// The first server that does not lead and has an HTTP port.
    pub fn follower(cluster: &Cluster) -> u64 {
        let leader = cluster.wait_for_leader();
        cluster.ids().into_iter().find(|id| *id != leader && *id != WITHOUT_HTTP).unwrap()
    }
}
