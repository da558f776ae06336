//! The repair of a log that is damaged before its tail, in a cluster whose other servers have
//! the lost entries (repair by the other servers: docs/adr/0009; docs/bugs.md B61).
//!
//! The entries before the damage are kept, and everything after it is discarded. The server is
//! rejoining from then on: it is not counted until it has fetched from the others everything
//! that it may have acknowledged. One record of the hard state says all of that. This file takes
//! the decision; every start carries it out, as it does with any log that is being cut or reset.

use std::path::Path;

use super::files::{OpenSegment, open_if_header_is_whole, segment_numbers, segment_path};
use super::header::SEGMENT_HEADER_BYTES;
use super::record::ALIGNMENT;
use super::recovery::{self, SCAN_BYTES, Scanned};
use super::segment::SegmentReader;
use super::tail::make_durable;
use crate::storage::disk::Disk;
use crate::storage::error::{IoContext, StorageError};
use crate::storage::examine::Examined;
use crate::storage::hard_state::{DurableEnd, HardStateCopy, HardStateFile, LogStart, Lost};
use crate::types::{LogPosition, NodeId};

/// Cuts a damaged log before the damage, if the other servers can send the rest again.
/// `has_majority_of_others` counts while neither the log nor a snapshot says who the members are.
///
/// # Errors
/// When they cannot, when the hard state is older than the log, and when the disk fails.
pub(crate) fn repair_if_damaged(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    has_majority_of_others: bool,
    examined: Examined,
) -> Result<Scanned, StorageError> {
    let can_be_repaired = examined.is_quorum_without(node_id, has_majority_of_others);
    let Examined { scanned: damaged, damage, .. } = examined;
    let Some(damage) = damage else { return Ok(damaged) };
    if !can_be_repaired {
        return Err(StorageError::Irreparable { damage: damage.finding() });
    }
    let note = decide(disk, dir, node_id, &damaged, &damage)?;
    let mut scanned = recovery::scan(disk, dir, node_id)?;
    scanned.notes = damaged.notes;
    scanned.notes.push(note);
    Ok(scanned)
}

/// Decides, durably, where the log ends from now on: after the entries that are in `scanned`.
/// Returns a sentence for people.
///
/// # Errors
/// When the hard state is older than the log, and when the disk fails.
fn decide(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    scanned: &Scanned,
    damage: &StorageError,
) -> Result<String, StorageError> {
    let lost = find_lost(disk, dir, node_id, scanned)?;
    recovery::check_term(dir, &scanned.loaded, lost.position)?;
    let mut hard_state = HardStateFile::open(disk, dir, &scanned.loaded)?;
    let HardStateCopy { start, durable_end, .. } = hard_state.current();
    let (start, cut) = match scanned.kept {
        Some(cut) => {
            // The hard state is about to say that this place is durable.
            make_durable(disk, dir, durable_end, cut.segment, cut.offset)?;
            (start, cut)
        }
        None => {
            let start = LogStart { resetting: true, ..start };
            (start, DurableEnd::at_start(start))
        }
    };
    hard_state.save_repair(start, cut, lost)?;
    let (next, finding) = (cut.last.index.next(), damage.finding());
    Ok(if hard_state.current().hard_state.is_end_known {
        format!(
            "{finding}: the log ends before entry {next} from here on, and it had ended with entry \
             {}; this server rejoins, and votes only for a server that has all of that, until it \
             has fetched it",
            lost.position
        )
    } else {
        format!(
            "{finding}: the log ends before entry {next} from here on, and where it had ended is \
             not known; this server rejoins without a vote, until it has fetched that and all \
             behind it, and has caught up with all others"
        )
    })
}

/// Returns the end of the log if the damage has left it intact, and what is known otherwise.
pub(crate) fn find_lost(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    scanned: &Scanned,
) -> Result<Lost, StorageError> {
    let kept = scanned.kept.map_or(scanned.loaded.newest.start.base, |kept| kept.last);
    // Records after the damage may have replaced entries before it. When the entries before it
    // look later than the end, it is not worth while to reason about what they mean.
    if let Some(position) = recovery::end_after_damage(disk, dir, node_id, scanned)?
        && position > kept
    {
        return Ok(Lost { position, is_end: true });
    }
    Ok(Lost { position: furthest_lost(disk, dir, node_id, scanned)?, is_end: false })
}

/// Returns the furthest position that is known to have been in the log and is lost. The evidence
/// is in the recorded durable end, the headers of segments, and the records after the damage.
fn furthest_lost(
    disk: &dyn Disk,
    dir: &Path,
    node_id: NodeId,
    scanned: &Scanned,
) -> Result<LogPosition, StorageError> {
    let HardStateCopy { start, durable_end, .. } = scanned.loaded.newest;
    let (first, offset) = match scanned.kept {
        Some(kept) => (kept.segment, kept.offset),
        None => (start.first_segment, SEGMENT_HEADER_BYTES),
    };
    let mut furthest = durable_end.last;
    for number in segment_numbers(disk, dir)? {
        if number < first {
            continue;
        }
        let path = segment_path(dir, number);
        let Some(OpenSegment { file, file_bytes, header }) = open_if_header_is_whole(disk, &path)?
        else {
            continue;
        };
        if (header.number, header.node_id) != (number, node_id) {
            continue;
        }
        furthest = furthest.max(header.prev);
        let mut reader = SegmentReader::new(&*file, &header, file_bytes, SCAN_BYTES);
        let mut at = if number == first { offset } else { SEGMENT_HEADER_BYTES };
        while let Some((found, header)) = reader.next_header(at).during("read", &path)? {
            furthest = furthest.max(header.position);
            at = found + ALIGNMENT;
        }
    }
    Ok(furthest)
}
