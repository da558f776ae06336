//! The checks. Each is a pure function of the facts.

mod clocks;
mod disk;
mod members;
mod memory;
mod open_files;
mod ports;
mod snapshots;
mod timing;
mod versions;

use super::facts::Facts;
use super::finding::Diagnosis;

/// Everything that there is to say about these facts.
pub fn check(facts: &Facts) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    for check in [
        members::check,
        ports::check,
        versions::check,
        snapshots::check,
        clocks::check,
        timing::check,
        disk::check,
        memory::check,
        open_files::check,
    ] {
        check(facts, &mut diagnosis);
    }
    diagnosis
}

#[cfg(test)]
pub mod tests;
