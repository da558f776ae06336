//! Syncs of a real file, which leaves nothing behind; and their summary.

use super::*;

#[test]
fn a_disk_is_measured_and_nothing_stays_in_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let fsync = measure(&directory.path().join("1")).unwrap();
    assert!((1..=APPENDS).contains(&fsync.count), "{fsync:?}");
    assert!(fsync.p50_ms > 0.0 && fsync.p50_ms <= fsync.p99_ms, "{fsync:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_that_is_not_there_yet_is_on_the_disk_of_the_one_above_it() {
    let directory = tempfile::tempdir().unwrap();
    let local = look(&directory.path().join("data/7"));
    let disk = local.disk.unwrap();
    assert_eq!(disk.device, fs::metadata(directory.path()).unwrap().dev());
    assert!(disk.bytes >= disk.free_bytes && disk.bytes > 0, "{disk:?}");
    assert_eq!((local.log_bytes, local.snapshot_bytes), (0, 0));
    fs::create_dir_all(local.data_dir.join("log")).unwrap();
    fs::write(local.data_dir.join("log/a"), [0; 7]).unwrap();
    assert_eq!(look(&local.data_dir).log_bytes, 7);
    assert_eq!(existing(Path::new("no/such")), Path::new("."));
}

#[test]
fn where_nothing_can_be_written_the_reason_is_told() {
    let reason = measure(Path::new("/proc/self")).unwrap_err();
    assert!(reason.starts_with("/proc/self: "), "{reason}");
}

#[test]
fn the_quantiles_are_of_the_nearest_rank() {
    let ms = |times: &[u64]| summary(times.iter().map(|ms| Duration::from_millis(*ms)).collect());
    assert_eq!(ms(&[5, 1, 3]), Fsync { count: 3, p50_ms: 3.0, p99_ms: 5.0 });
    assert_eq!(ms(&[7]), Fsync { count: 1, p50_ms: 7.0, p99_ms: 7.0 });
    let hundred: Vec<u64> = (1..=100).collect();
    assert_eq!(ms(&hundred), Fsync { count: 100, p50_ms: 50.0, p99_ms: 99.0 });
}
