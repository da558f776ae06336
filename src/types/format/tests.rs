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
fn a_mark_beside_the_version_is_no_part_of_it() {
    let plain = FormatInForce::of(Format::REVISIONS);
    assert!(!plain.is_in_unwritten_log());
    let marked = plain.clone().in_unwritten_log();
    assert!(marked.is_in_unwritten_log());
    assert_eq!((marked.format, marked.version()), (plain.format, plain.version()));
    assert!(marked.since.len() <= SINCE_BYTES_MAX);
}
