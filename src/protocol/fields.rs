//! The fields of a command line, which are taken one after the other.

use bytes::Bytes;

use super::error_reply::ErrorReply;
use super::request::Limits;
use super::text::{file_digest, is_name, number};

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

    pub(super) fn number(&mut self, fault: &'static str) -> Result<u64, ErrorReply> {
        self.0.next().and_then(number).ok_or(ErrorReply::CmdErr(fault.into()))
    }

    pub(super) fn digest(&mut self) -> Result<u128, ErrorReply> {
        let fault = "<digest> is not 32 hexadecimal digits";
        self.0.next().and_then(file_digest).ok_or(ErrorReply::CmdErr(fault.into()))
    }

    /// Takes the end of a write: `noreply`, or nothing.
    pub(super) fn noreply(&mut self) -> Result<bool, ErrorReply> {
        match self.0.next() {
            None => Ok(false),
            Some(word) if is(word, "noreply") => self.end().map(|()| true),
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
