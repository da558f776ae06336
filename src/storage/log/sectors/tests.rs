use super::*;

fn owner(number: u64) -> SectorOwner {
    SectorOwner { number, node_id: NodeId(3) }
}

#[test]
fn offsets_and_places_belong_together() {
    assert_eq!((place_of(512), end_place_of(512), file_bytes_to(512)), (520, 512, 512));
    assert_eq!((place_of(513), end_place_of(513), file_bytes_to(513)), (521, 521, 1024));
    assert_eq!((place_of(1016), end_place_of(1016), file_bytes_to(1016)), (1032, 1024, 1024));
    let mut place = 512;
    for offset in 512..4000 {
        if place % SECTOR_BYTES == 0 {
            place += TAG_BYTES;
        }
        assert_eq!((place_of(offset), end_place_of(offset + 1)), (place, place + 1));
        assert_eq!(sector_of(offset), place / SECTOR_BYTES);
        assert_eq!(begin_of(sector_of(offset)) + bytes_before(offset), offset);
        assert!(end_of_stream(file_bytes_to(offset + 1)) > offset);
        assert!(end_of_stream(file_bytes_to(offset + 1) - 1) <= offset);
        place += 1;
    }
}

#[test]
fn a_tag_is_of_one_number_node_and_sector() {
    let bytes = owner(7).encode(2, &[0; 504]);
    assert_eq!(owner(7).state(2, &bytes), SectorState::Written, "a payload may be zeros");
    assert_eq!(owner(8).state(2, &bytes), SectorState::Blank);
    assert_eq!(owner(7 + (1 << 32)).state(2, &bytes), SectorState::Damaged, "half a number");
    assert_eq!(owner(6).state(2, &bytes), SectorState::Damaged, "of a later segment");
    assert_eq!(owner(7).state(3, &bytes), SectorState::Damaged, "in the wrong place");
    let other = SectorOwner { node_id: NodeId(4), ..owner(7) };
    assert_eq!(other.state(2, &bytes), SectorState::Damaged, "another server's");
    for bit in 0..64 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        for number in [7, 8, 9, 1 << 20, u64::MAX] {
            assert_eq!(owner(number).state(2, &bytes), SectorState::Damaged, "bit {bit}");
        }
    }
}

#[test]
fn a_sector_of_zeros_is_blank_and_one_with_a_byte_that_is_not_is_damaged() {
    let mut bytes = [0; 512];
    assert_eq!(owner(7).state(2, &bytes), SectorState::Blank);
    bytes[511] = 1;
    assert_eq!(owner(7).state(2, &bytes), SectorState::Damaged);
}

#[test]
fn numbers_of_more_than_32_bits_are_known_in_the_next_segments() {
    let number = (5 << 32) - 1;
    let bytes = owner(number).encode(9, &[1; 504]);
    assert_eq!(owner(number).state(9, &bytes), SectorState::Written);
    assert_eq!(owner(number + 1).state(9, &bytes), SectorState::Blank);
    assert_eq!(owner(number + 1000).state(9, &bytes), SectorState::Blank);
}
