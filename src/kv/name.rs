//! The name of a key, or of a client, as the store keeps it.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// So many bytes are kept where the name itself is.
const SHORT_BYTES_MAX: usize = 22;

/// A byte string in the order of byte strings.
///
/// A short one has no allocation: the ordered map compares some fifteen of them to find
/// one, and each that lay elsewhere would be a cache miss (docs/performance.md). A clone
/// of a long one is not a copy.
#[derive(Clone)]
pub(super) enum Name {
    /// The first `len` of `bytes`.
    Short {
        len: u8,
        bytes: [u8; SHORT_BYTES_MAX],
    },
    Long(Arc<[u8]>),
}

impl From<&[u8]> for Name {
    fn from(name: &[u8]) -> Name {
        if name.len() > SHORT_BYTES_MAX {
            return Name::Long(name.into());
        }
        let mut bytes = [0; SHORT_BYTES_MAX];
        bytes[..name.len()].copy_from_slice(name);
        Name::Short { len: name.len() as u8, bytes }
    }
}

impl Deref for Name {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Name::Short { len, bytes } => &bytes[..usize::from(*len)],
            Name::Long(bytes) => bytes,
        }
    }
}

/// The map is searched by slices: their order is this order.
impl Borrow<[u8]> for Name {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        **self == **other
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_takes_no_more_than_a_pointer_with_its_length_and_a_word() {
        assert_eq!(size_of::<Name>(), 24);
    }

    proptest! {
        #[test]
        fn names_are_byte_strings_in_their_order(
            a in prop::collection::vec(0_u8..3, 0..30),
            b in prop::collection::vec(0_u8..3, 0..30),
        ) {
            let (one, two) = (Name::from(&a[..]), Name::from(&b[..]));
            prop_assert_eq!(&one[..], &a[..]);
            prop_assert_eq!(one.cmp(&two), a.cmp(&b));
            prop_assert_eq!(one == two, a == b);
            prop_assert_eq!(&one.clone()[..], &a[..]);
        }
    }
}
