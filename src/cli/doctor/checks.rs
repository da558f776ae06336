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

/// The clause about what only servers.toml names.
const WITHOUT_FILE: &str = "settings, snapshots, election timeout, disks, memory, open files and \
                            the other ports, because only servers.toml names them: give --config";

/// A check, and true when it needs the settings in servers.toml.
type Check = (fn(&Facts, &mut Diagnosis), bool);

const CHECKS: [Check; 9] = [
    (members::check, false),
    (ports::check, false),
    (versions::check, false),
    (snapshots::check, true),
    (clocks::check, false),
    (timing::check, true),
    (disk::check, true),
    (memory::check, true),
    (open_files::check, true),
];

/// Everything that there is to say about these facts.
pub fn check(facts: &Facts) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    for (check, is_of_settings) in CHECKS {
        if !is_of_settings || facts.settings.is_some() {
            check(facts, &mut diagnosis);
        }
    }
    if facts.settings.is_none() {
        diagnosis.unchecked.push(WITHOUT_FILE.into());
    }
    diagnosis
}

#[cfg(test)]
pub mod tests;
