use super::*;

const PEER: NodeId = NodeId(2);

fn question(number: u64, place: u64, seq: u64) -> PeerQuestion {
    let (index, place) = (LogIndex(4), LogIndex(place));
    PeerQuestion { boot: BootId(1), number, index, place, seq }
}

/// The numbers of the questions that are confirmed.
fn confirmed(questions: &mut PeerQuestions, seq: u64, commit_index: u64) -> Vec<u64> {
    let taken = questions.take_confirmed(seq, LogIndex(commit_index));
    taken.into_iter().map(|(_, question)| question.number).collect()
}

#[test]
fn a_question_is_confirmed_by_its_round_or_by_an_entry_after_it() {
    let mut questions = PeerQuestions::default();
    questions.add(PEER, question(1, 5, 3));
    assert!(confirmed(&mut questions, 2, 5).is_empty());
    assert_eq!(confirmed(&mut questions, 3, 5), [1]);
    assert!(confirmed(&mut questions, 3, 5).is_empty(), "it is answered once");
    questions.add(PEER, question(2, 5, 4));
    assert_eq!(confirmed(&mut questions, 3, 6), [2]);
}

#[test]
fn a_peer_has_one_question_and_the_newest_counts() {
    let mut questions = PeerQuestions::default();
    questions.add(PEER, question(2, 5, 3));
    assert!(questions.has(PEER, BootId(1), 2), "it was sent again");
    assert!(questions.has(PEER, BootId(1), 1), "it is late");
    assert!(!questions.has(PEER, BootId(1), 3));
    assert!(!questions.has(PEER, BootId(9), 1), "the peer has started again");
    assert!(!questions.has(NodeId(3), BootId(1), 2));
    questions.add(PEER, question(3, 5, 4));
    questions.add(NodeId(3), question(7, 5, 4));
    assert_eq!(confirmed(&mut questions, 9, 0), [3, 7]);
}

#[test]
fn a_command_that_comes_twice_is_not_new() {
    let mut questions = PeerQuestions::default();
    assert!(questions.is_new_command(PEER, BootId(1), 1));
    assert!(questions.is_new_command(PEER, BootId(1), 3));
    assert!(!questions.is_new_command(PEER, BootId(1), 3));
    assert!(!questions.is_new_command(PEER, BootId(1), 2));
    assert!(questions.is_new_command(NodeId(3), BootId(1), 2));
    assert!(questions.is_new_command(PEER, BootId(2), 1), "the numbers begin anew with each run");
}
