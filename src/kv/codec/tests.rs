use proptest::prelude::*;

use super::*;
use crate::kv::Transaction;
use crate::testing::byte_mutation::mutation;
use crate::testing::store_model::any_command;
use crate::types::{ENTRY_BYTES_MAX, Entry, FormatRange, LogIndex, Payload, Term};

mod model;

/// Decodes a command while the highest format is in force.
fn decode(payload: &Bytes) -> Result<Command, CommandError> {
    Command::decode(payload, FormatRange::OWN.highest)
}

fn once() -> Option<Once> {
    Some(Once { client: Bytes::from("me"), seq: 300 })
}

fn set(key: &[u8], value: &[u8]) -> Command {
    let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
    Command {
        once: None,
        store_bytes_max: 0,
        operation: Operation::Set { key, exptime: 0, value, lease: 0 },
    }
}

#[test]
fn the_bytes_of_every_operation_never_change() {
    let (key, value) = (Bytes::from("key"), Bytes::from_static(b"\xff\0"));
    let cases: [(Option<Once>, u64, Operation, &[u8]); 5] = [
        (
            None,
            0,
            Operation::Set { key: key.clone(), exptime: 0, value: value.clone(), lease: 0 },
            b"\x01\x95\xc0\x00\xc4\x03key\x00\xc4\x02\xff\0",
        ),
        (
            once(),
            70_000,
            Operation::Add { key: key.clone(), exptime: 60, value: value.clone(), lease: 0 },
            b"\x02\x95\x92\xc4\x02me\xcd\x01\x2c\xce\x00\x01\x11\x70\
              \xc4\x03key\x3c\xc4\x02\xff\0",
        ),
        (
            once(),
            1,
            Operation::Cas { key: key.clone(), exptime: 200, version: u64::MAX, value, lease: 0 },
            b"\x03\x96\x92\xc4\x02me\xcd\x01\x2c\x01\xc4\x03key\xcc\xc8\
              \xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc4\x02\xff\0",
        ),
        (None, 0, Operation::Delete { key }, b"\x04\x93\xc0\x00\xc4\x03key"),
        (once(), 7, Operation::End, b"\x05\x92\x92\xc4\x02me\xcd\x01\x2c\x07"),
    ];
    for (once, store_bytes_max, operation, golden) in cases {
        let command = Command { once, store_bytes_max, operation };
        assert_eq!(command.encode(), golden, "{command:?}");
        assert_eq!(decode(&Bytes::from_static(golden)), Ok(command));
    }
}

/// The bounds of frames between servers and of blocks in snapshots rely on it.
#[test]
fn no_command_makes_an_entry_above_the_bound_of_the_format() {
    let (key, value) = (Bytes::from(vec![1; KEY_BYTES_MAX]), Bytes::from(vec![1; VALUE_BYTES_MAX]));
    let operation = Operation::Cas { key, exptime: u64::MAX, version: u64::MAX, value, lease: 0 };
    let once = Some(Once { client: Bytes::from(vec![1; CLIENT_BYTES_MAX]), seq: u64::MAX });
    let command = Command { once, store_bytes_max: u64::MAX, operation };
    let payload = Payload::Command(command.encode());
    let entry = Entry { index: LogIndex(1), term: Term(1), stamp_ms: 0, payload };
    assert!(entry.weight_bytes() <= ENTRY_BYTES_MAX);
}

#[test]
fn an_unknown_operation_is_always_an_error() {
    for operation in [0, 15, 255] {
        let payload = Bytes::from(vec![operation, 0x93, 0xc0, 0, 0xc4, 1, b'k']);
        assert_eq!(decode(&payload), Err(CommandError::UnknownOperation(operation)),);
    }
    assert_eq!(decode(&Bytes::new()), Err(CommandError::Empty));
}

#[test]
fn an_end_without_a_client_is_an_error() {
    let payload = Bytes::from_static(b"\x05\x92\xc0\x00");
    assert_eq!(decode(&payload), Err(CommandError::NoClient));
}

#[test]
fn one_more_field_of_any_operation_is_an_error() {
    let (key, value) = (Bytes::from("key"), Bytes::from("value"));
    for operation in [
        Operation::Set { key: key.clone(), exptime: 0, value: value.clone(), lease: 0 },
        Operation::Add { key: key.clone(), exptime: 0, value: value.clone(), lease: 0 },
        Operation::Cas { key: key.clone(), exptime: 0, version: 1, value: value.clone(), lease: 0 },
        Operation::Set { key: key.clone(), exptime: 0, value: value.clone(), lease: 9 },
        Operation::Add { key: key.clone(), exptime: 0, value: value.clone(), lease: 9 },
        Operation::Cas { key: key.clone(), exptime: 0, version: 1, value, lease: 9 },
        Operation::Delete { key },
        Operation::End,
        Operation::Transaction(Transaction::default()),
        Operation::Grant { id: 1, ttl: 1, leases_max: 1 },
        Operation::Renew { ids: vec![1] },
        Operation::Revoke { id: 1 },
        Operation::Compact { revision: 1 },
        Operation::SetHistory(HistoryLimits { keep_revisions: 1, bytes_max: 1 }),
    ] {
        let bytes = Command { once: once(), store_bytes_max: 0, operation }.encode();
        for more in [&b"\x01"[..], b"\xc0", b"\x90"] {
            let mut longer = [&bytes[..], more].concat();
            longer[1] += 1;
            assert!(decode(&Bytes::from(longer)).is_err(), "{bytes:?}");
        }
    }
}

#[test]
fn missing_surplus_and_trailing_fields_are_errors() {
    let malformed: [&'static [u8]; 5] = [
        b"\x04",
        b"\x04\x92\xc0\x00",
        b"\x04\x94\xc0\x00\xc4\x03key\x00",
        b"\x04\x93\xc0\xff\xc4\x03key",
        b"\x04\x93\xc0\x00\xc6\xff\xff\xff\xff",
    ];
    for payload in malformed {
        let result = decode(&Bytes::from_static(payload));
        assert!(matches!(result, Err(CommandError::Malformed(_))), "{payload:?}: {result:?}");
    }
    for trailing in [b"\x04\x93\xc0\x00\xc4\x03key\x00", b"\x04\x93\xc0\x00\xc4\x03key\xc1"] {
        let result = decode(&Bytes::from_static(trailing));
        assert_eq!(result, Err(CommandError::TrailingBytes));
    }
}

#[test]
fn a_command_cut_short_anywhere_is_an_error() {
    let mut command = set(b"key", b"value");
    command.once = once();
    let whole = command.encode();
    for length in 0..whole.len() {
        assert!(decode(&whole.slice(..length)).is_err(), "{length} bytes");
    }
}

#[test]
fn fields_at_their_bounds_pass_and_beyond_them_fail() {
    let longest = set(&[b'k'; KEY_BYTES_MAX], &vec![0; VALUE_BYTES_MAX]);
    assert_eq!(decode(&longest.encode()), Ok(longest));

    let length = |result: Result<Command, CommandError>| match result {
        Err(CommandError::Length { field, bytes, .. }) => (field, bytes),
        other => panic!("expected an error about a length, got {other:?}"),
    };
    let raw = |key: &[u8], value: &[u8], client: &[u8], seq: u64| {
        let once = Some(OnceFields(client, seq));
        let fields = WriteFields { once, store_bytes_max: 0, key, exptime: 0, value };
        let mut payload = BytesMut::new();
        pack(SET, &fields, &mut payload);
        decode(&payload.freeze())
    };
    assert_eq!(length(raw(b"", b"", b"c", 1)), ("key", 0));
    let long = vec![b'k'; VALUE_BYTES_MAX + 1];
    assert_eq!(length(raw(&long[..=KEY_BYTES_MAX], b"", b"c", 1)), ("key", KEY_BYTES_MAX + 1));
    assert_eq!(length(raw(b"k", &long, b"c", 1)), ("value", VALUE_BYTES_MAX + 1));
    assert_eq!(length(raw(b"k", b"", b"", 1)), ("client", 0));
    assert_eq!(length(raw(b"k", b"", &[b'c'; 65], 1)), ("client", 65));
    assert_eq!(raw(b"k", b"", b"c", 0), Err(CommandError::SeqZero));
}

#[test]
#[should_panic(expected = "the command's key has 0 bytes")]
fn a_command_that_no_node_could_decode_is_never_encoded() {
    set(b"", b"value").encode();
}

#[test]
fn the_widest_framing_is_what_encoding_reserves() {
    let (key, value) = (vec![b'k'; KEY_BYTES_MAX], vec![b'v'; KEY_BYTES_MAX]);
    let (exptime, version) = (u64::MAX, u64::MAX);
    let contents = CLIENT_BYTES_MAX + key.len() + value.len();
    let (key, value) = (key.into(), value.into());
    let operation = Operation::Cas { key, exptime, version, value, lease: LEASE_ID_MAX };
    let client = Bytes::from_static(&[b'c'; CLIENT_BYTES_MAX]);
    let once = Some(Once { client, seq: u64::MAX });
    let command = Command { once, store_bytes_max: u64::MAX, operation };
    assert_eq!(command.encode().len() - contents, FRAMING_BYTES_MAX);
}

#[test]
fn decoding_shares_the_payload() {
    let payload = set(b"key", &[7; 1000]).encode();
    let inside = payload.as_ptr_range();
    let Operation::Set { key, value, .. } = decode(&payload).unwrap().operation else {
        panic!("a set stays a set");
    };
    assert!(inside.contains(&key.as_ptr()) && inside.contains(&value.as_ptr()));
}

proptest! {
    #[test]
    fn every_command_survives_its_encoding(command in any_command()) {
        prop_assert_eq!(decode(&command.encode()), Ok(command));
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = decode(&bytes.into());
    }

    #[test]
    fn changed_bytes_give_an_error_or_a_command_that_is_no_larger(
        command in any_command(), mutation in mutation(),
    ) {
        let bytes = Bytes::from(mutation.of(&command.encode()));
        if let Ok(decoded) = decode(&bytes) {
            let encoded = decoded.encode();
            // The decoder takes MessagePack's short strings for bytes, and they are one
            // byte shorter: client, key and value may each have been one. It takes the number of
            // an enum's variant for its name, too.
            prop_assert!(encoded.len() <= bytes.len() + 3);
            prop_assert_eq!(decode(&encoded), Ok(decoded));
        }
    }
}

#[test]
fn an_operation_is_refused_until_the_format_that_adds_it_is_in_force() {
    let operations = [(SET, Format(1)), (9, Format(3))];
    let check = |operation, in_force| check_operation(operation, Format(in_force), &operations);
    let later = |in_force| {
        let in_force = Format(in_force);
        Err(CommandError::LaterFormat { operation: 9, needed: Format(3), in_force })
    };
    assert_eq!(
        (1..=4).map(|f| check(9, f)).collect::<Vec<_>>(),
        [later(1), later(2), Ok(()), Ok(())]
    );
    assert!((1..=4).all(|in_force| check(SET, in_force) == Ok(())));
    assert_eq!(check(7, 4), Err(CommandError::UnknownOperation(7)));
}

#[test]
fn the_operations_of_the_first_format_are_known_in_every_format() {
    for in_force in [Format(1), Format(2)] {
        assert!(Command::decode(&set(b"k", b"v").encode(), in_force).is_ok(), "{in_force}");
    }
}
