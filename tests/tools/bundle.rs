//! `debug bundle` with a server that was killed and one that stands still: what is in the archive,
//! and what is not.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;
use tar::Archive;

use super::{WITHOUT_HTTP, follower, start};
use crate::common::{Connection, code};

/// Words that stand for secrets, and for what clients store.
const SECRET: &str = "hunter2";
const KEY: &str = "a-key-of-somebody";
const VALUE: &str = "a-value-of-somebody";

/// The files of an archive, by their paths.
fn unpack(path: &Path) -> BTreeMap<String, String> {
    let mut archive = Archive::new(GzDecoder::new(File::open(path).unwrap()));
    let files = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (name.strip_prefix("coracle-debug/").unwrap().to_owned(), text)
    });
    files.collect()
}

/// Checks that the manifest names each file with its size, and has a look at the reasons why others
/// are missing, by their names.
fn assert_complete(files: &BTreeMap<String, String>, look: impl FnOnce(&BTreeMap<String, String>)) {
    let manifest: Value = serde_json::from_str(&files["manifest.json"]).unwrap();
    let parts = manifest["parts"].as_array().unwrap();
    for part in parts {
        let content = &files[part["name"].as_str().unwrap()];
        assert_eq!(part["bytes"], content.len(), "{part}");
    }
    assert_eq!(files.len(), parts.len() + 1);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let missing = manifest["missing"].as_array().unwrap().iter();
    look(&missing.map(|part| (text(&part["name"]), text(&part["reason"]))).collect());
}

#[test]
fn a_bundle_has_what_can_be_had_and_says_what_cannot() {
    let mut cluster = start();
    let (leader, dead) = (cluster.wait_for_leader(), follower(&cluster));
    let stuck = (1..).find(|id| ![leader, dead, WITHOUT_HTTP].contains(id)).unwrap();
    let well = (1..).find(|id| ![stuck, dead, WITHOUT_HTTP].contains(id)).unwrap();
    let set = format!("set {KEY} 0 {}\r\n{VALUE}\r\n", VALUE.len());
    let reply = Connection::open(&cluster.address(leader)).unwrap().ask(&set).unwrap();
    assert!(reply.starts_with("OK "), "{reply}");
    cluster.kill(dead);
    cluster.signal(stuck, "STOP");
    let text = fs::read_to_string(cluster.config()).unwrap();
    fs::write(cluster.config(), format!("# password = \"{SECRET}\"\n{text}")).unwrap();

    let log = cluster.config().with_file_name(format!("n{well}.log"));
    let path = cluster.config().with_file_name("a.tar.gz");
    let (shown, log) = (path.display().to_string(), log.display().to_string());
    let arguments = ["debug", "bundle", "--output", &shown, "--log", &log, "--log", "/no/such.log"];
    // On a busy machine a server may answer too late for one archive.
    let files = cluster.wait_for("an archive with all of one that is well", || {
        let _ = fs::remove_file(&path);
        let output = cluster.coracle(&arguments);
        assert_eq!(code(&output), 0, "{output:?}");
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(told.starts_with(&format!("{shown} is written; ")), "{told}");
        let files = unpack(&path);
        let of_well = files.keys().filter(|name| name.starts_with(&format!("n{well}/")));
        (of_well.count() == 7).then_some(files)
    });
    cluster.signal(stuck, "CONT");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    for name in ["status.txt", "members.json", "report.json", "metrics.txt", "readyz.txt"] {
        let content = &files[&format!("n{well}/{name}")];
        assert!(!content.is_empty(), "{name}");
    }
    assert!(files[&format!("n{well}/status.txt")].contains(&format!("id {well}\nrole ")));
    assert!(files[&format!("n{well}/metrics.txt")].contains("\nraft_is_leader "));
    assert!(files[&format!("n{well}/readyz.txt")].contains("linearizable_read"));
    assert!(files[&format!("logs/1-n{well}.log")].contains("peer connected"));
    assert!(files["servers.toml"].contains("election_timeout_ms"));
    for (name, content) in &files {
        for word in [SECRET, KEY, VALUE] {
            assert!(!content.contains(word), "{word} is in {name}");
        }
    }

    assert_complete(&files, |reasons| {
        let reason = |name: String| reasons[&name].as_str();
        assert!(reason(format!("n{dead}/status.txt")).contains("refused"), "{reasons:?}");
        assert!(reason(format!("n{dead}/metrics.txt")).contains("refused"), "{reasons:?}");
        let silent = reason(format!("n{stuck}/status.txt"));
        assert!(silent.contains("no answer in time"), "{reasons:?}");
        let silent = reason(format!("n{stuck}/report.json"));
        assert!(silent.contains("has not answered"), "{reasons:?}");
        let without = reason(format!("n{WITHOUT_HTTP}/report.json"));
        assert!(without.contains("no HTTP port"), "{reasons:?}");
        assert!(reason("logs/2-such.log".into()).contains("No such file"), "{reasons:?}");
    });

    let before = fs::read(&path).unwrap();
    let again = cluster.coracle(&arguments);
    assert_eq!(code(&again), 1, "{again:?}");
    assert!(String::from_utf8_lossy(&again.stderr).contains("is not overwritten"), "{again:?}");
    assert_eq!(fs::read(&path).unwrap(), before);
}
