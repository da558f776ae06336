//! The numbers of the operations, the bounds of their fields, and what is wrong with a command.

use crate::kv::transaction::TransactionFault;
use crate::types::Format;

/// Maximum length of a key in bytes. It is a bound of the format, far above the default
/// of `[limits] key_bytes_max`, which must not exceed it.
pub const KEY_BYTES_MAX: usize = 64 * 1024;
/// Maximum length of a value in bytes. It is a bound of the format, which
/// `[limits] value_bytes_max` must not exceed.
pub const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Maximum length of a client's name in bytes.
pub const CLIENT_BYTES_MAX: usize = 64;

/// Maximum number of leases that one command renews. It is a constant of the format.
pub const RENEWALS_MAX: usize = 65_536;

pub(super) const SET: u8 = 1;
pub(super) const ADD: u8 = 2;
pub(super) const CAS: u8 = 3;
pub(super) const DELETE: u8 = 4;
pub(super) const END: u8 = 5;
pub(super) const LEASED_SET: u8 = 6;
pub(super) const LEASED_ADD: u8 = 7;
pub(super) const LEASED_CAS: u8 = 8;
pub(super) const TRANSACTION: u8 = 9;
pub(super) const GRANT: u8 = 10;
pub(super) const RENEW: u8 = 11;
pub(super) const REVOKE: u8 = 12;
pub(super) const COMPACT: u8 = 13;
pub(super) const SET_HISTORY: u8 = 14;

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

pub(super) fn check_length(
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

pub(super) fn check_number(
    field: &'static str,
    number: u64,
    min: u64,
    max: u64,
) -> Result<(), CommandError> {
    if (min..=max).contains(&number) {
        Ok(())
    } else {
        Err(CommandError::Number { field, number, min, max })
    }
}
