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

use coracle::types::NodeId;

use super::super::text::plural;
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

/// `server 3`, `servers 1, 2, 3`.
fn named(ids: &[NodeId]) -> String {
    let texts: Vec<String> = ids.iter().map(NodeId::to_string).collect();
    format!("{} {}", plural("server", ids.len() as u64), texts.join(", "))
}

/// A number of milliseconds, with a digit behind its point while it is small.
fn ms(number: f64) -> String {
    if number < 100.0 { format!("{number:.1} ms") } else { format!("{number:.0} ms") }
}

#[cfg(test)]
pub mod tests;
