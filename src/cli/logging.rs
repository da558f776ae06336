//! Log lines: time, level, node and message, on stderr.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use coracle::types::NodeId;
use log::LevelFilter;

/// Starts the logger; every line carries the node's id.
pub fn init(id: NodeId, level: Option<LevelFilter>) {
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Info);
    match level {
        Some(level) => builder.filter_level(level),
        None => builder.parse_default_env(),
    };
    builder
        .format(move |out, record| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let time = utc(now.as_secs(), now.subsec_millis());
            writeln!(out, "{time} {:<5} n{id} {}", record.level(), record.args())
        })
        .init();
}

/// A time of day in UTC, as in RFC 3339.
pub fn utc(unix_seconds: u64, millis: u32) -> String {
    let (days, second) = (unix_seconds / 86_400, unix_seconds % 86_400);
    // Years that begin in March put the leap day last: a month's first day is then a linear
    // function of the month, within an era of 400 years (Hinnant, "chrono-compatible low-level
    // date algorithms").
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests;
