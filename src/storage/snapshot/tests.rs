use std::io::ErrorKind;

use proptest::prelude::*;

use super::*;
use crate::storage::error::DecodeError;
use crate::testing::byte_mutation::mutation;
use crate::testing::memberships::{any_membership, joint};
use crate::testing::{Crash, SimDisk};
use crate::types::{ClusterId, Format, FormatInForce, Membership, NodeId};

/// A disk with a data directory, which `Storage` creates otherwise.
fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("data/1")).unwrap();
    disk.sync_dir(Path::new("")).unwrap();
    disk.sync_dir(Path::new("data")).unwrap();
    disk
}

fn at(index: u64) -> LogPosition {
    LogPosition { term: Term(3), index: LogIndex(index) }
}

fn head(index: u64) -> SnapshotHead {
    let membership = Membership::seed([1, 2, 3].map(NodeId));
    SnapshotHead {
        cluster: "coracle".to_owned(),
        last: at(index),
        stamp_ms: 77,
        state: ClusterState {
            membership: Some((LogIndex(2), membership)),
            ..ClusterState::default()
        },
    }
}

fn bodies(index: u64) -> Vec<Vec<u8>> {
    vec![vec![index as u8; 700], Vec::new(), b"a last one".to_vec()]
}

fn open(disk: &SimDisk) -> Result<SnapshotFiles, StorageError> {
    SnapshotFiles::open(Box::new(disk.clone()), Path::new("data/1"))
}

fn write(snapshots: &SnapshotFiles, index: u64) -> Result<SnapshotFile, StorageError> {
    snapshots.write(&head(index), bodies(index).into_iter().map(Ok))
}

/// Returns a chunk of a snapshot's file.
fn chunk(disk: &SimDisk, index: u64, offset: u64, bytes_max: usize) -> Vec<u8> {
    let file = disk.contents(&Path::new("data/1/snapshot").join(name(at(index))));
    file.into_iter().skip(offset as usize).take(bytes_max).collect()
}

fn read(
    snapshots: &SnapshotFiles,
    last: LogPosition,
) -> Result<(SnapshotFile, Vec<Vec<u8>>), StorageError> {
    let mut bodies = Vec::new();
    let file = snapshots.read(last, |body| {
        bodies.push(body.to_vec());
        Ok::<_, StorageError>(())
    })?;
    Ok((file, bodies))
}

/// One more element anywhere in a head, for example the other half of a joint membership.
#[test]
fn a_head_with_anything_more_is_refused() {
    let whole = format::encode_head(&head(5));
    assert_eq!(format::decode_head(&whole), Ok(head(5)));
    // [cluster, [term, index], stamp, [index, [voters]]]
    let hex = whole[4..].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex, "94a7636f7261636c659203054d92029193010203");
    for array in [0, 9, 13, 15] {
        for end in [12, 13, whole.len() - 4] {
            let mut longer = whole.clone();
            longer[4 + array] += 1;
            longer.splice(4 + end..4 + end, [0x93, 1, 2, 4]);
            let decoded = format::decode_head(&longer);
            assert!(matches!(decoded, Err(DecodeError::Unknown(_))), "{array} {end}");
        }
    }
    let trailing = [&whole[..], b"\xc0"].concat();
    assert!(matches!(format::decode_head(&trailing), Err(DecodeError::Unknown(_))));
}

/// A head of format 2, with the id of the cluster.
fn second_head(index: u64) -> SnapshotHead {
    let mut head = head(index);
    head.state.format = FormatInForce::of(Format(2));
    head.state.cluster_id = Some(ClusterId(0xabc));
    head
}

#[test]
fn golden_bytes_of_a_head_of_format_2() {
    let whole = format::encode_head(&second_head(5));
    assert_eq!(format::decode_head(&whole), Ok(second_head(5)));
    let hex = whole.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // Layout 3, format 2, "0.2.0", [cluster, [term, index], stamp, [index, [voters]], cluster id]
    let id = "00000000000000000000000000000abc";
    let format = "03000000".to_owned() + "02000000" + "05302e322e30";
    let expected = format + "95a7636f7261636c659203054d92029193010203c410" + id;
    assert_eq!(hex, expected);
    for cut in 0..whole.len() {
        assert!(format::decode_head(&whole[..cut]).is_err(), "{cut}");
    }
}

/// A head of format 3, in which a change is between its two halves.
fn third_head(index: u64) -> SnapshotHead {
    let mut head = second_head(index);
    head.state.format = FormatInForce::of(Format(3));
    head.state.membership = Some((LogIndex(4), joint()));
    head
}

#[test]
fn golden_bytes_of_a_head_of_format_3() {
    let whole = format::encode_head(&third_head(5));
    assert_eq!(format::decode_head(&whole), Ok(third_head(5)));
    let hex = whole.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    // Layout 4, format 3, "0.3.0", [cluster, [term, index], stamp, [index, members], cluster id].
    // The members are [voters, outgoing, {id: [[host, port], [host, port]]}, [number, what],
    // [[number, what, is_done]], last id, {id: index}].
    let id = "00000000000000000000000000000abc";
    let format = "04000000".to_owned() + "03000000" + "05302e332e30";
    let member = |id: u64| format!("0{id}9292a2683{id}cd232992a2683{id}cd2328");
    let members = [1, 2, 3, 6, 7].map(member).concat();
    let expected = format
        + "95a7636f7261636c659203054d9204"
        + "979301020693010203"
        + "85"
        + &members
        + "922881a77265706c616365920306"
        + "929314"
        + "81a361646491"
        + "05c2"
        + "931e"
        + "81a672656d6f766591"
        + "04c3"
        + "0782041f0521"
        + "c410"
        + id;
    assert_eq!(hex, expected);
    for cut in 0..whole.len() {
        assert!(format::decode_head(&whole[..cut]).is_err(), "{cut}");
    }
}

/// The layout follows from the format: a program that reads only layout 3 must not take such
/// members for voters.
#[test]
fn members_with_addresses_have_a_layout_of_their_own() {
    let mut fourth = third_head(5);
    fourth.state.format = FormatInForce::of(Format(4));
    let heads = [head(5), second_head(5), third_head(5), fourth];
    assert_eq!(heads.map(|head| head.version()), [2, 3, 4, 5]);
    let mut raised = third_head(5);
    // The format is raised before the leader has written addresses.
    raised.state.membership = Some((LogIndex(2), Membership::seed([1, 2, 3].map(NodeId))));
    assert_eq!(format::decode_head(&format::encode_head(&raised)), Ok(raised.clone()));
    for (layout, format) in [(3, 3), (4, 2), (3, 1), (4, 1), (5, 3), (4, 4)] {
        let mut other = format::encode_head(&raised);
        (other[0], other[4]) = (layout, format);
        let decoded = format::decode_head(&other);
        assert!(matches!(decoded, Err(DecodeError::Unknown(_))), "{layout} {format}: {decoded:?}");
    }
}

#[test]
fn a_head_with_members_that_no_log_may_have_is_refused() {
    let faulty = [
        Membership { change: None, ..joint() },
        Membership { last_id: NodeId(1), ..joint() },
        Membership { members: [].into(), ..joint() },
        Membership::default(),
    ];
    for membership in faulty {
        let mut head = third_head(5);
        head.state.membership = Some((LogIndex(4), membership));
        let decoded = format::decode_head(&format::encode_head(&head));
        assert!(matches!(decoded, Err(DecodeError::Unknown(_))), "{decoded:?}");
    }
}

proptest! {
    #[test]
    fn any_head_is_read_as_written_and_a_changed_one_is_no_larger(
        membership in any_membership(),
        mutation in mutation(),
    ) {
        let mut head = third_head(5);
        head.state.membership = Some((LogIndex(4), membership));
        let whole = format::encode_head(&head);
        prop_assert_eq!(format::decode_head(&whole), Ok(head));
        let changed = mutation.of(&whole);
        if let Ok(decoded) = format::decode_head(&changed) {
            prop_assert!(format::encode_head(&decoded).len() <= changed.len());
        }
    }
}

/// The layout and the head are of a later program, all but the format, which has its place.
#[test]
fn a_head_of_a_later_layout_names_the_oldest_program() {
    let format = FormatInForce::read(Format(9), "0.9.0");
    for layout in [SNAPSHOT_FORMAT_VERSION, SNAPSHOT_FORMAT_VERSION + 1, 77] {
        let mut later = layout.to_le_bytes().to_vec();
        later.extend_from_slice(&9_u32.to_le_bytes());
        later.extend_from_slice(b"\x050.9.0 and bytes that nobody knows");
        assert_eq!(format::decode_head(&later), Err(DecodeError::Newer(format.clone())));
        // A format that this program reads has no other layout.
        later[4] = 2;
        assert!(matches!(format::decode_head(&later), Err(DecodeError::Unknown(_))));
    }
}

/// Receives a whole snapshot, on a server that reads only format 1.
#[test]
fn a_snapshot_of_a_format_that_is_not_read_is_not_kept() {
    let (sender, receiver) = (disk(), disk());
    let source = open(&sender).unwrap();
    let file =
        source.write(&second_head(5), bodies(5).into_iter().map(Ok::<_, StorageError>)).unwrap();
    let bytes = sender.contents(&source.path(at(5)));
    let old = open(&receiver).unwrap().of_formats(FormatRange::FIRST_ONLY);
    let mut incoming = old.receive(file.id()).unwrap();
    incoming.write_chunk(0, &bytes).unwrap();
    let error = old.complete(incoming).unwrap_err();
    let said = error.to_string();
    assert!(said.contains("has format 2") && said.contains("start version 0.2.0"), "{said}");
    assert_eq!(receiver.paths(), Vec::<PathBuf>::new(), "nothing of it is left");
    let new = open(&receiver).unwrap();
    let mut incoming = new.receive(file.id()).unwrap();
    incoming.write_chunk(0, &bytes).unwrap();
    assert_eq!(new.complete(incoming).unwrap(), file);
    assert!(matches!(read(&old, at(5)), Err(StorageError::Unreadable { .. })));
}

#[test]
fn snapshots_are_read_as_written_and_the_two_newest_are_kept() {
    let disk = disk();
    let snapshots = open(&disk).unwrap();
    for index in [5, 10, 200] {
        let written = write(&snapshots, index).unwrap();
        assert_eq!(read(&snapshots, at(index)).unwrap(), (written, bodies(index)));
    }
    assert_eq!(snapshots.list().unwrap(), [at(200), at(10)]);
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(open(&disk).unwrap().list().unwrap(), [at(200), at(10)]);
}

#[test]
fn equal_snapshots_are_equal_files_on_every_disk() {
    let disks = [disk(), disk()];
    let files = disks.each_ref().map(|disk| write(&open(disk).unwrap(), 5).unwrap());
    assert_eq!(files[0], files[1]);
    let path = Path::new("data/1/snapshot/00000000000000000005-3.snapshot");
    assert_eq!(disks[0].contents(path), disks[1].contents(path));
}

#[test]
fn a_power_cut_at_any_step_leaves_the_new_one_whole_or_not_at_all() {
    for crash in [Crash::LoseUnsynced, Crash::KeepUnsynced, Crash::Seeded(1), Crash::Seeded(2)] {
        for operations in 0.. {
            let disk = disk();
            let snapshots = open(&disk).unwrap();
            write(&snapshots, 5).unwrap();
            disk.cut_power_after(operations);
            let written = write(&snapshots, 10);
            disk.crash(crash);
            let snapshots = open(&disk).unwrap();
            let found = snapshots.list().unwrap();
            assert!(found.contains(&at(5)), "{found:?}");
            for last in &found {
                assert_eq!(read(&snapshots, *last).unwrap().1, bodies(last.index.0));
            }
            assert!(disk.paths().iter().all(|path| !path.to_string_lossy().ends_with(UNFINISHED)));
            if written.is_ok() {
                assert!(found.contains(&at(10)), "it was said to be durable");
                break;
            }
        }
    }
}

#[test]
fn a_flip_of_any_bit_and_a_cut_at_any_byte_are_noticed() {
    let disk = disk();
    let snapshots = open(&disk).unwrap();
    let file = write(&snapshots, 5).unwrap();
    let path = snapshots.path(at(5));
    let whole = disk.contents(&path);
    assert_eq!(whole.len() as u64, file.bytes);
    for offset in 0..whole.len() {
        disk.flip_bit(&path, offset as u64, offset as u32 % 8);
        assert!(matches!(read(&snapshots, at(5)), Err(StorageError::Damaged { .. })), "{offset}");
        disk.set_contents(&path, whole[..offset].to_vec());
        assert!(matches!(read(&snapshots, at(5)), Err(StorageError::Damaged { .. })), "{offset}");
        disk.set_contents(&path, whole.clone());
    }
    disk.set_contents(&path, [whole.as_slice(), &[0]].concat());
    assert!(read(&snapshots, at(5)).is_err(), "something after the end");
    disk.set_contents(&path, whole);
    read(&snapshots, at(5)).unwrap();
}

#[test]
fn a_failed_write_or_sync_leaves_no_snapshot() {
    for (nth, is_sync) in [(1, false), (3, false), (1, true)] {
        let disk = disk();
        let snapshots = open(&disk).unwrap();
        match is_sync {
            true => disk.fail_sync(nth, ErrorKind::Other),
            false => disk.fail_write(nth, ErrorKind::StorageFull),
        }
        assert!(matches!(write(&snapshots, 5), Err(StorageError::Io { .. })));
        disk.kill();
        assert_eq!(open(&disk).unwrap().list().unwrap(), []);
    }
}

#[test]
fn receiving_continues_after_a_restart_and_only_at_the_right_place() {
    let (sender, receiver) = (disk(), disk());
    let source = open(&sender).unwrap();
    let file = write(&source, 5).unwrap();
    let mut incoming = open(&receiver).unwrap().receive(file.id()).unwrap();
    while !incoming.is_complete() {
        let offset = incoming.received();
        let chunk = chunk(&sender, 5, offset, 100);
        incoming.write_chunk(offset + 1, &chunk).unwrap();
        assert_eq!(incoming.received(), offset, "a chunk from further on is not taken");
        incoming.write_chunk(offset, &chunk).unwrap();
        incoming.write_chunk(offset, &chunk).unwrap();
        assert_eq!(incoming.received(), offset + chunk.len() as u64, "nor is one twice");
        drop(incoming);
        receiver.kill();
        incoming = open(&receiver).unwrap().receive(file.id()).unwrap();
    }
    let target = open(&receiver).unwrap();
    assert_eq!(target.complete(incoming).unwrap(), file);
    receiver.crash(Crash::LoseUnsynced);
    assert_eq!(read(&open(&receiver).unwrap(), at(5)).unwrap(), (file, bodies(5)));
}

#[test]
fn chunks_of_two_snapshots_make_no_snapshot() {
    let (sender, receiver) = (disk(), disk());
    let source = open(&sender).unwrap();
    let (old, new) = (write(&source, 5).unwrap(), write(&source, 10).unwrap());
    let target = open(&receiver).unwrap();
    let mut incoming = target.receive(old.id()).unwrap();
    incoming.write_chunk(0, &chunk(&sender, 5, 0, 300)).unwrap();
    let mut incoming = target.receive(new.id()).unwrap();
    assert_eq!(incoming.received(), 0, "what was received of the other is gone");
    incoming.write_chunk(0, &chunk(&sender, 5, 0, 300)).unwrap();
    incoming.write_chunk(300, &chunk(&sender, 10, 300, 10_000)).unwrap();
    assert!(incoming.is_complete());
    assert!(matches!(target.complete(incoming), Err(StorageError::Damaged { .. })));
    assert_eq!(target.receive(new.id()).unwrap().received(), 0, "and can be received again");
}

#[test]
fn receiving_over_a_loss_of_power_ends_whole_or_begins_anew() {
    let sender = disk();
    let source = open(&sender).unwrap();
    let file = write(&source, 5).unwrap();
    for seed in 0..50 {
        let receiver = disk();
        let mut incoming = open(&receiver).unwrap().receive(file.id()).unwrap();
        incoming.write_chunk(0, &chunk(&sender, 5, 0, 400)).unwrap();
        receiver.crash(Crash::Seeded(seed));
        let target = open(&receiver).unwrap();
        loop {
            let mut incoming = target.receive(file.id()).unwrap();
            let received = incoming.received();
            incoming.write_chunk(received, &chunk(&sender, 5, received, 10_000)).unwrap();
            match target.complete(incoming) {
                Ok(found) => break assert_eq!(found, file),
                Err(error) => assert!(received > 0, "{error}"),
            }
        }
        assert_eq!(read(&target, at(5)).unwrap().1, bodies(5));
    }
}

#[test]
fn the_chunks_of_a_file_are_the_file_from_any_position() {
    let disk = disk();
    let snapshots = open(&disk).unwrap();
    let file = write(&snapshots, 5).unwrap();
    let whole = chunk(&disk, 5, 0, usize::MAX);
    for first in [0, 1, 300, file.bytes - 1, file.bytes] {
        let mut chunks = snapshots.chunks(&file).unwrap();
        let mut found = Vec::new();
        loop {
            let next = chunks.chunk(first + found.len() as u64, 100).unwrap();
            if next.is_empty() {
                break;
            }
            assert!(next.len() <= 125);
            found.extend(next);
        }
        assert_eq!(found, whole[first as usize..]);
    }
}

/// A leader that handed out wrong bytes would send the whole file, again and again, and the
/// receiver would refuse it at the end.
#[test]
fn no_wrong_byte_of_a_rotten_file_is_handed_out() {
    let sound = disk();
    let file = write(&open(&sound).unwrap(), 5).unwrap();
    let whole = chunk(&sound, 5, 0, usize::MAX);
    for byte in 0..file.bytes {
        let disk = sound.duplicate();
        disk.flip_bit(&Path::new("data/1/snapshot").join(name(at(5))), byte, byte as u32 % 8);
        let mut chunks = open(&disk).unwrap().chunks(&file).unwrap();
        let (mut offset, mut is_refused) = (0, false);
        while offset < file.bytes && !is_refused {
            match chunks.chunk(offset, 100) {
                Ok(next) => {
                    assert_eq!(next, whole[offset as usize..][..next.len()]);
                    offset += next.len() as u64;
                }
                Err(StorageError::Damaged { .. }) => is_refused = true,
                Err(error) => panic!("{error}"),
            }
        }
        assert!(is_refused, "byte {byte} is rotten");
    }
}

/// After a failed sync the kernel may hold pages as clean that it never wrote (ATC'20). The next
/// process then finds all bytes in the cache, and its sync succeeds.
#[test]
fn what_was_received_before_a_failed_sync_is_written_again() {
    let (sender, receiver) = (disk(), disk());
    let source = open(&sender).unwrap();
    let file = write(&source, 5).unwrap();
    let target = open(&receiver).unwrap();
    let mut incoming = target.receive(file.id()).unwrap();
    incoming.write_chunk(0, &chunk(&sender, 5, 0, usize::MAX)).unwrap();
    receiver.fail_sync(1, ErrorKind::Other);
    assert!(matches!(target.complete(incoming), Err(StorageError::Io { .. })));
    receiver.kill();
    let target = open(&receiver).unwrap();
    let incoming = target.receive(file.id()).unwrap();
    assert!(incoming.is_complete());
    assert_eq!(target.complete(incoming).unwrap(), file);
    receiver.crash(Crash::LoseUnsynced);
    assert_eq!(read(&open(&receiver).unwrap(), at(5)).unwrap(), (file, bodies(5)));
}
