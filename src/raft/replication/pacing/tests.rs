//! The send mode and its pause.

use super::*;

#[test]
fn entries_are_sent_at_once_by_default() {
    let mut pacing = Pacing::default();
    assert!(!pacing.batches_entries() && !pacing.batches_rounds() && !pacing.is_paused());
    pacing.set_mode(SendMode::Batched);
    assert!(pacing.batches_entries() && pacing.batches_rounds());
    pacing.set_mode(SendMode::EntriesAtOnce);
    assert!(!pacing.batches_entries() && pacing.batches_rounds());
}

/// A peer that is batched again before its pause is over is not sent more than one
/// request in it.
#[test]
fn a_pause_outlives_a_change_of_mode() {
    let mut pacing = Pacing::default();
    pacing.set_mode(SendMode::Batched);
    pacing.begin_pause();
    pacing.set_mode(SendMode::Immediate);
    pacing.set_mode(SendMode::Batched);
    assert!(pacing.is_paused());
    pacing.end_pause();
    assert!(!pacing.is_paused());
}
