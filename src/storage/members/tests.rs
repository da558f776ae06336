use super::*;
use crate::storage::{Storage, StorageOptions};
use crate::testing::{Crash, SimDisk};
use crate::types::{FormatRange, Incarnation};

fn dir() -> &'static Path {
    Path::new("data/6")
}

fn joined() -> JoinedCluster {
    let member = |peer: &str, client: &str| Member {
        peer: peer.parse().unwrap(),
        client: client.parse().unwrap(),
    };
    JoinedCluster {
        id: NodeId(6),
        cluster: "a \\ \"b\" \u{e9}".into(),
        cluster_id: Some(ClusterId(0xabc)),
        promise: Some(Duration::from_millis(150)),
        members: [
            (NodeId(1), member("10.0.0.1:9001", "10.0.0.1:9000")),
            (NodeId(6), member("[::1]:9001", "six.example:9000")),
        ]
        .into(),
        at: LogIndex(12),
    }
}

fn open_as(disk: &SimDisk, id: u64) -> Result<Storage, StorageError> {
    let options = StorageOptions {
        cluster: joined().cluster,
        node_id: NodeId(id),
        segment_bytes: 1 << 16,
        can_repair: true,
        has_majority_of_others: true,
        new_incarnation: Incarnation(1),
        formats: FormatRange::OWN,
    };
    Ok(Storage::open(Box::new(disk.clone()), dir(), options)?.0)
}

#[test]
fn golden_bytes_of_what_a_server_learned_when_it_joined() {
    assert_eq!(
        joined().encode(),
        "coracle 1\nnode 6\ncluster a \\\\ \\\"b\\\" \\u{e9}\n\
         cluster_id 00000000000000000000000000000abc\npromise_ms 150\nmembers_at 12\n\
         member 1 10.0.0.1:9001 10.0.0.1:9000\nmember 6 [::1]:9001 six.example:9000\n\
         crc32c 34f66b3c\n"
    );
}

#[test]
fn what_was_learned_is_read_again_with_and_without_its_optional_facts() {
    let disk = SimDisk::new();
    assert_eq!(read_joined(&disk, dir()).unwrap(), None);
    let sparse = JoinedCluster { cluster_id: None, promise: None, ..joined() };
    for joined in [joined(), sparse] {
        keep_joined(&disk, dir(), &joined).unwrap();
        assert_eq!(read_joined(&disk, dir()).unwrap(), Some(joined));
    }
}

/// The server is then started without --join as well, and no other server need be there.
#[test]
fn what_was_learned_survives_a_power_cut_before_the_directory_is_made_and_after() {
    let disk = SimDisk::new();
    keep_joined(&disk, dir(), &joined()).unwrap();
    disk.crash(Crash::LoseUnsynced);
    for _ in 0..2 {
        let storage = open_as(&disk, 6).unwrap();
        assert_eq!(storage.joined(), Some(&joined()));
        drop(storage);
        disk.crash(Crash::LoseUnsynced);
    }
}

#[test]
fn the_directory_of_a_server_that_runs_is_not_written_to() {
    let disk = SimDisk::new();
    let _running = open_as(&disk, 6).unwrap();
    let kept = keep_joined(&disk, dir(), &joined());
    assert!(matches!(kept, Err(StorageError::Locked { .. })), "{kept:?}");
}

#[test]
fn a_directory_with_which_another_server_has_joined_is_refused() {
    let disk = SimDisk::new();
    keep_joined(&disk, dir(), &joined()).unwrap();
    let other = open_as(&disk, 7).err();
    assert!(matches!(other, Some(StorageError::OtherOwner { .. })), "{other:?}");
    assert!(open_as(&disk, 6).is_ok());
}

#[test]
fn a_damaged_file_and_one_of_another_version_are_refused() {
    let disk = SimDisk::new();
    keep_joined(&disk, dir(), &joined()).unwrap();
    let whole = disk.contents(&members_path(dir()));
    for offset in 0..whole.len() as u64 {
        let copy = disk.duplicate();
        copy.flip_bit(&members_path(dir()), offset, 1);
        assert!(read_joined(&copy, dir()).is_err(), "byte {offset}");
        assert!(open_as(&copy, 6).is_err(), "byte {offset}");
    }
    let text = |old: &str, new: &str| {
        let lines = unsealed(&whole).unwrap().replace(old, new);
        sealed(lines).into_bytes()
    };
    for (old, new) in [
        ("coracle 1", "coracle 2"),
        ("node 6", "node six"),
        ("\\u{e9}", "\\x"),
        ("promise_ms 150", "promise_ms -1"),
        ("10.0.0.1:9001", "10.0.0.1:0"),
        ("member 6", "learner 6"),
        ("six.example:9000", "six.example:9000 more"),
    ] {
        disk.set_contents(&members_path(dir()), text(old, new));
        let read = read_joined(&disk, dir());
        assert!(matches!(read, Err(StorageError::Unknown { .. })), "{new}: {read:?}");
    }
}
