//! Archives that are written and read again.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use flate2::read::GzDecoder;
use tar::Archive;

use super::super::manifest::tests::manifest;
use super::*;

#[test]
fn an_archive_has_the_manifest_and_the_parts_that_are_there() {
    let bytes = pack(Vec::new(), &manifest()).unwrap();
    let mut archive = Archive::new(GzDecoder::new(bytes.as_slice()));
    let mut found = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().display().to_string();
        assert_eq!(entry.header().mode().unwrap(), 0o600, "{path}");
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        found.push((path, text));
    }
    let expected = [
        ("coracle-debug/manifest.json".to_owned(), manifest().json().line()),
        ("coracle-debug/n1/status.txt".to_owned(), "id 1\n".to_owned()),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_file_is_its_owners_alone_and_none_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar.gz");
    write(create(&path).unwrap(), &manifest()).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&path).unwrap();
    let failure = create(&path).unwrap_err();
    assert_eq!(failure.exit_code(), 1);
    assert!(failure.to_string().contains("is not overwritten"), "{failure}");
    assert_eq!(fs::read(&path).unwrap(), before);
    let failure = create(&directory.path().join("no/b.tar.gz")).unwrap_err();
    assert!(failure.to_string().contains("cannot be written"), "{failure}");
    remove(&path);
    assert!(!path.exists());
}
