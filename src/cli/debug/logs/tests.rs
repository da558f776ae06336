//! Ends of files, and what is no file.

use std::fs;

use super::*;

#[test]
fn a_long_file_is_cut_to_whole_lines_and_a_short_one_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("n1 log");
    fs::write(&path, "one\ntwo\nthree\n").unwrap();
    assert_eq!(tail(&path, 100).unwrap(), b"one\ntwo\nthree\n");
    assert_eq!(tail(&path, 14).unwrap(), b"one\ntwo\nthree\n");
    assert_eq!(tail(&path, 13).unwrap(), b"two\nthree\n");
    assert_eq!(tail(&path, 3).unwrap(), b"");
    fs::write(&path, "a line without an end").unwrap();
    assert_eq!(tail(&path, 6).unwrap(), b"an end");
    assert_eq!(part(2, &path).name, "logs/2-n1_log");
}

#[test]
fn what_is_no_file_or_not_there_has_a_reason() {
    for (path, reason) in [
        ("/dev/zero", "/dev/zero: it is no regular file"),
        ("/no/such.log", "/no/such.log: No such file or directory (os error 2)"),
    ] {
        assert_eq!(part(1, Path::new(path)).content.unwrap_err(), reason);
    }
    assert_eq!(part(1, Path::new("..")).name, "logs/1-");
}
