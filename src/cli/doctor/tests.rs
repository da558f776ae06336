//! The exit code.

use super::finding::{Finding, Level};
use super::*;

#[test]
fn only_what_fails_is_a_failure() {
    let finding = |level| Finding { level, ..Finding::ok("disk", "it is full") };
    let of = |levels: &[Level]| {
        let findings = levels.iter().map(|level| finding(*level)).collect();
        failure(&Diagnosis { findings, unchecked: Vec::new() })
    };
    assert!(of(&[Level::Ok, Level::Warn]).is_none());
    let failure = of(&[Level::Fail, Level::Ok, Level::Fail]).unwrap();
    assert_eq!(failure.exit_code(), 1);
    assert_eq!(failure.to_string(), "checks fail: disk, disk");
}
