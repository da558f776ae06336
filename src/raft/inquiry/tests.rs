use super::*;

const LEADER: NodeId = NodeId(1);

fn asking(tokens: &[u64]) -> Inquiry {
    let mut inquiry = Inquiry::default();
    tokens.iter().for_each(|token| inquiry.add(ReadToken(*token)));
    inquiry
}

/// The reads that may be answered when the store was given everything up to `index`.
fn ready(inquiry: &mut Inquiry, index: u64) -> Vec<(u64, u64)> {
    std::iter::from_fn(|| inquiry.pop_ready(LogIndex(index)))
        .map(|(token, read_index)| (token.0, read_index.0))
        .collect()
}

#[test]
fn reads_that_come_before_a_question_share_it_and_later_ones_wait_for_the_next() {
    let mut inquiry = asking(&[1, 2]);
    assert_eq!(inquiry.ask(LEADER, Term(3)), Some(1));
    inquiry.add(ReadToken(3));
    assert_eq!(inquiry.ask(LEADER, Term(3)), None, "one question is under way at a time");
    inquiry.on_answer(LEADER, Term(3), 1, LogIndex(7));
    assert_eq!(ready(&mut inquiry, 6), []);
    assert_eq!(ready(&mut inquiry, 9), [(1, 7), (2, 7)]);
    assert_eq!(inquiry.ask(LEADER, Term(3)), Some(2));
    assert_eq!(inquiry.len(), 1);
}

#[test]
fn an_answer_of_another_number_term_or_leader_counts_for_nothing() {
    let mut inquiry = asking(&[1]);
    assert_eq!(inquiry.ask(LEADER, Term(3)), Some(1));
    for (leader, term, number) in [(1, 3, 2), (1, 2, 1), (1, 4, 1), (2, 3, 1)] {
        inquiry.on_answer(NodeId(leader), Term(term), number, LogIndex(1));
    }
    assert_eq!(ready(&mut inquiry, 9), []);
    inquiry.on_answer(LEADER, Term(3), 1, LogIndex(7));
    inquiry.on_answer(LEADER, Term(3), 1, LogIndex(8));
    assert_eq!(ready(&mut inquiry, 9), [(1, 7)], "the second answer is to nobody");
}

#[test]
fn a_question_goes_to_the_next_leader_under_another_number() {
    let mut inquiry = asking(&[1]);
    assert_eq!(inquiry.ask(LEADER, Term(3)), Some(1));
    inquiry.add(ReadToken(2));
    assert_eq!(inquiry.ask(LEADER, Term(4)), Some(2), "the same node in a later term");
    inquiry.on_answer(LEADER, Term(3), 1, LogIndex(5));
    inquiry.on_answer(LEADER, Term(4), 1, LogIndex(5));
    assert_eq!(ready(&mut inquiry, 9), []);
    inquiry.on_answer(LEADER, Term(4), 2, LogIndex(8));
    assert_eq!(ready(&mut inquiry, 9), [(1, 8), (2, 8)]);
}

#[test]
fn a_question_is_sent_again_after_a_while_and_when_a_connection_comes_back() {
    let mut inquiry = asking(&[1]);
    assert_eq!(inquiry.ask(LEADER, Term(3)), Some(1));
    inquiry.tick(2);
    assert_eq!(inquiry.ask(LEADER, Term(3)), None);
    inquiry.tick(2);
    assert_eq!(inquiry.ask(LEADER, Term(3)), Some(1));
    assert_eq!(inquiry.ask(LEADER, Term(3)), None);
    inquiry.on_reached(NodeId(2));
    assert_eq!(inquiry.ask(LEADER, Term(3)), None, "that is not the leader");
    inquiry.on_reached(LEADER);
    assert_eq!(inquiry.ask(LEADER, Term(3)), Some(1));
}

/// Two reads of a session: the first waits for an entry that the next leader may not have. The
/// second must not see less than the first, and not be answered before it.
#[test]
fn a_later_read_is_not_answered_before_an_earlier_one() {
    let mut inquiry = asking(&[1]);
    inquiry.ask(LEADER, Term(3));
    inquiry.on_answer(LEADER, Term(3), 1, LogIndex(9));
    inquiry.add(ReadToken(2));
    inquiry.ask(NodeId(2), Term(4));
    inquiry.on_answer(NodeId(2), Term(4), 2, LogIndex(6));
    assert_eq!(ready(&mut inquiry, 8), []);
    assert_eq!(ready(&mut inquiry, 9), [(1, 9), (2, 9)]);
}

#[test]
fn a_read_that_was_answered_in_vain_is_forgotten() {
    let mut inquiry = asking(&[1, 2, 3]);
    inquiry.cancel(ReadToken(1));
    inquiry.ask(LEADER, Term(3));
    inquiry.cancel(ReadToken(2));
    inquiry.on_answer(LEADER, Term(3), 1, LogIndex(4));
    inquiry.cancel(ReadToken(3));
    assert_eq!((inquiry.len(), inquiry.is_asking()), (0, false));
    assert_eq!(ready(&mut inquiry, 9), []);
    inquiry.add(ReadToken(4));
    inquiry.ask(LEADER, Term(3));
    inquiry.cancel(ReadToken(4));
    assert!(!inquiry.is_asking(), "a question without a read is none");
}

#[test]
fn all_reads_are_taken_by_arrival() {
    let mut inquiry = asking(&[1, 2]);
    inquiry.ask(LEADER, Term(3));
    inquiry.on_answer(LEADER, Term(3), 1, LogIndex(9));
    inquiry.add(ReadToken(3));
    inquiry.ask(LEADER, Term(3));
    inquiry.add(ReadToken(4));
    let tokens = |reads: Vec<ReadToken>| reads.into_iter().map(|token| token.0).collect::<Vec<_>>();
    assert_eq!(tokens(inquiry.take_all()), [1, 2, 3, 4]);
    assert_eq!(inquiry.len(), 0);
    let mut inquiry = asking(&[1]);
    inquiry.ask(LEADER, Term(3));
    inquiry.on_answer(LEADER, Term(3), 1, LogIndex(9));
    inquiry.add(ReadToken(2));
    assert_eq!(tokens(inquiry.give_up()), [2], "an answered one only waits for the store");
    assert_eq!(inquiry.len(), 1);
}
