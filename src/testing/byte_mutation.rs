//! Random changes of bytes, for the property tests of decoders.

use proptest::prelude::*;
use proptest::sample::Index;

/// One change of a sequence of bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip {
        at: Index,
        bit: u32,
    },
    Cut {
        from: Index,
        to: Index,
    },
    Insert {
        at: Index,
        bytes: Vec<u8>,
    },
    /// Four bytes, which may be a length or a count, become a number.
    Number {
        at: Index,
        number: [u8; 4],
    },
}

/// Some changes of one sequence of bytes.
#[derive(Clone, Debug)]
pub(crate) struct ByteMutation(Vec<Change>);

impl ByteMutation {
    /// Returns the bytes after all changes. They may be equal to `bytes`.
    pub(crate) fn of(&self, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for change in &self.0 {
            let length = bytes.len();
            match change {
                Change::Flip { at, bit } if length > 0 => bytes[at.index(length)] ^= 1 << bit,
                Change::Flip { .. } => {}
                Change::Cut { from, to } => {
                    let (from, to) = (from.index(length + 1), to.index(length + 1));
                    bytes.drain(from.min(to)..from.max(to));
                }
                Change::Insert { at, bytes: more } => {
                    let at = at.index(length + 1);
                    bytes.splice(at..at, more.iter().copied());
                }
                Change::Number { at, number } => {
                    let at = at.index(length + 1);
                    let end = length.min(at + number.len());
                    bytes[at..end].copy_from_slice(&number[..end - at]);
                }
            }
        }
        bytes
    }
}

/// Draws one to three changes: flipped bits, cuts, insertions, and numbers that are 0, the
/// largest, or any.
pub(crate) fn mutation() -> impl Strategy<Value = ByteMutation> {
    let number = prop_oneof![Just([0; 4]), Just([0xff; 4]), any::<[u8; 4]>()];
    let change = prop_oneof![
        4 => (any::<Index>(), 0..8_u32).prop_map(|(at, bit)| Change::Flip { at, bit }),
        1 => any::<(Index, Index)>().prop_map(|(from, to)| Change::Cut { from, to }),
        1 => (any::<Index>(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, bytes)| Change::Insert { at, bytes }),
        2 => (any::<Index>(), number).prop_map(|(at, number)| Change::Number { at, number }),
    ];
    prop::collection::vec(change, 1..4).prop_map(ByteMutation)
}
