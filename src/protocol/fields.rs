//! The fields of a command line, which are taken one after the other.

use bytes::Bytes;

use super::error_reply::ErrorReply;
use super::request::Limits;
use super::text::{file_digest, is_name, number};
use crate::commands::LEASE_ID_MAX;

/// The rest of a line, field by field.
pub(super) struct Fields<'a, I: Iterator<Item = &'a [u8]>>(pub(super) I);

impl<'a> Fields<'a, std::iter::Empty<&'a [u8]>> {
    pub(super) fn of(line: &'a [u8]) -> Fields<'a, impl Iterator<Item = &'a [u8]>> {
        Fields(line.split(|byte| *byte == b' ').filter(|field| !field.is_empty()))
    }
}

impl<'a, I: Iterator<Item = &'a [u8]>> Fields<'a, I> {
    pub(super) fn field(&mut self, missing: &'static str) -> Result<&'a [u8], ErrorReply> {
        self.0.next().ok_or(ErrorReply::CmdErr(missing.into()))
    }

    /// Takes a field that is a name.
    pub(super) fn name(&mut self, missing: &'static str) -> Result<&'a [u8], ErrorReply> {
        let name = self.field(missing)?;
        if !is_name(name) {
            return cmd_err("a name has a control character in it");
        }
        Ok(name)
    }

    /// Takes a key and copies it: the key outlives the line, and a few bytes must not keep
    /// a whole read buffer.
    pub(super) fn key(&mut self, limits: &Limits) -> Result<Bytes, ErrorReply> {
        let key = self.name("a key is missing")?;
        if key.len() > limits.key_bytes_max {
            return Err(too_large("a key", limits.key_bytes_max));
        }
        Ok(Bytes::copy_from_slice(key))
    }

    /// Takes the prefix of keys; `*` alone, the prefix of every key, becomes an empty one.
    pub(super) fn prefix(&mut self, limits: &Limits) -> Result<Bytes, ErrorReply> {
        let prefix = self.key(limits)?;
        Ok(if prefix == b"*"[..] { Bytes::new() } else { prefix })
    }

    /// Takes the id of a lease.
    pub(super) fn id(&mut self) -> Result<u64, ErrorReply> {
        match self.number("<id> is not a number")? {
            id @ 1..=LEASE_ID_MAX => Ok(id),
            _ => cmd_err("the <id> of a lease is 1 to 9223372036854775807"),
        }
    }

    pub(super) fn number(&mut self, fault: &'static str) -> Result<u64, ErrorReply> {
        self.0.next().and_then(number).ok_or(ErrorReply::CmdErr(fault.into()))
    }

    pub(super) fn digest(&mut self) -> Result<u128, ErrorReply> {
        let fault = "<digest> is not 32 hexadecimal digits";
        self.0.next().and_then(file_digest).ok_or(ErrorReply::CmdErr(fault.into()))
    }

    /// Takes the end of a write: `noreply`, or nothing.
    pub(super) fn noreply(&mut self) -> Result<bool, ErrorReply> {
        let next = self.0.next();
        self.noreply_from(next)
    }

    /// Takes the end of a write of a value: `lease <id>`, `noreply`, both, or nothing. Returns
    /// the lease, 0 for none.
    pub(super) fn lease_and_noreply(&mut self) -> Result<(u64, bool), ErrorReply> {
        match self.0.next() {
            Some(word) if is(word, "lease") => Ok((self.id()?, self.noreply()?)),
            next => Ok((0, self.noreply_from(next)?)),
        }
    }

    fn noreply_from(&mut self, next: Option<&[u8]>) -> Result<bool, ErrorReply> {
        match next {
            None => Ok(false),
            Some(word) if is(word, "noreply") => self.end().map(|()| true),
            Some(_) => cmd_err("there are too many fields"),
        }
    }

    /// Takes the end of a read: `at <revision>`, or nothing. Returns the revision, 0 for now.
    pub(super) fn at(&mut self) -> Result<u64, ErrorReply> {
        let next = self.0.next();
        self.at_from(next)
    }

    /// The same, when the next field is taken already.
    pub(super) fn at_from(&mut self, next: Option<&[u8]>) -> Result<u64, ErrorReply> {
        match next {
            None => Ok(0),
            Some(word) if is(word, "at") => match self.number("<revision> is not a number")? {
                0 => cmd_err("<revision> begins at 1"),
                revision => Ok(revision),
            },
            Some(_) => cmd_err("there are too many fields"),
        }
    }

    pub(super) fn end(&mut self) -> Result<(), ErrorReply> {
        match self.0.next() {
            None => Ok(()),
            Some(_) => cmd_err("there are too many fields"),
        }
    }
}

pub(super) fn is(field: &[u8], word: &str) -> bool {
    field.eq_ignore_ascii_case(word.as_bytes())
}

pub(super) fn cmd_err<T>(text: &'static str) -> Result<T, ErrorReply> {
    Err(ErrorReply::CmdErr(text.into()))
}

pub(super) fn too_large(what: &str, bytes_max: usize) -> ErrorReply {
    ErrorReply::TooLarge(format!("{what} has at most {bytes_max} bytes").into())
}
