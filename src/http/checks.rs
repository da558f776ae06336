//! The named checks of health.

use std::time::Duration;

use super::HttpLimits;
use super::read_probe::{READ_TIMEOUT, ReadProbe};
use crate::metrics::{MAIN_THREAD_SILENCE_MAX, NodeMetrics};

/// One thing that can be wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// The main thread makes progress.
    MainThread,
    /// The disk finishes what it is given.
    Disk,
    /// The files are read, and the node takes part.
    Started,
    /// The server is not drained, which it is before it stops as well.
    Draining,
    /// The server was not removed from its cluster.
    Membership,
    /// A linearizable read is answered here.
    LinearizableRead,
}

impl Check {
    /// The checks of a process that makes progress. Neither a lost quorum nor a server that still
    /// starts is a reason to start it again.
    pub(super) const LIVE: &[Check] = &[Check::MainThread, Check::Disk];
    /// The checks of a server that can do something for clients.
    pub(super) const READY: &[Check] = &[
        Check::Started,
        Check::Membership,
        Check::Draining,
        Check::MainThread,
        Check::Disk,
        Check::LinearizableRead,
    ];
    /// The checks of a server whose clients need what its own memory has, which may be old.
    pub(super) const SERIALIZABLE: &[Check] =
        &[Check::Started, Check::Membership, Check::MainThread];

    /// The name by which it is asked for and excluded.
    pub(super) fn name(self) -> &'static str {
        match self {
            Check::MainThread => "main_thread",
            Check::Disk => "disk",
            Check::Started => "started",
            Check::Draining => "draining",
            Check::Membership => "membership",
            Check::LinearizableRead => "linearizable_read",
        }
    }
}

/// Runs the checks of one node.
pub(super) struct Checks {
    metrics: NodeMetrics,
    limits: HttpLimits,
    probe: ReadProbe,
}

impl Checks {
    pub(super) fn new(metrics: NodeMetrics, limits: HttpLimits, probe: ReadProbe) -> Checks {
        Checks { metrics, limits, probe }
    }

    /// Runs one check. A server that is to take clients must be as quick as their reads; one that
    /// is only to be left alone may take longer.
    ///
    /// # Errors
    /// What is wrong, as a clause.
    pub(super) async fn run(&self, check: Check, is_for_clients: bool) -> Result<(), String> {
        let silence_max = |bound| if is_for_clients { READ_TIMEOUT } else { bound };
        match check {
            Check::MainThread => self.main_thread(silence_max(MAIN_THREAD_SILENCE_MAX)),
            Check::Disk => self.disk(silence_max(self.limits.disk_stall_max)),
            Check::Started if self.metrics.raft.tick_age().is_none() => {
                Err("this server still reads its files".to_owned())
            }
            Check::Draining if self.metrics.raft.is_draining() => {
                Err("this server is drained, or stops".to_owned())
            }
            Check::Membership if self.metrics.raft.is_removed() => {
                Err("this server was removed from its cluster".to_owned())
            }
            Check::Started | Check::Draining | Check::Membership => Ok(()),
            Check::LinearizableRead => self.probe.check().await,
        }
    }

    /// A server that still starts has not ticked, and is not stuck.
    fn main_thread(&self, silence_max: Duration) -> Result<(), String> {
        let silence = self.metrics.raft.tick_age().unwrap_or_default();
        if silence <= silence_max {
            return Ok(());
        }
        Err(format!(
            "the main thread has done nothing for {} ms, and the bound is {} ms",
            silence.as_millis(),
            silence_max.as_millis()
        ))
    }

    fn disk(&self, silence_max: Duration) -> Result<(), String> {
        let silence = self.metrics.log.silence();
        if silence <= silence_max {
            return Ok(());
        }
        Err(format!(
            "the disk has finished nothing for {} ms, and the bound is {} ms",
            silence.as_millis(),
            silence_max.as_millis()
        ))
    }
}

#[cfg(test)]
mod tests;
