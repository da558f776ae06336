use super::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn index(index: u64) -> LogIndex {
    LogIndex(index)
}

#[test]
fn a_batch_is_found_by_each_of_its_entries() {
    let mut batches = Batches::default();
    batches.hand_over(index(3), ms(10));
    batches.hand_over(index(3), ms(11));
    batches.hand_over(index(5), ms(12));
    let handed_over = |batches: &Batches, at| batches.find(index(at)).map(|it| it.handed_over_at);
    assert_eq!(handed_over(&batches, 1), Some(ms(10)));
    assert_eq!(handed_over(&batches, 3), Some(ms(10)));
    assert_eq!(handed_over(&batches, 4), Some(ms(12)));
    assert_eq!(handed_over(&batches, 6), None);
}

#[test]
fn a_batch_is_kept_until_it_is_committed_and_durable_here() {
    let mut batches = Batches::default();
    let commit = |batches: &mut Batches, at| {
        let mut told = Vec::new();
        batches.commit(index(at), |handed_over_at| told.push(handed_over_at));
        told
    };
    batches.hand_over(index(3), ms(10));
    batches.hand_over(index(5), ms(12));
    assert_eq!(commit(&mut batches, 4), [ms(10)]);
    assert_eq!(commit(&mut batches, 4), []);
    assert!(batches.find(index(3)).is_some_and(|it| it.handed_over_at == ms(10)));
    batches.persist(index(5), ms(20));
    assert_eq!(commit(&mut batches, 4), []);
    assert!(batches.find(index(3)).is_some_and(|it| it.handed_over_at == ms(12)));
    assert_eq!(commit(&mut batches, 5), [ms(12)]);
    assert_eq!(batches.find(index(5)), None);
}

#[test]
fn a_batch_is_durable_when_all_of_it_is_and_stays_so() {
    let mut batches = Batches::default();
    batches.hand_over(index(3), ms(10));
    batches.hand_over(index(5), ms(12));
    batches.persist(index(4), ms(20));
    batches.persist(index(5), ms(30));
    let durable = |at| batches.find(index(at)).and_then(|it| it.durable_at);
    assert_eq!(durable(2), Some(ms(20)));
    assert_eq!(durable(4), Some(ms(30)));
}

#[test]
fn batches_beyond_the_bound_count_as_the_last() {
    let mut batches = Batches::default();
    for n in 1..=BATCHES_MAX as u64 + 10 {
        batches.hand_over(index(n), ms(n));
    }
    let last = batches.find(index(BATCHES_MAX as u64 + 10)).expect("it counts as the last");
    assert_eq!(last.handed_over_at, ms(BATCHES_MAX as u64));
    assert_eq!(batches.batches.len(), BATCHES_MAX);
}

#[test]
fn what_another_leader_has_written_is_no_batch() {
    let mut batches = Batches::default();
    batches.hand_over(index(3), ms(10));
    batches.clear(index(7));
    batches.hand_over(index(7), ms(20));
    assert_eq!(batches.find(index(7)), None);
}

#[test]
fn entries_wait_for_the_store_from_their_commit_on() {
    let mut unapplied = Unapplied::default();
    unapplied.commit(index(2), ms(10));
    unapplied.commit(index(2), ms(11));
    unapplied.commit(index(6), ms(12));
    assert_eq!(unapplied.pop_applied(index(5)), Some(ms(10)));
    assert_eq!(unapplied.pop_applied(index(5)), None);
    assert_eq!(unapplied.pop_applied(index(6)), Some(ms(12)));
    // A snapshot may take the store past what was known to be committed.
    assert_eq!(unapplied.pop_applied(index(9)), None);
}
