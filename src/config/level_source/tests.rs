use log::LevelFilter;

use super::*;

const ONE: &str = "[[servers]]\nid = 1\nhostname = \"a\"\nclient_port = 1000\nlog_port = 1001\n";

#[test]
fn a_file_is_read_again_as_a_start_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("servers.toml");
    let file = |is_joining| {
        let overrides = Overrides::default();
        SettingsFile { path: path.clone(), overrides, is_joining }
    };
    std::fs::write(&path, "log_level = \"trace\"\n").unwrap();
    assert_eq!(file(true).read_logging().unwrap().level, LevelFilter::Trace);
    assert!(matches!(file(false).read_logging(), Err(ConfigError::NoServers { .. })));
    std::fs::write(&path, format!("log_level = \"warn\"\n{ONE}")).unwrap();
    assert_eq!(file(false).read_logging().unwrap().level, LevelFilter::Warn);
    std::fs::write(&path, format!("log_level = \"warn\"\n{ONE}[raft]\ntick_ms = 0\n")).unwrap();
    assert!(matches!(file(false).read_logging(), Err(ConfigError::OutOfRange { .. })));
}
