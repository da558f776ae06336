//! Log lines on stderr: the level and the format that the flags, the environment and servers.toml
//! ask for.

use std::env;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use coracle::config::{LogFormat, LoggingSettings};
use coracle::logging::{json, text};
use coracle::types::NodeId;
use log::LevelFilter;

/// The variable that says what is logged, by module if need be.
const VARIABLE: &str = "RUST_LOG";

/// The flags for the log.
#[derive(Args, Debug)]
pub struct LogOptions {
    /// off, error, warn, info, debug or trace; without it RUST_LOG counts, then log_level
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<LevelFilter>,
    /// text or json, instead of log_format
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
}

impl LogOptions {
    /// The flag or the variable that says what is logged, whatever servers.toml says; `None` if
    /// servers.toml says it.
    pub fn fixed_by(&self) -> Option<&'static str> {
        match self.log_level {
            Some(_) => Some("--log-level"),
            None if env::var_os(VARIABLE).is_some_and(|filters| !filters.is_empty()) => {
                Some(VARIABLE)
            }
            None => None,
        }
    }

    /// Starts the logger; every line carries the node's id.
    pub fn start_logger(&self, id: NodeId, settings: &LoggingSettings) {
        let mut builder = env_logger::Builder::new();
        match (self.log_level, self.fixed_by()) {
            (Some(level), _) => builder.filter_level(level),
            (None, Some(_)) => builder.filter_level(LevelFilter::Info).parse_default_env(),
            // The level of the `log` crate alone decides, because it can change.
            (None, None) => builder.filter_level(LevelFilter::Trace),
        };
        let format = match self.log_format.unwrap_or(settings.format) {
            LogFormat::Text => text,
            LogFormat::Json => json::json,
        };
        builder
            .format(move |out, record| {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let time = utc(now.as_secs(), now.subsec_millis());
                writeln!(out, "{}", format(&time, id, record))
            })
            .init();
        if self.fixed_by().is_none() {
            log::set_max_level(settings.level);
        }
    }
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
