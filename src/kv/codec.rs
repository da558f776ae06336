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
//!   6 set       [once, store_bytes_max, key, exptime, value, lease]; lease is not 0
//!   7 add       [once, store_bytes_max, key, exptime, value, lease]; lease is not 0
//!   8 cas       [once, store_bytes_max, key, exptime, version, value, lease]; lease is not 0
//!   9 transact  [once, store_bytes_max, transaction], see `transaction`
//!  10 grant     [once, store_bytes_max, id, ttl, leases_max]
//!  11 renew     [once, store_bytes_max, ids]
//!  12 revoke    [once, store_bytes_max, id]
//!  13 compact   [once, store_bytes_max, revision]
//!  14 history   [once, store_bytes_max, keep_revisions, bytes_max]
//!
//!   once: nil, or [client, seq]
//! ```
//!
//! A write without a lease has its old number, so that a cluster in a format before 4 reads it.
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

mod fields;
mod transaction;

use bytes::{BufMut, Bytes, BytesMut};
use rmp_serde::Deserializer;
use serde::{Deserialize, Serialize};

use self::fields::{
    CasFields, DeleteFields, EndFields, GrantFields, HistoryFields, LeasedCasFields,
    LeasedWriteFields, NumberFields, OnceFields, RenewFields, TransactionCommandFields,
    WriteFields,
};
use self::transaction::TransactionFields;
use super::command::{Command, Once, Operation};
use super::history::HistoryLimits;
use super::transaction::{TRANSACTION_DEPTH_MAX, Transaction, TransactionFault, TransactionLimits};
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
const LEASED_SET: u8 = 6;
const LEASED_ADD: u8 = 7;
const LEASED_CAS: u8 = 8;
const TRANSACTION: u8 = 9;
const GRANT: u8 = 10;
const RENEW: u8 = 11;
const REVOKE: u8 = 12;
const COMPACT: u8 = 13;
const SET_HISTORY: u8 = 14;

/// The operations, each with the format of the cluster that adds it (docs/adr/0023).
const OPERATIONS: &[(u8, Format)] = &[
    (SET, Format(1)),
    (ADD, Format(1)),
    (CAS, Format(1)),
    (DELETE, Format(1)),
    (END, Format(1)),
    (LEASED_SET, Format(4)),
    (LEASED_ADD, Format(4)),
    (LEASED_CAS, Format(4)),
    (TRANSACTION, Format(4)),
    (GRANT, Format(4)),
    (RENEW, Format(4)),
    (REVOKE, Format(4)),
    (COMPACT, Format(4)),
    (SET_HISTORY, Format(4)),
];

/// The least and the greatest time to live of a lease, in seconds: the latter is a hundred years.
pub const LEASE_TTL: std::ops::RangeInclusive<u64> = 1..=3_153_600_000;

/// The greatest id of a lease. An id has 63 bits, so that the clients that take it for a signed
/// number see a positive one.
pub const LEASE_ID_MAX: u64 = i64::MAX as u64;

/// Maximum number of leases that one command renews. It is a constant of the format.
pub const RENEWALS_MAX: usize = 65_536;

/// Maximum size of a command without its key, value and client, in bytes: the size of a
/// `cas` with `once` and a lease in which every number and length has its widest encoding. Of the
/// commands without keys, `grant` is the largest and below it; the ids of `renew` come on top.
const FRAMING_BYTES_MAX: usize = 60;
/// Maximum depth of arrays and maps in each other. Transactions of the greatest depth take four
/// for each, and the decoder calls itself for each.
const DECODED_DEPTH_MAX: usize = 8 + 4 * TRANSACTION_DEPTH_MAX;
/// The widest encoding of a number, in bytes.
const NUMBER_BYTES_MAX: usize = 9;

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
    /// A number is one that no command can have.
    #[error("the command's {field} is {number}; it must be {min} to {max}")]
    Number {
        /// The name of the field.
        field: &'static str,
        /// The number.
        number: u64,
        /// The least number.
        min: u64,
        /// The greatest number.
        max: u64,
    },
    /// A transaction breaks a bound of the format.
    #[error(transparent)]
    Transaction(#[from] TransactionFault),
    /// The sequence number of `once` is 0; the numbers begin at 1.
    #[error("the command's once number is 0; it must be at least 1")]
    SeqZero,
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

    /// An upper bound of the encoded size in bytes, at most 60 above the exact size; for a
    /// transaction and for `renew` it may be more above it.
    pub fn encoded_bytes_max(&self) -> usize {
        let client_bytes = self.once.as_ref().map_or(0, |once| once.client.len());
        let contents = match &self.operation {
            Operation::Set { key, value, .. }
            | Operation::Add { key, value, .. }
            | Operation::Cas { key, value, .. } => key.len() + value.len(),
            Operation::Delete { key } => key.len(),
            Operation::Transaction(transaction) => transaction.encoded_bytes_max(),
            Operation::Renew { ids } => ids.len() * NUMBER_BYTES_MAX,
            _ => 0,
        };
        FRAMING_BYTES_MAX + client_bytes + contents
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
        let once = self.once.as_ref().map(|once| OnceFields(&once.client, once.seq));
        let store_bytes_max = self.store_bytes_max;
        match &self.operation {
            Operation::Set { key, exptime, value, lease } => {
                let write = WriteFields { once, store_bytes_max, key, exptime: *exptime, value };
                pack_write((SET, LEASED_SET), write, *lease, output);
            }
            Operation::Add { key, exptime, value, lease } => {
                let write = WriteFields { once, store_bytes_max, key, exptime: *exptime, value };
                pack_write((ADD, LEASED_ADD), write, *lease, output);
            }
            &Operation::Cas { ref key, exptime, version, ref value, lease: 0 } => {
                let fields = CasFields { once, store_bytes_max, key, exptime, version, value };
                pack(CAS, &fields, output);
            }
            &Operation::Cas { ref key, exptime, version, ref value, lease } => {
                let fields =
                    LeasedCasFields { once, store_bytes_max, key, exptime, version, value, lease };
                pack(LEASED_CAS, &fields, output);
            }
            Operation::Delete { key } => {
                pack(DELETE, &DeleteFields { once, store_bytes_max, key }, output);
            }
            Operation::End => pack(END, &EndFields { once, store_bytes_max }, output),
            Operation::Transaction(transaction) => {
                let transaction = TransactionFields::of(transaction);
                let fields = TransactionCommandFields { once, store_bytes_max, transaction };
                pack(TRANSACTION, &fields, output);
            }
            &Operation::Grant { id, ttl, leases_max } => {
                pack(GRANT, &GrantFields { once, store_bytes_max, id, ttl, leases_max }, output);
            }
            Operation::Renew { ids } => {
                let ids = ids.clone();
                pack(RENEW, &RenewFields { once, store_bytes_max, ids }, output);
            }
            &Operation::Revoke { id: number } => {
                pack(REVOKE, &NumberFields { once, store_bytes_max, number }, output);
            }
            &Operation::Compact { revision: number } => {
                pack(COMPACT, &NumberFields { once, store_bytes_max, number }, output);
            }
            &Operation::SetHistory(HistoryLimits { keep_revisions, bytes_max }) => {
                let fields = HistoryFields { once, store_bytes_max, keep_revisions, bytes_max };
                pack(SET_HISTORY, &fields, output);
            }
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
        let (once, store_bytes_max, operation) = match *operation {
            operation @ (SET | ADD) => {
                unpack::<WriteFields<'_>>(body)?.operation(operation, payload)
            }
            CAS => unpack::<CasFields<'_>>(body)?.operation(payload),
            DELETE => unpack::<DeleteFields<'_>>(body)?.operation(payload),
            END => {
                let fields: EndFields<'_> = unpack(body)?;
                (fields.once, fields.store_bytes_max, Operation::End)
            }
            operation @ (LEASED_SET | LEASED_ADD) => {
                unpack::<LeasedWriteFields<'_>>(body)?.operation(operation, payload)?
            }
            LEASED_CAS => unpack::<LeasedCasFields<'_>>(body)?.operation(payload)?,
            TRANSACTION => unpack::<TransactionCommandFields<'_>>(body)?.operation(payload)?,
            GRANT => unpack::<GrantFields<'_>>(body)?.operation(),
            RENEW => unpack::<RenewFields<'_>>(body)?.operation(),
            operation @ (REVOKE | COMPACT) => {
                unpack::<NumberFields<'_>>(body)?.operation(operation)
            }
            SET_HISTORY => unpack::<HistoryFields<'_>>(body)?.operation(),
            unknown => return Err(CommandError::UnknownOperation(unknown)),
        };
        let once =
            once.map(|OnceFields(client, seq)| Once { client: payload.slice_ref(client), seq });
        let command = Command { once, store_bytes_max, operation };
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
            Operation::Set { key, value, lease, .. }
            | Operation::Add { key, value, lease, .. }
            | Operation::Cas { key, value, lease, .. } => {
                check_length("key", key.len(), 1, KEY_BYTES_MAX)?;
                check_length("value", value.len(), 0, VALUE_BYTES_MAX)?;
                check_number("lease", *lease, 0, LEASE_ID_MAX)
            }
            Operation::Delete { key } => check_length("key", key.len(), 1, KEY_BYTES_MAX),
            Operation::End if self.once.is_none() => Err(CommandError::NoClient),
            Operation::End | Operation::Compact { .. } | Operation::SetHistory(_) => Ok(()),
            Operation::Transaction(transaction) => {
                transaction.check(&TransactionLimits::OF_FORMAT)?;
                transaction::check_contents(transaction)
            }
            Operation::Grant { id, ttl, .. } => {
                check_number("lease", *id, 0, LEASE_ID_MAX)?;
                check_number("time to live", *ttl, *LEASE_TTL.start(), *LEASE_TTL.end())
            }
            Operation::Renew { ids } => {
                check_length("list of leases", ids.len(), 1, RENEWALS_MAX)?;
                ids.iter().try_for_each(|id| check_number("lease", *id, 1, LEASE_ID_MAX))
            }
            Operation::Revoke { id } => check_number("lease", *id, 1, LEASE_ID_MAX),
        }
    }
}

/// The bytes of a transaction as it stands in a command.
pub(super) fn transaction_bytes(transaction: &Transaction) -> Vec<u8> {
    rmp_serde::to_vec(&TransactionFields::of(transaction))
        .expect("numbers and byte strings always encode to MessagePack in memory")
}

/// Encodes a `set` or an `add`: with the first of the two operations when there is no lease.
fn pack_write(
    (plain, leased): (u8, u8),
    write: WriteFields<'_>,
    lease: u64,
    output: &mut BytesMut,
) {
    if lease == 0 {
        pack(plain, &write, output);
    } else {
        let WriteFields { once, store_bytes_max, key, exptime, value } = write;
        let fields = LeasedWriteFields { once, store_bytes_max, key, exptime, value, lease };
        pack(leased, &fields, output);
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

fn check_number(field: &'static str, number: u64, min: u64, max: u64) -> Result<(), CommandError> {
    if (min..=max).contains(&number) {
        Ok(())
    } else {
        Err(CommandError::Number { field, number, min, max })
    }
}

fn pack<T: Serialize>(operation: u8, fields: &T, output: &mut BytesMut) {
    output.put_u8(operation);
    rmp_serde::encode::write(&mut output.writer(), fields)
        .expect("numbers and byte strings always encode to MessagePack in memory");
}

fn unpack<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, CommandError> {
    let mut deserializer = Deserializer::from_read_ref(body);
    deserializer.set_max_depth(DECODED_DEPTH_MAX);
    let fields = T::deserialize(&mut deserializer)
        .map_err(|error| CommandError::Malformed(error.to_string()))?;
    if is_at_end(&mut deserializer) { Ok(fields) } else { Err(CommandError::TrailingBytes) }
}

#[cfg(test)]
mod tests;
