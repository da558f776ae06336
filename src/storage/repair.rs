//! A log that is damaged before its tail, where other servers have what is lost
//! (docs/adr/0009, bugs.md B61).
//!
//! What stands before the damage is kept, what stands behind is void, and the
//! server is rejoining from then on: it is not counted until it has fetched from
//! the others whatever it may have acknowledged. All of that is one record of the
//! hard state. This is where it is decided; what makes it true is what every
//! start does with a log that is being cut, or reset.

use std::path::Path;

use super::disk::{Disk, OpenMode};
use super::error::{IoContext, StorageError};
use super::hard_state::{Copy, HardStateFile, LogStart, Seal};
use super::record;
use super::recovery::{self, SCAN_BYTES, Scanned};
use super::segment::{
    SEGMENT_HEADER_BYTES, Window, open_segment, read_header, segment_numbers, segment_path,
};
use super::tail::make_durable;
use crate::types::{LogPosition, NodeId};

/// With fewer the others are no majority.
const VOTERS_MIN: usize = 3;

/// Decides where the log ends from here on; what stands before is as `scanned` says.
/// Returns a sentence for people.
///
/// # Errors
/// When nobody has what is lost, when the hard state is older than the log, and when
/// the disk fails.
pub(super) fn decide(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    scanned: &Scanned,
    damage: &StorageError,
) -> Result<String, StorageError> {
    let members = scanned.summary.memberships.last();
    // The log knows better than the settings who they are.
    if members.is_some_and(|(_, membership)| membership.voters.len() < VOTERS_MIN) {
        return Err(StorageError::Irreparable { damage: damage.finding() });
    }
    let lost = furthest_lost(disk, dir, node_id, scanned)?;
    recovery::check_term(dir, &scanned.loaded, lost)?;
    let mut hard_state = HardStateFile::open(disk, dir, &scanned.loaded)?;
    let Copy { start, seal, .. } = hard_state.current();
    let (start, cut) = match scanned.kept {
        Some(cut) => {
            // The seal will say that it is.
            make_durable(disk, dir, seal, cut.segment, cut.offset)?;
            (start, cut)
        }
        None => {
            let start = LogStart { resetting: true, ..start };
            (start, Seal::at_begin_of(start))
        }
    };
    hard_state.save_repair(start, cut, lost)?;
    Ok(format!(
        "{}: the log ends before entry {} from here on; this server rejoins without \
         a vote, until it has fetched that and all behind it, and has caught up with all others",
        damage.finding(),
        cut.last.index.next()
    ))
}

/// The furthest position that is known to have been in the log and is lost: by the
/// seal, by the headers of segments, and by records behind the damage.
fn furthest_lost(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    scanned: &Scanned,
) -> Result<LogPosition, StorageError> {
    let Copy { start, seal, .. } = scanned.loaded.newest;
    let (first, offset) = match scanned.kept {
        Some(kept) => (kept.segment, kept.offset),
        None => (start.first_segment, SEGMENT_HEADER_BYTES),
    };
    let mut furthest = seal.last;
    for number in segment_numbers(disk, dir)? {
        if number < first {
            continue;
        }
        let path = segment_path(dir, number);
        let file = open_segment(disk, &path, OpenMode::Read)?;
        let file_bytes = file.bytes().during("look at", &path)?;
        let header = match read_header(&*file, &path) {
            Err(StorageError::Damaged { .. }) => continue,
            header => header?,
        };
        if (header.number, header.node_id) != (number, node_id) {
            continue;
        }
        furthest = furthest.max(header.prev);
        let mut window = Window::new(&*file, &header, file_bytes, SCAN_BYTES);
        let mut at = if number == first { offset } else { SEGMENT_HEADER_BYTES };
        while let Some((found, header)) = window.next_header(at).during("read", &path)? {
            furthest = furthest.max(header.position);
            at = found + record::ALIGNMENT;
        }
    }
    Ok(furthest)
}
