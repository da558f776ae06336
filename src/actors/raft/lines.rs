//! The lines of RaftActor about events of the core and about the disk of the log.

use log::Level;

use super::disk_stall::{DiskChange, DiskStall};
use crate::logging::{BURST, LogLimit, ONCE, log_line};
use crate::metrics::LogMetrics;
use crate::raft::{Event, TransferFailure};
use crate::types::NodeId;

/// The lines that may repeat, and what they are about.
pub(super) struct Lines {
    /// By their messages, the events that a lost majority or a sick peer causes again and again.
    repeated: LogLimit<String>,
    /// By their reasons, the transfers of the leadership that failed.
    transfers: LogLimit<String>,
    stalls: LogLimit,
    disk: LogMetrics,
    disk_stall: DiskStall,
}

impl Default for Lines {
    fn default() -> Lines {
        Lines {
            repeated: LogLimit::new(BURST, BURST),
            transfers: LogLimit::new(ONCE, BURST),
            stalls: LogLimit::default(),
            disk: LogMetrics::default(),
            disk_stall: DiskStall::default(),
        }
    }
}

impl Lines {
    /// Looks at the disk of the log by these metrics.
    pub(super) fn watch_disk(&mut self, disk: LogMetrics) {
        self.disk = disk;
    }

    /// Logs an event.
    pub(super) fn log(&mut self, event: &Event, node: NodeId) {
        let mut line = event.line().with("node", node);
        let mut level = if event.is_fault() { Level::Error } else { Level::Info };
        let left_out = match event {
            Event::BecameLeader { .. } | Event::FollowsLeader { .. } => {
                self.repeated.forget(|_| true);
                self.repeated.take_left_out()
            }
            event if event.may_repeat() => {
                let left_out;
                (level, left_out) = self.repeated.level(level, line.message.to_string());
                left_out
            }
            _ => None,
        };
        if let Some(left_out) = left_out {
            line = line.with("left_out", left_out);
        }
        log_line(level, module_path!(), &line);
    }

    /// Logs a transfer of the leadership that came to nothing.
    pub(super) fn log_failed_transfer(&mut self, failure: &TransferFailure, node: NodeId) {
        let (level, left_out) = self.transfers.level(Level::Warn, failure.to_string());
        log::log!(level, node, left_out, detail:% = failure; "the leadership was not handed over");
    }

    /// Logs the beginning of a stall of the disk, and its end.
    pub(super) fn look_at_disk(&mut self, node: NodeId) {
        match self.disk_stall.observe(self.disk.silence()) {
            None => {}
            Some(DiskChange::Stalled { silence }) => {
                let (level, left_out) = self.stalls.level(Level::Warn, ());
                let silence_ms = silence.as_millis();
                log::log!(
                    level, node, silence_ms, left_out;
                    "the disk of the log has stalled: nothing is written until it goes on"
                );
            }
            Some(DiskChange::GoesOn { stalled }) => {
                let (level, left_out) = self.stalls.level(Level::Info, ());
                let stalled_ms = stalled.as_millis();
                log::log!(level, node, stalled_ms, left_out; "the disk of the log goes on");
            }
        }
    }
}

#[cfg(test)]
mod tests;
