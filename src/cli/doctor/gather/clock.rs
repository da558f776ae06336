//! The wall clocks of servers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use coracle::client::status_of;

use super::super::facts::Clock;

/// Asks a server for its wall clock; `None` when it does not answer.
pub async fn ask(address: &str, patience: Duration) -> Option<Clock> {
    let before_ms = now_ms();
    let status = status_of(address, patience).await.ok()?;
    let after_ms = now_ms();
    let theirs_ms = i64::try_from(status.number("wall_clock_ms")?).ok()?;
    Some(between(before_ms, theirs_ms, after_ms))
}

/// The difference of a clock that was read at some time between two readings of ours.
fn between(before_ms: i64, theirs_ms: i64, after_ms: i64) -> Clock {
    let error_ms = (after_ms - before_ms).max(0).div_euclid(2) + 1;
    Clock { ahead_ms: theirs_ms - before_ms.midpoint(after_ms), error_ms }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
