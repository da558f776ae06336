use super::*;
use crate::storage::{DurableState, Storage, StorageError, StorageOptions, verify};
use crate::testing::{Crash, SimDisk};
use crate::types::{
    Entry, FormatRange, HardState, Incarnation, LogSummary, Membership, Payload, Term,
};

fn dir() -> &'static Path {
    Path::new("data/1")
}

fn open(
    disk: &SimDisk,
    has_majority_of_others: bool,
) -> Result<(Storage, DurableState), StorageError> {
    let options = StorageOptions {
        cluster: "coracle".into(),
        node_id: NodeId(1),
        segment_bytes: 1536,
        can_repair: true,
        has_majority_of_others,
        new_incarnation: Incarnation(5),
        formats: FormatRange::OWN,
    };
    Storage::open(Box::new(disk.clone()), dir(), options)
}

fn at(index: u64, term: u64) -> LogPosition {
    LogPosition { index: LogIndex(index), term: Term(term) }
}

fn divergence(index: u64) -> Divergence {
    Divergence { index: LogIndex(index), found: "the store differs".into() }
}

const VOTER: HardState = HardState {
    current_term: Term(3),
    voted_for: Some(NodeId(2)),
    is_rejoining: false,
    lost: LogPosition { index: LogIndex(0), term: Term(0) },
    is_end_known: false,
};

/// Adds entries to a log, up to `last`, the first of which says the members.
fn extend(storage: &mut Storage, last: u64, members: u64) {
    storage.save_hard_state(VOTER).unwrap();
    for index in storage.last().index.0 + 1..=last {
        let payload = match index {
            1 => Payload::Membership(Membership::seed((1..=members).map(NodeId))),
            _ => Payload::Command(vec![index as u8 | 1; 200].into()),
        };
        let index = LogIndex(index);
        storage.append(&[Entry { index, term: Term(2), stamp_ms: 0, payload }]).unwrap();
    }
    storage.sync().unwrap();
}

/// A directory with some segments and a snapshot, which is marked.
fn marked(members: u64) -> SimDisk {
    let disk = SimDisk::new();
    let (mut storage, _) = open(&disk, true).unwrap();
    extend(&mut storage, 20, members);
    let snapshot = dir().join("snapshot");
    disk.create_dir_all(&snapshot).unwrap();
    disk.sync_dir(dir()).unwrap();
    disk.set_contents(&snapshot.join("00000000000000000010-2.snapshot"), vec![1; 30]);
    let error = storage.mark_diverged(divergence(17));
    let said = error.to_string();
    for part in ["the store differs", "data/1/diverged-17", "`coracle serve --id 1`"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(matches!(storage.sync(), Err(StorageError::Stopped)), "nothing more is written");
    drop(storage);
    disk.crash(Crash::LoseUnsynced);
    disk
}

/// The names below the data directory, without those of segments that may be anywhere.
fn names(disk: &SimDisk, below: &str) -> Vec<String> {
    let below = dir().join(below);
    let paths = disk.paths().into_iter();
    paths.filter_map(|path| Some(path.strip_prefix(&below).ok()?.display().to_string())).collect()
}

/// Checks that the server has begun anew and that everything that it had is kept.
#[track_caller]
fn check_is_aside(disk: &SimDisk, whole: &SimDisk, aside: &str) {
    let (storage, found) = open(disk, true).expect("it starts");
    let expected = HardState { is_rejoining: true, lost: at(20, 2), is_end_known: true, ..VOTER };
    assert_eq!(found.hard_state, expected);
    assert_eq!((storage.base(), storage.last()), (at(0, 0), at(0, 0)));
    assert_eq!(found.log, LogSummary::default());
    assert_eq!(storage.incarnation(), Incarnation(5));
    drop(storage);
    for part in PARTS {
        let kept = names(disk, &format!("{aside}/{part}"));
        assert_eq!(kept, names(whole, part), "{part}");
        for name in kept {
            let was = whole.contents(&dir().join(part).join(&name));
            assert_eq!(disk.contents(&dir().join(aside).join(part).join(&name)), was, "{name}");
        }
    }
    assert!(!disk.paths().contains(&mark_path(dir())), "the mark is gone");
    let report = verify(disk, &dir().join(aside)).expect("it is a data directory, too");
    assert_eq!((report.last, report.hard_state), (at(20, 2), VOTER));
}

#[test]
fn golden_bytes_of_a_mark() {
    let encoded = LINES.encode(["17".into(), "the store differs".into()]);
    let expected = "coracle 1\nindex 17\nfound the store differs\ncrc32c 8ec1435c\n";
    assert_eq!(encoded, expected);
}

#[test]
fn verify_says_what_the_next_start_does_and_changes_nothing() {
    let disk = marked(3);
    let operations = disk.operations();
    let report = verify(&disk, dir()).unwrap();
    assert!(report.notes.concat().contains("data/1 is marked (the store differs)"), "{report:?}");
    assert_eq!(disk.operations(), operations);
}

#[test]
fn a_marked_server_begins_anew_and_keeps_what_it_had_for_inspection() {
    let disk = marked(3);
    let whole = disk.duplicate();
    let (_, found) = open(&disk, true).unwrap();
    let note = found.notes.concat();
    for part in ["data/1 was marked: the store differs", "data/1/diverged-17", "entry 20@2"] {
        assert!(note.contains(part), "{note}");
    }
    disk.crash(Crash::LoseUnsynced);
    check_is_aside(&disk, &whole, "diverged-17");
    disk.crash(Crash::LoseUnsynced);
    check_is_aside(&disk, &whole, "diverged-17");
}

/// The power fails at every step of such a start, and again at a step of the next.
#[test]
fn a_power_cut_at_any_step_of_setting_aside_leaves_the_same_server() {
    let whole = marked(3);
    let steps = {
        let copy = whole.duplicate();
        drop(open(&copy, true).unwrap());
        copy.operations()
    };
    assert!(steps >= 15, "the decision in two copies, two moves, the mark and the new log");
    for first in 0..=steps {
        for second in [0, 1, 2, 3, 5, 8, 13] {
            for crash in [Crash::LoseUnsynced, Crash::KeepUnsynced, Crash::Seeded(first)] {
                let copy = whole.duplicate();
                for operations in [first, second] {
                    copy.cut_power_after(operations);
                    drop(open(&copy, true));
                    copy.crash(crash);
                }
                check_is_aside(&copy, &whole, "diverged-17");
            }
        }
    }
}

#[test]
fn only_what_was_moved_aside_last_is_kept() {
    for (again, is_other) in [(18, true), (17, false)] {
        let disk = marked(3);
        let (mut storage, _) = open(&disk, true).unwrap();
        extend(&mut storage, 20, 3);
        storage.mark_diverged(divergence(again));
        drop(storage);
        disk.crash(Crash::LoseUnsynced);
        let whole = disk.duplicate();
        let steps = {
            let copy = whole.duplicate();
            drop(open(&copy, true).unwrap());
            copy.operations()
        };
        for operations in 0..=steps {
            let copy = whole.duplicate();
            copy.cut_power_after(operations);
            drop(open(&copy, true));
            copy.crash(Crash::Seeded(operations));
            drop(open(&copy, true).expect("it starts"));
            let first = names(&copy, "diverged-17/log");
            assert_eq!(first.is_empty(), is_other, "after {operations}: {first:?}");
            let kept = names(&copy, &format!("diverged-{again}/log"));
            assert_eq!(kept, names(&whole, "log"), "after {operations}");
            let report = verify(&copy, &dir().join(format!("diverged-{again}"))).unwrap();
            assert_eq!(report.last, at(20, 2), "after {operations}");
        }
    }
}

/// Nobody could send it its data again, and the disk holds what was written.
#[test]
fn a_marked_server_of_a_small_cluster_goes_on_with_what_it_has() {
    for (members, can_repair) in [(1, false), (2, false), (2, true)] {
        let disk = marked(members);
        let (storage, found) = open(&disk, can_repair).unwrap();
        assert_eq!((storage.last(), found.hard_state), (at(20, 2), VOTER));
        assert!(found.notes.concat().contains("goes on with its log and its snapshots"));
        drop(storage);
        disk.crash(Crash::LoseUnsynced);
        assert_eq!(open(&disk, can_repair).unwrap().1.notes, Vec::<String>::new());
    }
}

#[test]
fn a_server_that_differs_and_has_a_damaged_log_does_not_know_its_end() {
    let disk = marked(3);
    let segment = dir().join("log/00000002.segment");
    disk.lose(&segment);
    let (_, found) = open(&disk, true).unwrap();
    assert!(found.hard_state.is_rejoining && found.hard_state.lost >= at(20, 2));
}

#[test]
fn a_mark_that_cannot_be_read_is_refused_and_nothing_is_changed() {
    let disk = marked(3);
    for bytes in [Vec::new(), b"coracle 1\n".to_vec()] {
        disk.set_contents(&mark_path(dir()), bytes);
        let operations = disk.operations();
        let error = open(&disk, true).err().expect("it is refused");
        assert!(matches!(error, StorageError::Damaged { .. }), "{error}");
        assert_eq!(disk.operations(), operations);
    }
}
