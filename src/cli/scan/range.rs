//! The keys that are asked for: those that begin with a prefix, from a key on. The protocol has
//! neither the prefix `*`, which means every key there, nor a first key; so more keys are asked
//! for, and left out here.

/// A range of keys in byte order.
#[derive(Debug)]
pub struct Range {
    prefix: Vec<u8>,
    /// The first key that counts, if it is there.
    from: Vec<u8>,
}

/// The place of a key, seen from a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Before,
    In,
    Behind,
}

/// The prefix that means every key in the protocol.
const EVERY_KEY: &[u8] = b"*";
/// The number of bytes up to which a key is made longer: no key is longer, unless the servers are
/// told to take longer ones.
const KEY_BYTES: usize = 250;

/// The prefix to ask the servers for when keys with `prefix` are wanted. It may have others as
/// well. Empty means every key.
pub fn asked_prefix(prefix: &[u8]) -> &[u8] {
    if prefix == EVERY_KEY { b"" } else { prefix }
}

impl Range {
    /// The keys that begin with a prefix, and do not come before `from`. Either may be empty.
    pub fn new(prefix: Vec<u8>, from: Vec<u8>) -> Range {
        Range { from: from.max(prefix.clone()), prefix }
    }

    /// The prefix to ask the servers for. Empty means every key.
    pub fn asked_prefix(&self) -> &[u8] {
        asked_prefix(&self.prefix)
    }

    /// The key after which the servers are to begin: one before the range, and close to it. None
    /// when they begin with the first that has the prefix.
    pub fn begin(&self) -> Option<Vec<u8>> {
        if self.from == self.asked_prefix() {
            return None;
        }
        let (last, rest) = self.from.split_last()?;
        let mut before = rest.to_vec();
        // A key has none of the bytes 0x00 to 0x20, nor 0x7f.
        match last {
            0..=0x21 => {}
            0x80 => before.push(0x7e),
            last => before.push(last - 1),
        }
        if before.len() == self.from.len() && before.len() < KEY_BYTES {
            before.push(0xff);
        }
        (!before.is_empty()).then_some(before)
    }

    /// The place of a key.
    pub fn place(&self, key: &[u8]) -> Place {
        match key {
            key if key < &self.from[..] => Place::Before,
            key if key.starts_with(&self.prefix) => Place::In,
            _ => Place::Behind,
        }
    }
}

#[cfg(test)]
mod tests;
