use std::io::Write;

use tempfile::TempDir;

use super::*;

fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_file_has_its_name_only_when_it_is_kept() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file");
    let new = NewFile::plan(&path, false).unwrap();
    new.create().unwrap().write_all(b"half").unwrap();
    assert_eq!(names(&directory), ["file.new"]);
    drop(new);
    assert!(names(&directory).is_empty());
    let new = NewFile::plan(&path, false).unwrap();
    new.create().unwrap().write_all(b"whole").unwrap();
    new.keep().unwrap();
    assert_eq!(names(&directory), ["file"]);
    assert_eq!(fs::read(&path).unwrap(), b"whole");
}

#[test]
fn a_file_that_is_there_is_replaced_only_on_request() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "old").unwrap();
    let refused = NewFile::plan(&path, false).unwrap_err();
    assert!(matches!(refused, Failure::Usage(said) if said.ends_with("--force replaces it")));
    let new = NewFile::plan(&path, true).unwrap();
    new.create().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"old", "until the new one is whole");
    new.keep().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
}
