use proptest::prelude::*;

use super::*;

#[test]
fn a_name_takes_no_more_than_a_pointer_with_its_length_and_a_word() {
    assert_eq!(size_of::<KeyBytes>(), 24);
}

proptest! {
    // Most have the beginning in common, so that any byte of them decides.
    #[test]
    fn names_are_byte_strings_in_their_order(
        common in prop::collection::vec(any::<u8>(), 0..25),
        tails in prop::array::uniform2(prop::collection::vec(0_u8..3, 0..6)),
    ) {
        let [a, b] = tails.map(|tail| [&common[..], &tail].concat());
        let (one, two) = (KeyBytes::from(&a[..]), KeyBytes::from(&b[..]));
        prop_assert_eq!(&one[..], &a[..]);
        prop_assert_eq!(one.cmp(&two), a.cmp(&b));
        prop_assert_eq!(one == two, a == b);
        prop_assert_eq!(&one.clone()[..], &a[..]);
    }
}
