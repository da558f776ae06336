//! The wall clocks of the servers. Nothing depends on them but the times in logs.

use super::super::facts::{Clock, Facts};
use super::super::finding::{Diagnosis, Finding};

const NAME: &str = "clocks";
/// The difference in milliseconds that is told, beyond the error of the comparison.
const DIFFERENCE_MS_MAX: i64 = 1_000;

/// Checks the clock of each server against that of this machine, and against each other.
pub fn check(facts: &Facts, diagnosis: &mut Diagnosis) {
    let clocks = facts.servers.iter().filter_map(|it| Some((it.id(), it.clock?)));
    let clocks: Vec<_> = clocks.collect();
    let wrong: Vec<Finding> = clocks
        .iter()
        .filter_map(|(id, clock)| finding(*clock).map(|finding| finding.of(*id)))
        .collect();
    if clocks.is_empty() {
        diagnosis.unchecked.push("clocks, because no server answers".into());
    } else if wrong.is_empty() {
        let ahead = || clocks.iter().map(|(_, clock)| clock.ahead_ms);
        let spread = ahead().max().unwrap_or(0) - ahead().min().unwrap_or(0);
        let here = ahead().map(i64::abs).max().unwrap_or(0);
        let text = format!(
            "the servers' are within {spread} ms of each other, and within {here} ms of this \
             machine's"
        );
        diagnosis.findings.push(Finding::ok(NAME, text));
    } else {
        diagnosis.findings.extend(wrong);
    }
}

/// The finding about a clock that surely differs by more than the bound.
fn finding(clock: Clock) -> Option<Finding> {
    let Clock { ahead_ms, error_ms } = clock;
    let side = if ahead_ms < 0 { "behind" } else { "ahead of" };
    let text = format!(
        "its clock is {} ms {side} this machine's (within {error_ms} ms), more than \
         {DIFFERENCE_MS_MAX} ms",
        ahead_ms.abs()
    );
    let advice = "have NTP set both clocks; no data depends on them, but the times in the logs of \
                  different servers cannot be compared";
    (ahead_ms.abs() - error_ms > DIFFERENCE_MS_MAX).then(|| Finding::warn(NAME, text, advice))
}

#[cfg(test)]
mod tests;
