//! The lines about commands that took long.

use std::collections::BTreeMap;

/// The parts of the time in a line, in milliseconds.
fn parts_of(line: &str) -> BTreeMap<String, f64> {
    let part = |word: &str| {
        let (name, value) = word.split_once("_ms=")?;
        let is_part = !matches!(name, "total" | "late_max");
        is_part.then(|| (name.to_owned(), value.parse().expect("it is a number")))
    };
    line.split_whitespace().filter_map(part).collect()
}

/// Fails unless this part is the longest of the line.
pub fn assert_longest(line: &str, part: &str) {
    let parts = parts_of(line);
    let longest = parts.values().copied().fold(0.0, f64::max);
    assert_eq!(parts.get(part), Some(&longest), "{line}");
    assert!(line.contains(&format!(" cause={part} ")), "{line}");
}
