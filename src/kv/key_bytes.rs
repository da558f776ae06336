//! A short byte string stored inline: the bytes of a key, or of a client's name.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Maximum length in bytes of a string that is stored inline.
const SHORT_BYTES_MAX: usize = 22;

/// A byte string in the order of byte strings.
///
/// A short string has no allocation. The ordered map compares about fifteen strings to find
/// one, and each string in an allocation of its own would be a cache miss
/// (docs/performance_history.md). A clone of a long string shares its bytes.
#[derive(Clone)]
pub(super) enum KeyBytes {
    /// The string is the first `len` of `bytes`.
    Short { len: u8, bytes: [u8; SHORT_BYTES_MAX] },
    /// The bytes of a string that is too long to be stored inline.
    Long(Arc<[u8]>),
}

impl KeyBytes {
    /// The string, if it is short: a search for it takes less time than one for the slice.
    pub fn short(key: &[u8]) -> Option<KeyBytes> {
        if key.len() > SHORT_BYTES_MAX {
            return None;
        }
        let mut bytes = [0; SHORT_BYTES_MAX];
        bytes[..key.len()].copy_from_slice(key);
        Some(KeyBytes::Short { len: key.len() as u8, bytes })
    }
}

impl From<&[u8]> for KeyBytes {
    fn from(key: &[u8]) -> KeyBytes {
        KeyBytes::short(key).unwrap_or_else(|| KeyBytes::Long(key.into()))
    }
}

/// The bytes of a short string, which are 0 behind its end, as numbers in the order of the strings.
/// Strings with the same numbers differ in their lengths: the shorter one is the first.
fn numbers(bytes: &[u8; SHORT_BYTES_MAX]) -> (u128, u64) {
    let first = bytes.first_chunk().expect("a short string has room for 16 bytes");
    let last = bytes.last_chunk().expect("a short string has room for 8 bytes");
    (u128::from_be_bytes(*first), u64::from_be_bytes(*last))
}

impl Deref for KeyBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            KeyBytes::Short { len, bytes } => &bytes[..usize::from(*len)],
            KeyBytes::Long(bytes) => bytes,
        }
    }
}

/// The map is searched by slices, whose order is the order of `KeyBytes`.
impl Borrow<[u8]> for KeyBytes {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for KeyBytes {
    fn eq(&self, other: &KeyBytes) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for KeyBytes {}

impl PartialOrd for KeyBytes {
    fn partial_cmp(&self, other: &KeyBytes) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KeyBytes {
    fn cmp(&self, other: &KeyBytes) -> std::cmp::Ordering {
        match (self, other) {
            (
                KeyBytes::Short { len: len_a, bytes: bytes_a },
                KeyBytes::Short { len: len_b, bytes: bytes_b },
            ) => (numbers(bytes_a), len_a).cmp(&(numbers(bytes_b), len_b)),
            _ => (**self).cmp(&**other),
        }
    }
}

impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests;
