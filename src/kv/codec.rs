//! The bytes of a command. A session encodes them, the log keeps them for ever, and
//! every node decodes them when it applies the entry.
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
//!   5 end       [once, store_bytes_max]; once is not nil
//!
//!   once: nil, or [client, seq]
//! ```
//!
//! The first byte is the format: it names the operation, and so the layout of the
//! rest. A layout never changes; a new layout gets a new number, and no number is
//! used twice. A node skips nothing that it does not know: a node that guessed the
//! meaning of a command would decide differently from a node that knows it. For the same
//! reason an operation that a format of the cluster adds is not executed before that format
//! is in force: a node that does not know the format could not.
//!
//! Decoding copies nothing: key and value are slices of the entry's payload, which
//! may itself be a slice of a whole batch. The store copies the bytes that it keeps.

use bytes::{BufMut, Bytes, BytesMut};
use rmp_serde::Deserializer;
use serde::{Deserialize, Serialize};

use super::command::{Command, Once, Operation};
use crate::types::{Format, is_at_end};

/// Maximum length of a key in bytes. It is a bound of the format, far above the default
/// of `[limits] key_bytes_max`, which must not exceed it.
pub const KEY_BYTES_MAX: usize = 64 * 1024;
/// Maximum length of a value in bytes. It is a bound of the format, which
/// `[limits] value_bytes_max` must not exceed.
pub const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Maximum length of a client's name in bytes.
pub const CLIENT_BYTES_MAX: usize = 64;

const SET: u8 = 1;
const ADD: u8 = 2;
const CAS: u8 = 3;
const DELETE: u8 = 4;
const END: u8 = 5;

/// The operations, each with the format of the cluster that adds it (docs/adr/0023).
const OPERATIONS: &[(u8, Format)] =
    &[(SET, Format(1)), (ADD, Format(1)), (CAS, Format(1)), (DELETE, Format(1)), (END, Format(1))];

/// Maximum size of a command without its key, value and client, in bytes: the size of a
/// `cas` with `once` in which every number and length has its widest encoding.
const FRAMING_BYTES_MAX: usize = 51;

/// The format that has an operation, which the first byte of a command names; `None` when this
/// version does not know it. A command of a format that is not in force must not get into the log.
pub fn needed_format(operation: u8) -> Option<Format> {
    OPERATIONS.iter().find(|(known, _)| *known == operation).map(|(_, needed)| *needed)
}

/// The reason why bytes are not a command that this version knows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There are no bytes.
    #[error("the command is empty")]
    Empty,
    /// The first byte names no operation of this version.
    #[error("the command's operation {0} is unknown to this version of the server")]
    UnknownOperation(u8),
    /// The first byte names an operation of a format that is not in force yet.
    #[error(
        "the command's operation {operation} is of format {needed}, and format {in_force} is in \
         force"
    )]
    LaterFormat {
        /// The operation.
        operation: u8,
        /// The format that adds it.
        needed: Format,
        /// The format in force at the command's place in the log.
        in_force: Format,
    },
    /// The fields are not those of the operation.
    #[error("the command does not decode: {0}")]
    Malformed(String),
    /// More bytes follow the last field.
    #[error("the command is followed by bytes that do not belong to it")]
    TrailingBytes,
    /// A field is longer or shorter than the format allows.
    #[error("the command's {field} has {bytes} bytes; it must have {min} to {max}")]
    Length {
        /// The name of the field.
        field: &'static str,
        /// The length of the field in bytes.
        bytes: usize,
        /// Minimum length in bytes.
        min: usize,
        /// Maximum length in bytes.
        max: usize,
    },
    /// An `end` names no client.
    #[error("the command ends a client and names none")]
    NoClient,
    /// The sequence number of `once` is 0; the numbers begin at 1.
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

/// The fields of `end`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EndFields<'a> {
    #[serde(borrow)]
    once: Option<OnceFields<'a>>,
    store_bytes_max: u64,
}

impl Command {
    /// The command's bytes.
    ///
    /// # Panics
    /// When a field breaks a bound of the format, see [`Command::encode_to`].
    pub fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        self.encode_to(&mut bytes);
        bytes.freeze()
    }

    /// An upper bound of the encoded size in bytes, at most 51 above the exact size.
    pub fn encoded_bytes_max(&self) -> usize {
        let client_bytes = self.once.as_ref().map_or(0, |once| once.client.len());
        let (key, value) = self.key_and_value();
        FRAMING_BYTES_MAX + client_bytes + key.len() + value.len()
    }

    /// The key and the value of the operation; the value of a `delete` is empty, and both of
    /// an `end`.
    fn key_and_value(&self) -> (&[u8], &[u8]) {
        match &self.operation {
            Operation::Set { key, value, .. }
            | Operation::Add { key, value, .. }
            | Operation::Cas { key, value, .. } => (key, value),
            Operation::Delete { key } => (key, &[]),
            _ => (&[], &[]),
        }
    }

    /// Appends the command's bytes to `output`.
    ///
    /// # Panics
    /// When a field breaks a bound of the format. The limits of the parser are within these
    /// bounds. If one were not, it is better that this node stops before the command is in
    /// the log than that every node stops when it applies the entry.
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
            Operation::End => pack(END, &EndFields { once, store_bytes_max }, output),
            _ => unreachable!("part B of issue 16"),
        }
    }

    /// The inverse of [`Command::encode`], at a place in the log at which the format `in_force`
    /// is in force. Key, value and client share `payload`'s bytes.
    ///
    /// # Errors
    /// When `payload` is not exactly one command that this version knows and the format has,
    /// within the bounds of a command. An entry with such a payload must stop the node, as
    /// `Store::apply` explains.
    pub fn decode(payload: &Bytes, in_force: Format) -> Result<Command, CommandError> {
        let (operation, body) = payload.split_first().ok_or(CommandError::Empty)?;
        check_operation(*operation, in_force, OPERATIONS)?;
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
                    Operation::Set { key, exptime, value, lease: 0 }
                } else {
                    Operation::Add { key, exptime, value, lease: 0 }
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
                    lease: 0,
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
            END => {
                let fields: EndFields<'_> = unpack(body)?;
                let store_bytes_max = fields.store_bytes_max;
                Command { once: once(fields.once), store_bytes_max, operation: Operation::End }
            }
            unknown => return Err(CommandError::UnknownOperation(unknown)),
        };
        command.check()?;
        Ok(command)
    }

    /// Returns an error when a field is outside the bounds of the format.
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
            Operation::End if self.once.is_none() => Err(CommandError::NoClient),
            _ => Ok(()),
        }
    }
}

/// Returns an error when the format `in_force` does not have the operation, by a table of
/// operations.
fn check_operation(
    operation: u8,
    in_force: Format,
    operations: &[(u8, Format)],
) -> Result<(), CommandError> {
    let row = operations.iter().find(|(known, _)| *known == operation);
    let (_, needed) = *row.ok_or(CommandError::UnknownOperation(operation))?;
    if needed > in_force {
        return Err(CommandError::LaterFormat { operation, needed, in_force });
    }
    Ok(())
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

#[cfg(test)]
mod tests;
