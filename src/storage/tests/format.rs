//! Tests of the bytes on disk, which must not change unnoticed, and of decoders with any bytes.

use proptest::prelude::*;

use super::error::DecodeError;
use super::hard_state::HardStateCopy;
use super::log::record::RecordHeader;
use super::log::sectors::SectorOwner;
use super::*;
use crate::testing::byte_mutation::mutation;
use crate::testing::memberships::membership;

fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(16).map(|line| {
        let words = line
            .chunks(4)
            .map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn sample() -> Entry {
    Entry {
        index: LogIndex(0x0102),
        term: Term(7),
        stamp_ms: 0x1122_3344_5566,
        payload: Payload::Command(Bytes::from_static(b"hello")),
    }
}

#[test]
fn golden_bytes_of_a_record() {
    let mut bytes = Vec::new();
    record::encode(&sample(), true, 0xdead_beef, 512, &mut bytes);
    assert_eq!(
        hex(&bytes),
        "c93d5211 05000000 d008a1c8 72630101\n\
         02010000 00000000 07000000 00000000\n\
         66554433 22110000 68656c6c 6f000000"
    );
}

/// Only the kind and the body differ from any other record. The body is that of the wire.
#[test]
fn golden_bytes_of_a_record_of_members() {
    let payload = Payload::Membership(membership(&[1], &[]));
    let (entry, mut bytes) = (Entry { payload, ..sample() }, Vec::new());
    record::encode(&entry, true, 0xdead_beef, 512, &mut bytes);
    assert_eq!(
        hex(&bytes[..40]),
        "8be043e3 6e000000 90db038a 72630501\n\
         02010000 00000000 07000000 00000000\n\
         66554433 22110000"
    );
    let header = RecordHeader::decode(&bytes, 0xdead_beef, 512).unwrap();
    assert_eq!(header.entry(&bytes), Ok(entry));
}

#[test]
fn golden_bytes_of_a_sector() {
    let header = SegmentHeader {
        number: 0x0102_0304_0506,
        salt: 0,
        node_id: NodeId(5),
        prev: LogPosition::default(),
    };
    let bytes = SectorOwner::of(&header).encode(7, &[b"hello", &[0; 500][..]].concat());
    assert_eq!(hex(&bytes[..16]), "06050403 6af357cb 68656c6c 6f000000");
    assert!(bytes[16..512].iter().all(|byte| *byte == 0));
    assert_eq!(hex(&bytes[512..]), "06050403 b4f23573 00");
}

#[test]
fn golden_bytes_of_a_segment_header() {
    let header = SegmentHeader {
        number: 3,
        salt: 0xdead_beef,
        node_id: NodeId(5),
        prev: LogPosition { term: Term(7), index: LogIndex(0x0102) },
    };
    let bytes = header.encode();
    assert_eq!(
        hex(&bytes[..48]),
        "434f5241 434c4f47 02000000 efbeadde\n\
         03000000 00000000 05000000 00000000\n\
         02010000 00000000 07000000 00000000"
    );
    assert!(bytes[48..508].iter().all(|byte| *byte == 0));
    assert_eq!(hex(&bytes[508..]), "e1aae288");
    assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
}

#[test]
fn golden_bytes_of_a_copy_of_the_hard_state() {
    let copy = HardStateCopy {
        sequence: 9,
        hard_state: HardState {
            current_term: Term(7),
            voted_for: Some(NodeId(5)),
            is_rejoining: false,
            lost: LogPosition { term: Term(6), index: LogIndex(0x0103) },
            is_end_known: true,
        },
        start: LogStart {
            first_segment: 2,
            base: LogPosition { term: Term(4), index: LogIndex(0x0101) },
            resetting: false,
        },
        durable_end: DurableEnd {
            segment: 3,
            offset: 0x0248,
            last: LogPosition { term: Term(6), index: LogIndex(0x0102) },
            cutting: true,
        },
    };
    let bytes = copy.encode();
    assert_eq!(
        hex(&bytes[..112]),
        "434f5241 48415244 03000000 09000000\n\
         09000000 00000000 07000000 00000000\n\
         05000000 00000000 03000000 00000000\n\
         48020000 00000000 02010000 00000000\n\
         06000000 00000000 02000000 00000000\n\
         01010000 00000000 04000000 00000000\n\
         03010000 00000000 06000000 00000000"
    );
    assert!(bytes[112..4092].iter().all(|byte| *byte == 0));
    assert_eq!(hex(&bytes[4092..]), "aa482c09");
    assert_eq!(HardStateCopy::decode(&bytes), Ok(copy));
}

#[test]
fn more_flags_or_numbers_in_a_hard_state_or_a_header_are_unknown_and_no_damage() {
    let reseal = |bytes: &mut [u8], at: usize| {
        let crc = crc32c::crc32c(&bytes[..at]);
        bytes[at..at + 4].copy_from_slice(&crc.to_le_bytes());
    };
    for (at, byte) in [(8, 99), (12, 16), (15, 0x80), (112, 1), (4091, 1)] {
        let mut bytes = HardStateCopy::FIRST.encode();
        bytes[at] = byte;
        reseal(&mut bytes, 4092);
        let decoded = HardStateCopy::decode(&bytes);
        assert!(matches!(decoded, Err(DecodeError::Unknown(_))), "{at}: {decoded:?}");
        // The other copy may be older than the unknown one, so it does not count alone.
        for copy in 0..2 {
            let disk = SimDisk::new();
            drop(reopen(&disk));
            let path = hard_state::hard_state_path(dir());
            let mut both = disk.contents(&path);
            both[copy * 4096..(copy + 1) * 4096].copy_from_slice(&bytes);
            disk.set_contents(&path, both.clone());
            let opened = open(&disk).map(|_| ());
            assert!(matches!(opened, Err(StorageError::Unknown { .. })), "{at}: {opened:?}");
            assert_eq!(disk.contents(&path), both, "it is left as it is");
        }
    }
    let prev = LogPosition::default();
    let header = SegmentHeader { number: 3, salt: 1, node_id: NodeId(5), prev };
    for (at, byte) in [(8, 99), (48, 1), (507, 1)] {
        let mut bytes = header.encode();
        bytes[at] = byte;
        reseal(&mut bytes, 508);
        let decoded = SegmentHeader::decode(&bytes);
        assert!(matches!(decoded, Err(DecodeError::Unknown(_))), "{at}: {decoded:?}");
    }
}

#[test]
fn a_record_of_any_length_is_aligned_and_comes_back() {
    for length in 0..64 {
        let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
        let entry = Entry { payload: Payload::Command(body.into()), ..sample() };
        let mut bytes = vec![0xff; 3];
        record::encode(&entry, false, 1, 8, &mut bytes);
        let record = &bytes[3..];
        let header = RecordHeader::decode(record, 1, 8).unwrap();
        assert_eq!(record.len() as u64, header.record_bytes());
        assert_eq!(record.len() % 8, 0);
        assert!(!header.batch_start);
        assert!(header.matches(record, 1, 8));
        assert_eq!(header.entry(record), Ok(entry));
    }
}

proptest! {
    #[test]
    fn a_changed_record_is_rejected(
        numbers in any::<[u64; 6]>(),
        body in proptest::collection::vec(any::<u8>(), 0..700),
        mutation in mutation(),
    ) {
        let [index, term, stamp_ms, salt, sector, at] = numbers;
        let (salt, offset) = (salt as u32, (sector % 100) * 512 + at % 64 * 8);
        let payload = Payload::Command(body.into());
        let entry = Entry { index: LogIndex(index), term: Term(term), stamp_ms, payload };
        let mut bytes = Vec::new();
        record::encode(&entry, true, salt, offset, &mut bytes);
        let read = |bytes: &[u8]| {
            let header = RecordHeader::decode(bytes, salt, offset)?;
            let record = bytes.get(..header.record_bytes() as usize)?;
            header.matches(record, salt, offset).then(|| header.entry(record).unwrap())
        };
        prop_assert_eq!(read(&bytes), Some(entry));
        let changed = mutation.of(&bytes);
        prop_assert!(changed.starts_with(&bytes) || read(&changed).is_none());
    }

    #[test]
    fn a_changed_header_or_hard_state_is_rejected(
        numbers in any::<[u64; 6]>(),
        vote in any::<Option<u64>>(),
        flags in any::<(bool, bool)>(),
        mutation in mutation(),
    ) {
        let [number, node, index, term, salt, offset] = numbers;
        let last = LogPosition { index: LogIndex(index), term: Term(term) };
        let header =
            SegmentHeader { number, salt: salt as u32, node_id: NodeId(node), prev: last };
        let bytes = header.encode();
        prop_assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        let changed = mutation.of(&bytes);
        prop_assert!(changed.starts_with(&bytes) || SegmentHeader::decode(&changed).is_err());

        let voted_for = vote.filter(|node| *node != 0).map(NodeId);
        let hard_state = HardState {
            current_term: Term(node),
            voted_for,
            is_rejoining: flags.0,
            lost: last,
            is_end_known: flags.1,
        };
        let durable_end = DurableEnd { segment: number, offset, last, cutting: flags.1 };
        let copy =
            HardStateCopy { sequence: salt, hard_state, start: LogStart::FIRST, durable_end };
        let bytes = copy.encode();
        prop_assert_eq!(HardStateCopy::decode(&bytes), Ok(copy));
        let changed = mutation.of(&bytes);
        prop_assert!(changed.starts_with(&bytes) || HardStateCopy::decode(&changed).is_err());
    }

    #[test]
    fn decoders_take_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..9000)) {
        let _ = RecordHeader::decode(&bytes, 7, 512);
        let _ = SegmentHeader::decode(&bytes);
        let _ = HardStateCopy::decode(&bytes);
        // The bytes are also read as files of a directory.
        let hard_state = hard_state::hard_state_path(dir());
        for path in [segment(1), hard_state, identity::identity_path(dir())] {
            let disk = SimDisk::new();
            drop(reopen(&disk));
            disk.set_contents(&path, bytes.clone());
            prop_assert!(open(&disk).is_err());
        }
    }

    #[test]
    fn any_bytes_after_the_header_are_judged(
        bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        kept in 0_usize..600,
    ) {
        let disk = SimDisk::new();
        let (mut storage, _) = reopen(&disk);
        storage.save_hard_state(term(1)).unwrap();
        storage.append(&entries(1..=4, 1)).unwrap();
        storage.sync().unwrap();
        drop(storage);
        let mut segment_bytes = disk.contents(&segment(1));
        segment_bytes.truncate(512 + kept);
        segment_bytes.extend(bytes);
        disk.set_contents(&segment(1), segment_bytes);
        // The log is refused or cut. A log that was cut is the same at the next start.
        if let Ok((storage, recovered)) = open(&disk) {
            drop(storage);
            prop_assert_eq!(reopen(&disk).1.log, recovered.log);
        }
    }
}
