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

mod bounds;
mod fields;
mod transaction;

use bytes::{BufMut, Bytes, BytesMut};
use rmp_serde::Deserializer;
use serde::{Deserialize, Serialize};

use self::bounds::{
    ADD, CAS, COMPACT, DELETE, END, GRANT, LEASED_ADD, LEASED_CAS, LEASED_SET, RENEW, REVOKE, SET,
    SET_HISTORY, TRANSACTION, check_length, check_number,
};
pub use self::bounds::{
    CLIENT_BYTES_MAX, CommandError, KEY_BYTES_MAX, RENEWALS_MAX, VALUE_BYTES_MAX,
};
use self::fields::{
    CasFields, DeleteFields, EndFields, GrantFields, HistoryFields, LeasedCasFields,
    LeasedWriteFields, NumberFields, OnceFields, RenewFields, TransactionCommandFields,
    WriteFields,
};
use self::transaction::TransactionFields;
use super::command::Command;
use super::transaction::{TRANSACTION_DEPTH_MAX, TransactionLimits};
use crate::commands::{HistoryLimits, LEASE_ID_MAX, LEASE_TTL, Once, Operation, Transaction};
use crate::types::{Format, is_at_end};

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

/// The name of an operation, which the first byte of a command names, as commands of clients have
/// it; `other` for those that no client asks for, and for an operation that is not known.
pub fn operation_name(operation: u8) -> &'static str {
    match operation {
        SET | LEASED_SET => "set",
        ADD | LEASED_ADD => "add",
        CAS | LEASED_CAS => "cas",
        DELETE => "delete",
        END => "end",
        TRANSACTION => "commit",
        GRANT => "grant",
        RENEW => "renew",
        REVOKE => "revoke",
        COMPACT => "compact",
        _ => "other",
    }
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
