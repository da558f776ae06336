//! The stalls of the disk of the log, as seen from the main thread.

use std::time::Duration;

/// The time for which the disk may work at one operation before it is said to have stalled. It is
/// that of the check `disk` of `/readyz`.
pub(super) const STALL: Duration = Duration::from_secs(1);

/// Finds the beginnings and the ends of stalls.
#[derive(Debug, Default)]
pub(super) struct DiskStall {
    /// The time for which the disk has stalled; `None` while it has not.
    stalled: Option<Duration>,
}

/// A change of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskChange {
    /// It has not finished an operation for this time.
    Stalled { silence: Duration },
    /// It has finished it, after this time or a little more.
    GoesOn { stalled: Duration },
}

impl DiskStall {
    /// Takes the time for which the disk has not finished an operation.
    pub(super) fn observe(&mut self, silence: Duration) -> Option<DiskChange> {
        match self.stalled {
            None if silence >= STALL => {
                self.stalled = Some(silence);
                Some(DiskChange::Stalled { silence })
            }
            // The same operation, and not one that began since.
            Some(stalled) if silence >= stalled => {
                self.stalled = Some(silence);
                None
            }
            Some(stalled) => {
                self.stalled = None;
                Some(DiskChange::GoesOn { stalled })
            }
            None => None,
        }
    }
}

#[cfg(test)]
mod tests;
