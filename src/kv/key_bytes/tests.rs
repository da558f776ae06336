use proptest::prelude::*;

use super::*;

#[test]
fn a_name_takes_no_more_than_a_pointer_with_its_length_and_a_word() {
    assert_eq!(size_of::<KeyBytes>(), 24);
}

proptest! {
    #[test]
    fn names_are_byte_strings_in_their_order(
        a in prop::collection::vec(0_u8..3, 0..30),
        b in prop::collection::vec(0_u8..3, 0..30),
    ) {
        let (one, two) = (KeyBytes::from(&a[..]), KeyBytes::from(&b[..]));
        prop_assert_eq!(&one[..], &a[..]);
        prop_assert_eq!(one.cmp(&two), a.cmp(&b));
        prop_assert_eq!(one == two, a == b);
        prop_assert_eq!(&one.clone()[..], &a[..]);
    }
}
