use super::*;

const OWN: NodeId = NodeId(1);

fn causes(history: &TermHistory) -> Vec<(u64, &'static str, Option<u64>)> {
    let records = history.newest_first().into_iter();
    records.map(|it| (it.term.0, it.cause.name(), it.leader.map(|id| id.0))).collect()
}

fn term(term: u64) -> Term {
    Term(term)
}

#[test]
fn an_election_of_ones_own_has_its_cause_and_ends_the_term_before() {
    let history = TermHistory::default();
    history.on_tick(Role::Follower, term(3), Some(NodeId(2)), 1_000);
    history.on_event(&Event::StartedPreVote { term: term(4) }, OWN, 2_000);
    history.on_event(&Event::StartedElection { term: term(4) }, OWN, 2_010);
    history.on_event(&Event::BecameLeader { term: term(4) }, OWN, 2_020);
    assert_eq!(causes(&history), [(4, "timeout", Some(1)), (3, "start", Some(2))]);
    let [newest, oldest] = &history.newest_first()[..] else { panic!("two terms") };
    assert_eq!((newest.began_at_ms, newest.elected_at_ms), (2_010, Some(2_020)));
    assert_eq!(oldest.ended_at_ms, Some(2_010));
}

#[test]
fn a_hand_over_a_lost_quorum_and_a_term_without_a_winner_are_told_apart() {
    let history = TermHistory::default();
    history.on_tick(Role::Leader, term(1), Some(OWN), 0);
    history.on_event(&Event::HandsOver { to: NodeId(2), term: term(1) }, OWN, 10);
    history.on_event(&Event::GrantedVote { candidate: NodeId(2), term: term(2) }, OWN, 20);
    history.on_event(&Event::FollowsLeader { leader_id: NodeId(2), term: term(2) }, OWN, 30);
    history.on_event(&Event::StartedElection { term: term(3) }, OWN, 40);
    history.on_event(&Event::BecameLeader { term: term(3) }, OWN, 50);
    let reason = "heard no quorum within the election timeout";
    history.on_event(&Event::SteppedDown { term: term(3), reason }, OWN, 60);
    history.on_event(&Event::StartedElection { term: term(4) }, OWN, 70);
    history.on_event(&Event::StartedElection { term: term(5) }, OWN, 80);
    assert_eq!(
        causes(&history),
        [
            (5, "split_vote", None),
            (4, "quorum_lost", None),
            (3, "transfer", Some(1)),
            (2, "transfer", Some(2)),
            (1, "start", Some(1)),
        ]
    );
}

#[test]
fn a_term_that_was_only_seen_says_so() {
    let history = TermHistory::default();
    history.on_tick(Role::Follower, term(1), Some(NodeId(2)), 0);
    let before = history.version();
    history.on_tick(Role::Follower, term(1), Some(NodeId(2)), 5);
    assert_eq!(history.version(), before, "nothing has changed");
    history.on_tick(Role::Follower, term(6), None, 10);
    assert_eq!(causes(&history)[0], (6, "unknown", None));
    assert_ne!(history.version(), before);
}

#[test]
fn old_terms_go() {
    let history = TermHistory::default();
    for number in 1..=TERMS_MAX as u64 + 5 {
        history.on_tick(Role::Follower, term(number), Some(NodeId(2)), number);
    }
    let kept = history.newest_first();
    assert_eq!(kept.len(), TERMS_MAX);
    assert_eq!(kept[0].term, term(TERMS_MAX as u64 + 5));
}
