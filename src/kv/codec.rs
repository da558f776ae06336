//! A command's bytes: what a session makes, what the log keeps for ever, and
//! what every node decodes when it applies the entry.
//!
//! ```text
//! +-----------+---------------------------------------------------------+
//! | operation | MessagePack array of the operation's fields             |
//! | 1 byte    |                                                         |
//! +-----------+---------------------------------------------------------+
//!   1 set       [once, store_bytes_max, key, exptime, value]
//!   2 add       [once, store_bytes_max, key, exptime, value]
//!   3 cas       [once, store_bytes_max, key, exptime, version, value]
//!   4 delete    [once, store_bytes_max, key]
//!
//!   once: nil, or [client, seq]
//! ```
//!
//! The first byte is the format: it says the operation and with it the layout
//! of the rest. A layout never changes; a new one gets a new number, and no
//! number is used twice. Nothing unknown is skipped: a node that guessed at a
//! command would decide otherwise than one that knows it.
//!
//! Decoding copies nothing: key and value are slices of the entry's payload, which
//! may itself be a slice of a whole batch. The store copies what it keeps.

use bytes::{BufMut, Bytes, BytesMut};
use rmp_serde::Deserializer;
use rmp_serde::decode::{Error as DecodeError, ReadRefReader};
use serde::{Deserialize, Serialize};

use super::command::{Command, Once, Operation};

/// The longest key that a command can hold, in bytes: a bound of the format, far
/// above the default of `[limits] key_bytes_max`, which must not exceed it.
pub const KEY_BYTES_MAX: usize = 64 * 1024;
/// The longest value that a command can hold, in bytes; as [`KEY_BYTES_MAX`],
/// for `[limits] value_bytes_max`.
pub const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The longest name of a client, in bytes.
pub const CLIENT_BYTES_MAX: usize = 64;

const SET: u8 = 1;
const ADD: u8 = 2;
const CAS: u8 = 3;
const DELETE: u8 = 4;

/// The most that a command takes beside key, value and client: a `cas` with
/// `once`, every number and length at its widest.
const FRAMING_BYTES_MAX: usize = 51;

/// Bytes that are not a command of this version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There are none.
    #[error("the command is empty")]
    Empty,
    /// A number that this version has no operation for.
    #[error("the command's operation {0} is unknown to this version of the server")]
    UnknownOperation(u8),
    /// The fields are not those of the operation.
    #[error("the command does not decode: {0}")]
    Malformed(String),
    /// Something stands behind the last field.
    #[error("the command is followed by bytes that do not belong to it")]
    TrailingBytes,
    /// A field is longer or shorter than it can be.
    #[error("the command's {field} has {bytes} bytes; it must have {min} to {max}")]
    Length {
        /// Which field.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// The least length, in bytes.
        min: usize,
        /// The greatest length, in bytes.
        max: usize,
    },
    /// Sequence numbers of `once` begin at 1.
    #[error("the command's once number is 0; it must be at least 1")]
    SeqZero,
}

#[derive(Serialize, Deserialize)]
struct OnceFields<'a>(#[serde(with = "serde_bytes")] &'a [u8], u64);

/// The fields of `set` and `add`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WriteFields<'a> {
    #[serde(borrow)]
    once: Option<OnceFields<'a>>,
    store_bytes_max: u64,
    #[serde(with = "serde_bytes")]
    key: &'a [u8],
    exptime: u64,
    #[serde(with = "serde_bytes")]
    value: &'a [u8],
}

/// The fields of `cas`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CasFields<'a> {
    #[serde(borrow)]
    once: Option<OnceFields<'a>>,
    store_bytes_max: u64,
    #[serde(with = "serde_bytes")]
    key: &'a [u8],
    exptime: u64,
    version: u64,
    #[serde(with = "serde_bytes")]
    value: &'a [u8],
}

/// The fields of `delete`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeleteFields<'a> {
    #[serde(borrow)]
    once: Option<OnceFields<'a>>,
    store_bytes_max: u64,
    #[serde(with = "serde_bytes")]
    key: &'a [u8],
}

impl Command {
    /// The command's bytes.
    ///
    /// # Panics
    /// As [`Command::encode_to`].
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        self.encode_to(&mut bytes);
        bytes.freeze()
    }

    /// As many bytes as the command takes, or up to 51 more.
    pub fn encoded_bytes_max(&self) -> usize {
        let client_bytes = self.once.as_ref().map_or(0, |once| once.client.len());
        let (key, value) = self.key_and_value();
        FRAMING_BYTES_MAX + client_bytes + key.len() + value.len()
    }

    /// What it writes; of a `delete` nothing.
    fn key_and_value(&self) -> (&[u8], &[u8]) {
        match &self.operation {
            Operation::Set { key, value, .. }
            | Operation::Add { key, value, .. }
            | Operation::Cas { key, value, .. } => (key, value),
            Operation::Delete { key } => (key, &[]),
        }
    }

    /// Appends the command's bytes to `output`.
    ///
    /// # Panics
    /// When a field breaks a bound of the format. The parser's limits are within
    /// them; were one not, better that this node stops before the command is in
    /// the log than that every node stops over it afterwards.
    pub fn encode_to(&self, output: &mut BytesMut) {
        if let Err(error) = self.check() {
            panic!("{error}: the limits of the client protocol exceed those of the log");
        }
        output.reserve(self.encoded_bytes_max());
        let (key, value) = self.key_and_value();
        let once = self.once.as_ref().map(|once| OnceFields(&once.client, once.seq));
        let store_bytes_max = self.store_bytes_max;
        match self.operation {
            Operation::Set { exptime, .. } => {
                pack(SET, &WriteFields { once, store_bytes_max, key, exptime, value }, output)
            }
            Operation::Add { exptime, .. } => {
                pack(ADD, &WriteFields { once, store_bytes_max, key, exptime, value }, output)
            }
            Operation::Cas { exptime, version, .. } => {
                let fields = CasFields { once, store_bytes_max, key, exptime, version, value };
                pack(CAS, &fields, output)
            }
            Operation::Delete { .. } => {
                pack(DELETE, &DeleteFields { once, store_bytes_max, key }, output)
            }
        }
    }

    /// The inverse of [`Command::encode`]. Key, value and client share
    /// `payload`'s bytes.
    ///
    /// # Errors
    /// When `payload` is not exactly one command that this version knows, within
    /// the bounds of the format. An entry with such a payload must stop the
    /// node, see `Store::apply`.
    pub fn decode(payload: &Bytes) -> Result<Command, CommandError> {
        let (operation, body) = payload.split_first().ok_or(CommandError::Empty)?;
        let share = |field: &[u8]| payload.slice_ref(field);
        let once = |once: Option<OnceFields<'_>>| {
            once.map(|OnceFields(client, seq)| Once { client: share(client), seq })
        };
        let command = match *operation {
            SET | ADD => {
                let fields: WriteFields<'_> = unpack(body)?;
                let (key, value) = (share(fields.key), share(fields.value));
                let exptime = fields.exptime;
                let operation = if *operation == SET {
                    Operation::Set { key, exptime, value }
                } else {
                    Operation::Add { key, exptime, value }
                };
                let store_bytes_max = fields.store_bytes_max;
                Command { once: once(fields.once), store_bytes_max, operation }
            }
            CAS => {
                let fields: CasFields<'_> = unpack(body)?;
                let operation = Operation::Cas {
                    key: share(fields.key),
                    exptime: fields.exptime,
                    version: fields.version,
                    value: share(fields.value),
                };
                let store_bytes_max = fields.store_bytes_max;
                Command { once: once(fields.once), store_bytes_max, operation }
            }
            DELETE => {
                let fields: DeleteFields<'_> = unpack(body)?;
                let operation = Operation::Delete { key: share(fields.key) };
                let store_bytes_max = fields.store_bytes_max;
                Command { once: once(fields.once), store_bytes_max, operation }
            }
            unknown => return Err(CommandError::UnknownOperation(unknown)),
        };
        command.check()?;
        Ok(command)
    }

    /// Whether every field is within the bounds of the format.
    fn check(&self) -> Result<(), CommandError> {
        if let Some(once) = &self.once {
            check_length("client", once.client.len(), 1, CLIENT_BYTES_MAX)?;
            if once.seq == 0 {
                return Err(CommandError::SeqZero);
            }
        }
        match &self.operation {
            Operation::Set { key, value, .. }
            | Operation::Add { key, value, .. }
            | Operation::Cas { key, value, .. } => {
                check_length("key", key.len(), 1, KEY_BYTES_MAX)?;
                check_length("value", value.len(), 0, VALUE_BYTES_MAX)
            }
            Operation::Delete { key } => check_length("key", key.len(), 1, KEY_BYTES_MAX),
        }
    }
}

fn check_length(
    field: &'static str,
    bytes: usize,
    min: usize,
    max: usize,
) -> Result<(), CommandError> {
    if (min..=max).contains(&bytes) {
        Ok(())
    } else {
        Err(CommandError::Length { field, bytes, min, max })
    }
}

fn pack<T: Serialize>(operation: u8, fields: &T, output: &mut BytesMut) {
    output.put_u8(operation);
    rmp_serde::encode::write(&mut output.writer(), fields)
        .expect("numbers and byte strings always encode to MessagePack in memory");
}

fn unpack<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, CommandError> {
    let mut deserializer = Deserializer::from_read_ref(body);
    let fields = T::deserialize(&mut deserializer)
        .map_err(|error| CommandError::Malformed(error.to_string()))?;
    if is_at_end(&mut deserializer) { Ok(fields) } else { Err(CommandError::TrailingBytes) }
}

/// rmp-serde does not say how much it has read, and stops content behind the
/// last field. Only at the end of the bytes can it not read one more marker.
pub(super) fn is_at_end(deserializer: &mut Deserializer<ReadRefReader<'_, [u8]>>) -> bool {
    matches!(u8::deserialize(deserializer), Err(DecodeError::InvalidMarkerRead(_)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kv::model::any_command;
    use crate::testing::byte_mutation::mutation;

    fn once() -> Option<Once> {
        Some(Once { client: Bytes::from("me"), seq: 300 })
    }

    fn set(key: &[u8], value: &[u8]) -> Command {
        let (key, value) = (Bytes::copy_from_slice(key), Bytes::copy_from_slice(value));
        Command {
            once: None,
            store_bytes_max: 0,
            operation: Operation::Set { key, exptime: 0, value },
        }
    }

    #[test]
    fn the_bytes_of_every_operation_stay_what_they_are() {
        let (key, value) = (Bytes::from("key"), Bytes::from_static(b"\xff\0"));
        let cases: [(Option<Once>, u64, Operation, &[u8]); 4] = [
            (
                None,
                0,
                Operation::Set { key: key.clone(), exptime: 0, value: value.clone() },
                b"\x01\x95\xc0\x00\xc4\x03key\x00\xc4\x02\xff\0",
            ),
            (
                once(),
                70_000,
                Operation::Add { key: key.clone(), exptime: 60, value: value.clone() },
                b"\x02\x95\x92\xc4\x02me\xcd\x01\x2c\xce\x00\x01\x11\x70\
                  \xc4\x03key\x3c\xc4\x02\xff\0",
            ),
            (
                once(),
                1,
                Operation::Cas { key: key.clone(), exptime: 200, version: u64::MAX, value },
                b"\x03\x96\x92\xc4\x02me\xcd\x01\x2c\x01\xc4\x03key\xcc\xc8\
                  \xcf\xff\xff\xff\xff\xff\xff\xff\xff\xc4\x02\xff\0",
            ),
            (None, 0, Operation::Delete { key }, b"\x04\x93\xc0\x00\xc4\x03key"),
        ];
        for (once, store_bytes_max, operation, golden) in cases {
            let command = Command { once, store_bytes_max, operation };
            assert_eq!(command.encode(), golden, "{command:?}");
            assert_eq!(Command::decode(&Bytes::from_static(golden)), Ok(command));
        }
    }

    #[test]
    fn an_unknown_operation_is_an_error_whatever_follows() {
        for operation in [0, 5, 255] {
            let payload = Bytes::from(vec![operation, 0x93, 0xc0, 0, 0xc4, 1, b'k']);
            assert_eq!(Command::decode(&payload), Err(CommandError::UnknownOperation(operation)),);
        }
        assert_eq!(Command::decode(&Bytes::new()), Err(CommandError::Empty));
    }

    #[test]
    fn fields_too_few_too_many_or_behind_the_end_are_errors() {
        let malformed: [&'static [u8]; 5] = [
            b"\x04",
            b"\x04\x92\xc0\x00",
            b"\x04\x94\xc0\x00\xc4\x03key\x00",
            b"\x04\x93\xc0\xff\xc4\x03key",
            b"\x04\x93\xc0\x00\xc6\xff\xff\xff\xff",
        ];
        for payload in malformed {
            let result = Command::decode(&Bytes::from_static(payload));
            assert!(matches!(result, Err(CommandError::Malformed(_))), "{payload:?}: {result:?}");
        }
        for trailing in [b"\x04\x93\xc0\x00\xc4\x03key\x00", b"\x04\x93\xc0\x00\xc4\x03key\xc1"] {
            let result = Command::decode(&Bytes::from_static(trailing));
            assert_eq!(result, Err(CommandError::TrailingBytes));
        }
    }

    #[test]
    fn a_command_cut_short_anywhere_is_an_error() {
        let mut command = set(b"key", b"value");
        command.once = once();
        let whole = command.encode();
        for length in 0..whole.len() {
            assert!(Command::decode(&whole.slice(..length)).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn fields_at_their_bounds_pass_and_beyond_them_fail() {
        let longest = set(&[b'k'; KEY_BYTES_MAX], &vec![0; VALUE_BYTES_MAX]);
        assert_eq!(Command::decode(&longest.encode()), Ok(longest));

        let length = |result: Result<Command, CommandError>| match result {
            Err(CommandError::Length { field, bytes, .. }) => (field, bytes),
            other => panic!("expected an error about a length, got {other:?}"),
        };
        let raw = |key: &[u8], value: &[u8], client: &[u8], seq: u64| {
            let once = Some(OnceFields(client, seq));
            let fields = WriteFields { once, store_bytes_max: 0, key, exptime: 0, value };
            let mut payload = BytesMut::new();
            pack(SET, &fields, &mut payload);
            Command::decode(&payload.freeze())
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
        let operation = Operation::Cas { key, exptime, version, value };
        let client = Bytes::from_static(&[b'c'; CLIENT_BYTES_MAX]);
        let once = Some(Once { client, seq: u64::MAX });
        let command = Command { once, store_bytes_max: u64::MAX, operation };
        assert_eq!(command.encode().len() - contents, FRAMING_BYTES_MAX);
    }

    #[test]
    fn decoding_shares_the_payload() {
        let payload = set(b"key", &[7; 1000]).encode();
        let inside = payload.as_ptr_range();
        let Operation::Set { key, value, .. } = Command::decode(&payload).unwrap().operation else {
            panic!("a set stays a set");
        };
        assert!(inside.contains(&key.as_ptr()) && inside.contains(&value.as_ptr()));
    }

    proptest! {
        #[test]
        fn every_command_survives_its_encoding(command in any_command()) {
            prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Command::decode(&bytes.into());
        }

        #[test]
        fn changed_bytes_give_an_error_or_a_command_that_is_no_larger(
            command in any_command(), mutation in mutation(),
        ) {
            let bytes = Bytes::from(mutation.of(&command.encode()));
            if let Ok(decoded) = Command::decode(&bytes) {
                let encoded = decoded.encode();
                // MessagePack's short strings are taken for bytes, and are a byte shorter:
                // client, key and value may each have been one.
                prop_assert!(encoded.len() <= bytes.len() + 3);
                prop_assert_eq!(Command::decode(&encoded), Ok(decoded));
            }
        }
    }
}
