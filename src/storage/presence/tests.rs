//! A data directory that goes away while it is in use, in a real file system.

use std::fs;
use std::os::unix::fs::symlink;

use tempfile::TempDir;

use crate::storage::disk::RealDisk;
use crate::storage::{SnapshotFiles, Storage, StorageError, StorageOptions};
use crate::testing::SimDisk;
use crate::types::{Entry, FormatRange, HardState, Incarnation, LogIndex, NodeId, Payload, Term};

use super::*;

/// A storage whose directory is in use, and has an entry.
struct Fixture {
    parent: TempDir,
    storage: Storage,
}

fn options() -> StorageOptions {
    StorageOptions {
        cluster: "coracle".into(),
        node_id: NodeId(1),
        segment_bytes: 1536,
        can_repair: false,
        has_majority_of_others: false,
        new_incarnation: Incarnation(1),
        formats: FormatRange::OWN,
    }
}

fn open(disk: &dyn Disk, dir: &Path) -> Storage {
    let (mut storage, _) =
        Storage::open(disk.another_handle(), dir, options()).expect("the directory is whole");
    let snapshots = SnapshotFiles::open(disk.another_handle(), dir).unwrap();
    storage.watch_snapshots(&snapshots).unwrap();
    storage
}

fn write(storage: &mut Storage, indexes: std::ops::RangeInclusive<u64>) {
    let hard_state = HardState { current_term: Term(1), ..HardState::default() };
    storage.save_hard_state(hard_state).unwrap();
    let entry = |index| Entry {
        index: LogIndex(index),
        term: Term(1),
        stamp_ms: 0,
        payload: Payload::Command(vec![7; 500].into()),
    };
    let entries: Vec<Entry> = indexes.map(entry).collect();
    storage.append(&entries).unwrap();
    storage.sync().unwrap();
}

impl Fixture {
    fn start() -> Fixture {
        let parent = TempDir::new().unwrap();
        let mut storage = open(&RealDisk, &parent.path().join("1"));
        write(&mut storage, 1..=1);
        storage.check_presence().expect("it is there");
        Fixture { parent, storage }
    }

    fn dir(&self) -> PathBuf {
        self.parent.path().join("1")
    }

    /// Checks that the path `name` in the data directory is found to be gone, and that nothing
    /// is done after that.
    #[track_caller]
    fn assert_gone(mut self, name: &str) {
        let dir = self.dir();
        let gone = self.storage.check_presence().unwrap_err();
        let StorageError::Gone { path, data_dir } = &gone else { panic!("{gone}") };
        assert_eq!((path, data_dir), (&dir.join(name), &dir));
        assert!(matches!(self.storage.sync(), Err(StorageError::Stopped)));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn a_directory_that_was_deleted_is_gone() {
    let f = Fixture::start();
    fs::remove_dir_all(f.dir()).unwrap();
    f.assert_gone("");
}

#[test]
fn a_directory_that_was_moved_is_gone_and_so_is_one_above_it() {
    let f = Fixture::start();
    fs::rename(f.dir(), f.parent.path().join("away")).unwrap();
    f.assert_gone("");
    let parent = TempDir::new().unwrap();
    let (above, dir) = (parent.path().join("data"), parent.path().join("data/1"));
    let mut storage = open(&RealDisk, &dir);
    fs::rename(&above, parent.path().join("old")).unwrap();
    assert!(matches!(storage.check_presence(), Err(StorageError::Gone { .. })));
}

#[test]
fn a_directory_that_a_copy_or_an_empty_one_has_replaced_is_gone() {
    let f = Fixture::start();
    let away = f.parent.path().join("away");
    fs::rename(f.dir(), &away).unwrap();
    copy(&away, &f.dir());
    f.assert_gone("");
    let f = Fixture::start();
    fs::remove_dir_all(f.dir()).unwrap();
    fs::create_dir(f.dir()).unwrap();
    f.assert_gone("");
}

#[test]
fn each_file_and_directory_that_a_restart_needs_is_missed() {
    for name in ["lock", "hard_state", "log/00000001.segment"] {
        let f = Fixture::start();
        fs::remove_file(f.dir().join(name)).unwrap();
        f.assert_gone(name);
        // A copy under the same name is another file.
        let f = Fixture::start();
        let bytes = fs::read(f.dir().join(name)).unwrap();
        fs::rename(f.dir().join(name), f.parent.path().join("away")).unwrap();
        fs::write(f.dir().join(name), bytes).unwrap();
        f.assert_gone(name);
    }
    for name in ["log", "snapshot"] {
        let f = Fixture::start();
        fs::remove_dir_all(f.dir().join(name)).unwrap();
        f.assert_gone(name);
    }
}

#[test]
fn a_segment_before_the_last_is_missed_unless_the_log_was_compacted() {
    let mut f = Fixture::start();
    write(&mut f.storage, 2..=9);
    f.storage.check_presence().unwrap();
    fs::remove_file(f.dir().join("log/00000002.segment")).unwrap();
    f.assert_gone("log/00000002.segment");
    let mut f = Fixture::start();
    write(&mut f.storage, 2..=9);
    f.storage.compact(LogIndex(7)).unwrap();
    f.storage.check_presence().unwrap();
    write(&mut f.storage, 10..=30);
    f.storage.check_presence().unwrap();
    f.storage.reset(crate::types::LogPosition { index: LogIndex(50), term: Term(1) }).unwrap();
    f.storage.check_presence().unwrap();
}

/// A write that needs a new file in a directory that is gone says so, too.
#[test]
fn a_file_that_cannot_be_made_because_the_directory_is_gone_is_reported_as_that() {
    let mut f = Fixture::start();
    fs::remove_dir_all(f.dir()).unwrap();
    let entry = |index| Entry {
        index: LogIndex(index),
        term: Term(1),
        stamp_ms: 0,
        payload: Payload::Command(vec![7; 900].into()),
    };
    let error = f.storage.append(&[entry(2), entry(3)]).unwrap_err();
    assert!(matches!(error, StorageError::Gone { .. }), "{error}");
}

#[test]
fn links_to_a_directory_are_followed_and_one_that_leads_elsewhere_is_noticed() {
    let parent = TempDir::new().unwrap();
    let (real, link) = (parent.path().join("disk1"), parent.path().join("data"));
    fs::create_dir(&real).unwrap();
    symlink(&real, &link).unwrap();
    let mut storage = open(&RealDisk, &link.join("1"));
    write(&mut storage, 1..=9);
    storage.check_presence().unwrap();
    // A directory that is moved, and can be found where it was, is not gone.
    let moved = parent.path().join("disk2");
    fs::rename(&real, &moved).unwrap();
    symlink(&moved, &real).unwrap();
    storage.check_presence().unwrap();
    write(&mut storage, 10..=19);
    storage.check_presence().unwrap();
    copy(&moved, &parent.path().join("disk3"));
    fs::remove_file(&link).unwrap();
    symlink(parent.path().join("disk3"), &link).unwrap();
    assert!(matches!(storage.check_presence(), Err(StorageError::Gone { .. })));
}

#[test]
fn the_simulated_disk_answers_the_same() {
    let dir = Path::new("data/1");
    for name in ["lock", "hard_state", "log/00000001.segment"] {
        let disk = SimDisk::new();
        let mut storage = open(&disk, dir);
        write(&mut storage, 1..=1);
        storage.check_presence().unwrap();
        disk.lose(&dir.join(name));
        let gone = storage.check_presence().unwrap_err();
        assert!(matches!(&gone, StorageError::Gone { path, .. } if *path == dir.join(name)));
    }
    let disk = SimDisk::new();
    let mut storage = open(&disk, dir);
    disk.set_contents(&dir.join("lock"), Vec::new());
    assert!(matches!(storage.check_presence(), Err(StorageError::Gone { .. })));
}
