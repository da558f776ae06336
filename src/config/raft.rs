//! The table `[raft]`: the timing of elections and replication.

use std::time::Duration;

use super::error::{ConfigError, Place};
use super::overrides::Overrides;
use super::section::{MS, Section, in_range};

/// `[raft]`: the timing of elections (paper §5.6) and of replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RaftSettings {
    /// `tick_ms`: milliseconds between two ticks, by which a server measures its timeouts;
    /// at most a heartbeat interval.
    pub tick_ms: u64,
    /// `election_timeout_ms[0]`: the least time in milliseconds for which a follower waits
    /// for its leader.
    pub election_timeout_ms_min: u64,
    /// `election_timeout_ms[1]`: the upper bound of that time, exclusive. Each follower draws
    /// its timeout at random between the two.
    pub election_timeout_ms_max: u64,
    /// `heartbeat_interval_ms`: milliseconds between two heartbeats. It is at most a third of
    /// the least election timeout, so that one lost heartbeat causes no election.
    pub heartbeat_interval_ms: u64,
    /// `batched_peer_delay_ms`: milliseconds between two requests to a server that the
    /// quorum does not need; 0 sends everything to every server at once (docs/adr/0014).
    pub batched_peer_delay_ms: u64,
    /// `leader_lease`: a leader answers reads without asking the other servers, for as long
    /// as they have promised to elect no other leader (docs/adr/0012). It must be the same on
    /// all servers.
    pub leader_lease: bool,
}

impl RaftSettings {
    /// With leader leases, the time for which a server elects no other leader after it has
    /// heard its own; `None` without leader leases.
    pub fn promise(&self) -> Option<Duration> {
        self.leader_lease.then(|| Duration::from_millis(self.election_timeout_ms_min))
    }
}

/// A number of milliseconds, with the place where it was given.
struct Given {
    ms: u64,
    place: Place,
}

/// Reads the table; the flags in `overrides` come before it.
pub(super) fn read(
    mut section: Section<'_>,
    overrides: &Overrides,
) -> Result<RaftSettings, ConfigError> {
    let tick_ms = section.number("tick_ms", 10, 1..=1_000)?;
    let [min_ms, max_ms] = section.pair("election_timeout_ms", [150, 300], MS)?;
    let heartbeat_ms = section.number("heartbeat_interval_ms", 50, MS)?;
    let given = |flag, value, key: &str, in_file| match value {
        Some(value) => {
            let place = Place::Flag(flag);
            let ms = in_range(i128::from(value), &MS, || place.clone())?;
            Ok(Given { ms, place })
        }
        None => Ok(Given { ms: in_file, place: section.place(key) }),
    };
    let min = given(
        "--election-timeout-ms-min",
        overrides.election_timeout_ms_min,
        "election_timeout_ms",
        min_ms,
    )?;
    let max = given(
        "--election-timeout-ms-max",
        overrides.election_timeout_ms_max,
        "election_timeout_ms",
        max_ms,
    )?;
    let heartbeat = given(
        "--heartbeat-interval-ms",
        overrides.heartbeat_interval_ms,
        "heartbeat_interval_ms",
        heartbeat_ms,
    )?;
    let batched_peer_delay_ms = section.number("batched_peer_delay_ms", 2, 0..=50)?;
    let leader_lease = section.flag("leader_lease", false)?;
    let tick = Given { ms: tick_ms, place: section.place("tick_ms") };
    section.end();
    check_timings(&tick, &min, &max, &heartbeat)?;
    Ok(RaftSettings {
        tick_ms,
        election_timeout_ms_min: min.ms,
        election_timeout_ms_max: max.ms,
        heartbeat_interval_ms: heartbeat.ms,
        batched_peer_delay_ms,
        leader_lease,
    })
}

/// Returns an error when the four times do not fit together.
fn check_timings(
    tick: &Given,
    min: &Given,
    max: &Given,
    heartbeat: &Given,
) -> Result<(), ConfigError> {
    if min.ms >= max.ms {
        let place = if matches!(min.place, Place::Flag(_)) { &min.place } else { &max.place };
        return Err(ConfigError::Conflict {
            place: place.clone(),
            value: format!("[{}, {}]", min.ms, max.ms),
            bound: "a smaller number, then a larger one: servers that all wait equally long \
                    split the vote"
                .into(),
        });
    }
    if heartbeat.ms > min.ms / 3 {
        return Err(ConfigError::Conflict {
            place: heartbeat.place.clone(),
            value: heartbeat.ms.to_string(),
            bound: format!(
                "at most {}, a third of the least election timeout of {} ms: lower it or \
                 raise election_timeout_ms",
                min.ms / 3,
                min.ms
            ),
        });
    }
    if tick.ms > heartbeat.ms {
        return Err(ConfigError::Conflict {
            place: tick.place.clone(),
            value: tick.ms.to_string(),
            bound: format!("at most the heartbeat_interval_ms of {}", heartbeat.ms),
        });
    }
    Ok(())
}
