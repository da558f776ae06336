use super::{Handovers, Successor};
use crate::raft::TransferFailure;
use crate::types::{NodeId, TransferTarget};

fn n(id: u64) -> NodeId {
    NodeId(id)
}

fn avoiding(ids: &[u64]) -> TransferTarget {
    TransferTarget::Avoid(ids.iter().copied().map(NodeId).collect())
}

fn successors(attached_at: &[(u64, u64)]) -> Vec<Successor> {
    let successor =
        |(id, attached_at): &(u64, u64)| Successor { id: NodeId(*id), attached_at: *attached_at };
    attached_at.iter().map(successor).collect()
}

/// reports.md B8: it was restarted already.
#[test]
fn the_best_successor_is_the_one_that_has_connected_last() {
    let handovers = Handovers::default();
    assert_eq!(handovers.best(&successors(&[(2, 5), (3, 9), (4, 7)])), Some(n(3)));
    assert_eq!(handovers.best(&[]), None);
}

#[test]
fn a_successor_that_failed_comes_after_all_others() {
    let mut handovers = Handovers::default();
    let all = successors(&[(2, 5), (3, 9)]);
    handovers.begin(avoiding(&[]), n(3), 10);
    handovers.give_up_target();
    handovers.end(0);
    assert_eq!(handovers.best(&all), Some(n(2)));
    handovers.begin(avoiding(&[]), n(2), 10);
    handovers.give_up_target();
    assert_eq!(handovers.best(&all), Some(n(3)), "each has failed once");
}

#[test]
fn a_transfer_ends_with_its_time_and_says_what_was_missing() {
    let mut handovers = Handovers::default();
    handovers.begin(TransferTarget::To(n(2)), n(2), 2);
    assert_eq!(handovers.tick(), None);
    assert_eq!(handovers.tick(), Some(TransferFailure::Lagging(n(2))));
    handovers.begin(TransferTarget::To(n(2)), n(2), 1);
    handovers.on_ordered();
    assert_eq!(handovers.tick(), Some(TransferFailure::TimedOut(n(2))));
}

#[test]
fn another_target_is_tried_only_when_none_was_named_and_while_there_is_time() {
    let mut handovers = Handovers::default();
    handovers.begin(TransferTarget::To(n(2)), n(2), 10);
    assert_eq!(handovers.give_up_target(), None);

    handovers.begin(avoiding(&[5]), n(2), 10);
    assert_eq!(handovers.give_up_target(), Some([n(2), n(5)].into()));
    handovers.on_ordered();
    handovers.retarget(n(3));
    assert_eq!((handovers.target(), handovers.unordered()), (Some(n(3)), Some(n(3))));
    assert_eq!(handovers.give_up_target(), Some([n(2), n(3), n(5)].into()));

    handovers.begin(avoiding(&[]), n(2), 1);
    handovers.tick();
    assert_eq!(handovers.give_up_target(), None, "its time is over");
}

#[test]
fn a_leader_pauses_after_a_transfer_that_came_to_nothing() {
    let mut handovers = Handovers::default();
    handovers.begin(avoiding(&[]), n(2), 10);
    handovers.end(2);
    assert!(handovers.pauses() && handovers.target().is_none());
    assert!(handovers.has_begun(), "leases stay given up");
    handovers.tick();
    assert!(handovers.pauses());
    handovers.tick();
    assert!(!handovers.pauses());
}
