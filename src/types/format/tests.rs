use super::{FORMATS, Format, FormatInForce, FormatRange, SINCE_BYTES_MAX};

#[test]
fn formats_rise_by_one_from_the_lowest_to_the_highest() {
    for pair in FORMATS.windows(2) {
        assert_eq!(pair[1].format, pair[0].format.next());
    }
    assert!(FORMATS.iter().all(|row| FormatRange::OWN.contains(row.format)));
    assert!(!FormatRange::OWN.contains(FormatRange::OWN.highest.next()));
}

#[test]
fn the_newest_format_is_read_by_this_program() {
    let newest = FORMATS.last().expect("there is a format");
    assert!(newest.since <= env!("CARGO_PKG_VERSION"));
    assert!(FORMATS.iter().all(|row| row.since.len() <= SINCE_BYTES_MAX));
}

#[test]
fn a_log_that_names_no_format_has_the_first() {
    assert_eq!(FormatInForce::default().format, Format::FIRST);
}

#[test]
fn the_mark_of_an_unwritten_log_is_written_behind_the_version_and_is_no_part_of_it() {
    let plain = FormatInForce::of(Format::REVISIONS);
    let marked = plain.clone().in_unwritten_log();
    assert!(marked.is_in_unwritten_log && !plain.is_in_unwritten_log);
    assert_eq!((marked.format, &marked.since), (plain.format, &plain.since));
    assert_eq!((plain.text(), marked.text()), ("0.4.0".into(), "0.4.0 (new cluster)".into()));
    for in_force in [plain, marked] {
        assert_eq!(FormatInForce::read(in_force.format, &in_force.text()), in_force);
        let bytes = rmp_serde::to_vec_named(&in_force).unwrap();
        assert_eq!(rmp_serde::from_slice::<FormatInForce>(&bytes).unwrap(), in_force);
        assert_eq!(bytes[0], 0x82, "a map of two keys, which earlier programs read");
    }
}
