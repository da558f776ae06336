//! The files of deploy/: the settings in them are valid, and their names and ports agree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use coracle::config::{Overrides, Settings};
use tempfile::TempDir;

fn text_of(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The settings in a servers.toml with this text.
fn settings(text: &str) -> Settings {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("servers.toml");
    fs::write(&path, text).unwrap();
    Settings::load(&path, &Overrides::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// The numbers of ports that a file has behind `key`.
fn ports_behind(text: &str, key: &str) -> BTreeSet<u16> {
    let values = text.lines().filter_map(|line| line.trim().strip_prefix(key));
    // A probe names its port by a word.
    values.filter_map(|value| value.trim().parse().ok()).collect()
}

/// The ports at which all of the servers listen, each kind of them at one port, on all addresses.
fn listening(settings: &Settings) -> BTreeSet<u16> {
    let addresses = settings.servers.values().flat_map(|server| {
        let http = server.http_listen.clone().expect("it has an HTTP port");
        [server.client_listen.clone(), server.log_listen.clone(), http]
    });
    let ports = addresses.map(|address| {
        assert_eq!(address.host, "0.0.0.0");
        address.port
    });
    ports.collect()
}

/// The settings that a ConfigMap in this text has.
fn embedded_settings(manifest: &str) -> Settings {
    let (_, behind) = manifest.split_once("  servers.toml: |\n").unwrap();
    let (block, _) = behind.split_once("\n---\n").unwrap();
    let lines = block.lines().map(|line| line.strip_prefix("    ").unwrap_or(line));
    settings(&lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn the_servers_of_kubernetes_have_the_names_and_ports_of_their_pods() {
    let manifest = text_of("kubernetes/coracle.yaml");
    let settings = embedded_settings(&manifest);
    let ids: Vec<u64> = settings.servers.keys().map(|id| id.0).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5]);
    assert!(manifest.contains("\n  replicas: 5\n  "));
    assert!(manifest.contains("\n  ordinals:\n    start: 1\n"));
    assert!(manifest.contains("\n  serviceName: coracle-servers\n"));
    for (id, server) in &settings.servers {
        // The name of the pod, of the headless service and of the namespace.
        let name = format!("coracle-{id}.coracle-servers.coracle.svc");
        assert_eq!(server.advertised.client.host, name);
        assert_eq!(server.advertised.peer.host, name);
        assert_eq!(server.advertised.client.port, server.client_listen.port);
        assert_eq!(server.advertised.peer.port, server.log_listen.port);
    }
    let ports = listening(&settings);
    assert_eq!(ports, ports_behind(&manifest, "containerPort:"));
    assert_eq!(ports, ports_behind(&manifest, "port:"));
    assert!(manifest.contains(&format!("mountPath: {}\n", parent(&settings))));
}

#[test]
fn the_settings_in_the_container_listen_at_the_ports_that_it_exposes() {
    let file = text_of("container/Containerfile");
    let settings = settings(&text_of("container/servers.toml"));
    let exposed = file.lines().find_map(|line| line.strip_prefix("EXPOSE ")).unwrap();
    let exposed: BTreeSet<u16> = exposed.split(' ').map(|port| port.parse().unwrap()).collect();
    assert_eq!(listening(&settings), exposed);
    assert!(file.contains(&format!("VOLUME {}\n", parent(&settings))));
}

#[test]
fn the_settings_of_the_debian_package_are_valid_alone_and_with_the_servers_in_their_comments() {
    let text = text_of("debian/servers.toml");
    let one = settings(&text);
    assert_eq!(one.servers.len(), 1);
    let unit = text_of("debian/coracle.service");
    assert_eq!(format!("/var/lib/{}", value(&unit, "StateDirectory")), parent(&one));
    assert!(text_of("debian/coracle.default").contains("\nCORACLE_ID=1\n"));

    let (before, after) = text.split_once("are three such tables:\n").unwrap();
    let tables = after.lines().map(|line| match line.strip_prefix("# ") {
        Some(line) if line.starts_with("[[") || line.contains(" = ") => line,
        _ => "",
    });
    let tables: Vec<&str> = tables.collect();
    let three = settings(&format!("{before}\n{}", tables.join("\n")));
    assert_eq!(three.servers.len(), 3);
}

/// The systemd setting with this name.
fn value<'a>(unit: &'a str, name: &str) -> &'a str {
    let mut values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.next_back().unwrap_or_else(|| panic!("the unit has no {name}"))
}

/// The directory of all servers' files.
fn parent(settings: &Settings) -> String {
    let dirs: BTreeSet<PathBuf> =
        settings.servers.values().map(|it| it.data_dir.parent().unwrap().to_owned()).collect();
    assert_eq!(dirs.len(), 1);
    dirs.first().unwrap().display().to_string()
}
