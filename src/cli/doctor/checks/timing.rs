//! The election timeout against the round trips and the syncs that an election needs.

use super::super::super::text::millis;
use super::super::facts::Facts;
use super::super::finding::{Diagnosis, Finding, Level};

const NAME: &str = "election timeout";
/// The least timeout is at least this many round trips.
const ROUND_TRIPS: f64 = 10.0;
/// Below this many, a leader is lost with every few slow answers.
const ROUND_TRIPS_MIN: f64 = 3.0;
/// The least timeout is at least this many syncs: a vote is durable before it is given.
const SYNCS: f64 = 4.0;
/// Below this many, no vote comes in time.
const SYNCS_MIN: f64 = 1.0;

/// Checks the least election timeout.
pub fn check(facts: &Facts, diagnosis: &mut Diagnosis) {
    let timeout_ms = facts.settings().raft.election_timeout_ms_min as f64;
    let metrics = facts.servers.iter().filter_map(|server| server.metrics?.round_trip_ms);
    match metrics.max_by(f64::total_cmp) {
        Some(round_trip) => diagnosis.findings.push(finding(
            timeout_ms,
            ("the mean round trip from the leader to the slowest server", round_trip),
            (ROUND_TRIPS, ROUND_TRIPS_MIN),
        )),
        None => diagnosis.unchecked.push(
            "round trips between servers, because no leader with an HTTP port answers".into(),
        ),
    }
    if let Some(sync) = slowest_sync_ms(facts) {
        let what = "the 99th of 100 syncs on the slowest disk";
        diagnosis.findings.push(finding(timeout_ms, (what, sync), (SYNCS, SYNCS_MIN)));
    }
}

/// The slowest sync that was measured here or reported.
fn slowest_sync_ms(facts: &Facts) -> Option<f64> {
    let here = facts.locals().filter_map(|(_, local)| Some(local.fsync.as_ref().ok()?.p99_ms));
    let reported = facts.servers.iter().filter_map(|server| server.reported("fsync_p99_ms"));
    here.chain(reported).max_by(f64::total_cmp)
}

/// The finding about the timeout and a time of which it must hold several.
fn finding(timeout_ms: f64, (what, time_ms): (&str, f64), (many, few): (f64, f64)) -> Finding {
    let level = match timeout_ms {
        _ if timeout_ms < few * time_ms => Level::Fail,
        _ if timeout_ms < many * time_ms => Level::Warn,
        _ => Level::Ok,
    };
    let relation = if level == Level::Ok { "at least" } else { "less than" };
    let text = format!(
        "the least one is {timeout_ms} ms, {relation} {many} times {what} ({})",
        millis(time_ms)
    );
    let advice = format!(
        "raise the first number of [raft] election_timeout_ms to {} or more, the second to twice \
         as much, on all servers; or make what is slow faster",
        (many * time_ms).ceil()
    );
    let advice = (level != Level::Ok).then_some(advice);
    Finding { level, advice, ..Finding::ok(NAME, text) }
}

#[cfg(test)]
mod tests;
