//! The small pieces of text that requests and replies share: sinks, numbers, names, line
//! ends.

use std::fmt::{self, Write};

use bytes::{Bytes, BytesMut};

/// The place that requests and replies are printed to.
pub trait Sink {
    /// Adds a copy of `bytes`.
    fn put_slice(&mut self, bytes: &[u8]);

    /// Adds `bytes`; they need not be copied.
    fn put_bytes(&mut self, bytes: Bytes);
}

impl Sink for Vec<u8> {
    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_bytes(&mut self, bytes: Bytes) {
        self.extend_from_slice(&bytes);
    }
}

impl Sink for BytesMut {
    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn put_bytes(&mut self, bytes: Bytes) {
        self.extend_from_slice(&bytes);
    }
}

/// Prints `text` without a line end.
pub(super) fn put_text(sink: &mut impl Sink, text: fmt::Arguments<'_>) {
    /// Formats into the sink without a buffer.
    struct Text<'a, S>(&'a mut S);

    impl<S: Sink> Write for Text<'_, S> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.put_slice(text.as_bytes());
            Ok(())
        }
    }

    Text(sink).write_fmt(text).expect("a sink takes everything");
}

/// Prints `text` and a line end.
pub(super) fn put_line(sink: &mut impl Sink, text: fmt::Arguments<'_>) {
    put_text(sink, text);
    sink.put_slice(b"\r\n");
}

/// Prints a data block and its line end.
pub(super) fn put_block(sink: &mut impl Sink, data: Bytes) {
    sink.put_bytes(data);
    sink.put_slice(b"\r\n");
}

/// True when `bytes` can be a key or a client's name: at least one byte, and none of them
/// a space or a control character.
pub fn is_name(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| *byte > 0x20 && *byte != 0x7f)
}

/// The value of a decimal number without a sign. Unlike `str::parse` it takes no `+`.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    if field.is_empty() {
        return None;
    }
    field.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// Exactly `N` fields with one space between them.
pub(super) fn fields<const N: usize>(rest: &[u8]) -> Option<[&[u8]; N]> {
    let mut split = rest.split(|byte| *byte == b' ');
    let mut fields: [&[u8]; N] = [&[]; N];
    for field in &mut fields {
        *field = split.next()?;
    }
    split.next().is_none().then_some(fields)
}

/// The value of the digest of a file: 32 hexadecimal digits.
pub(super) fn file_digest(field: &[u8]) -> Option<u128> {
    hexadecimal(field, 32)
}

/// The value of the digest of a store: 16 hexadecimal digits.
pub(super) fn store_digest(field: &[u8]) -> Option<u64> {
    hexadecimal(field, 16)?.try_into().ok()
}

/// The value of exactly this many hexadecimal digits, 32 at most.
fn hexadecimal(field: &[u8], digits: usize) -> Option<u128> {
    if field.len() != digits || !field.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u128::from_str_radix(std::str::from_utf8(field).ok()?, 16).ok()
}

/// The text as one line of printable ASCII. Words of other servers may be in it, and a line end
/// among them would begin a line of its own.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect()
}

/// The line end after a data block.
pub(super) enum BlockEnd {
    /// A line end of one or two bytes.
    LineEnd(usize),
    /// The block is followed by something else.
    Missing,
    /// Too few bytes have come to decide.
    Unknown,
}

/// Looks for the line end of a data block that ends before `at`.
pub(super) fn block_end(input: &[u8], at: usize) -> BlockEnd {
    match (input.get(at), input.get(at + 1)) {
        (Some(b'\n'), _) => BlockEnd::LineEnd(1),
        (Some(b'\r'), Some(b'\n')) => BlockEnd::LineEnd(2),
        (None, _) | (Some(b'\r'), None) => BlockEnd::Unknown,
        (Some(_), _) => BlockEnd::Missing,
    }
}

/// The line without the `\r` before its line feed.
pub(super) fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}
