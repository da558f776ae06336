//! A leader of three nodes raises the format, rightly or wrongly.

use super::*;
use crate::raft::Introduction;
use crate::testing::introduction::introduction;
use crate::types::Incarnation;

const LEADER: NodeId = NodeId(1);
const TERM: Term = Term(3);

/// Hellos, polls and entries of a test.
struct Fixture {
    formats: Formats,
    connections: u64,
}

impl Fixture {
    /// n1 leads, and n2 reads both formats, which it has said.
    fn new() -> Fixture {
        let mut fixture = Fixture { formats: Formats::default(), connections: 0 };
        fixture.start(1, FormatRange::OWN);
        fixture.start(2, FormatRange::OWN);
        fixture.hello(2, FormatRange::OWN);
        fixture
    }

    fn start(&mut self, node: u64, reads: FormatRange) {
        self.formats.on_start(NodeId(node));
        self.formats.on_opened(NodeId(node), reads);
    }

    /// The leader answers the hello of a node that reads these formats.
    fn hello(&mut self, from: u64, formats: FormatRange) {
        let facts =
            Introduction { formats, incarnation: Incarnation(from.into()), ..introduction() };
        let hello = Hello {
            cluster: "c".into(),
            from: NodeId(from),
            to: LEADER,
            restore_id: None,
            promise: None,
            introduction: Some(facts),
        };
        self.connections += 1;
        let answer = Hello { introduction: None, ..hello.answer() };
        self.formats.on_hello(self.connections, true, &hello).unwrap();
        self.formats.on_hello(self.connections, false, &answer).unwrap();
    }

    /// The leader answers a poll that it has entries up to `last_log_index`.
    fn poll(&mut self, last_log_index: u64) {
        let asked = self.formats.next_moment();
        self.formats.on_poll(TERM, asked, LogIndex(last_log_index));
    }

    /// The leader sends entry 5, which puts `format` in force, after entries without a format.
    fn raise(&mut self, format: u32) -> Option<Check> {
        self.raise_in(TERM, format)
    }

    fn raise_in(&mut self, term: Term, format: u32) -> Option<Check> {
        let since = "0.2.0".to_owned();
        let payload = Payload::Format(FormatInForce::read(Format(format), &since));
        let entry = Entry { index: LogIndex(5), term: TERM, stamp_ms: 7, payload };
        let members = (1..=3).map(NodeId).collect();
        let found = self.formats.on_entry(LEADER, term, &entry, Some(&[]), &members);
        found.err().map(|violation| violation.check)
    }
}

#[test]
fn a_raise_is_right_when_all_have_said_that_they_can_read_it() {
    let mut fixture = Fixture::new();
    fixture.hello(3, FormatRange::OWN);
    fixture.poll(4);
    assert_eq!(fixture.raise(2), None);
    // The entry is sent again.
    assert_eq!(fixture.raise(2), None);
}

#[test]
fn a_raise_without_a_word_of_a_member_is_wrong() {
    let mut fixture = Fixture::new();
    fixture.poll(4);
    assert_eq!(fixture.raise(2), Some(Check::FormatRaised));
}

#[test]
fn a_raise_above_a_member_that_reads_less_is_wrong() {
    let mut fixture = Fixture::new();
    fixture.hello(3, FormatRange::FIRST_ONLY);
    fixture.poll(4);
    assert_eq!(fixture.raise(2), Some(Check::FormatRaised));
}

#[test]
fn a_member_that_has_gone_back_counts_from_the_first_poll_after_its_hello() {
    let mut fixture = Fixture::new();
    fixture.hello(3, FormatRange::OWN);
    fixture.poll(4);
    fixture.hello(3, FormatRange::FIRST_ONLY);
    assert_eq!(fixture.raise(2), None);

    let mut fixture = Fixture::new();
    fixture.hello(3, FormatRange::OWN);
    fixture.hello(3, FormatRange::FIRST_ONLY);
    fixture.poll(4);
    assert_eq!(fixture.raise(2), Some(Check::FormatRaised));

    let mut fixture = Fixture::new();
    fixture.hello(3, FormatRange::FIRST_ONLY);
    fixture.poll(4);
    fixture.hello(3, FormatRange::OWN);
    // The leader has answered only before this that it lacks the entry.
    fixture.poll(5);
    assert_eq!(fixture.raise(2), None);
}

#[test]
fn the_word_of_an_earlier_life_of_the_leader_does_not_count() {
    let mut fixture = Fixture::new();
    fixture.hello(3, FormatRange::OWN);
    fixture.start(1, FormatRange::OWN);
    fixture.hello(2, FormatRange::OWN);
    fixture.poll(4);
    assert_eq!(fixture.raise(2), Some(Check::FormatRaised));
}

#[test]
fn a_raise_long_after_a_member_has_gone_is_wrong() {
    for polls in [10, 2 * polls_max()] {
        let mut fixture = Fixture::new();
        fixture.hello(3, FormatRange::OWN);
        fixture.formats.on_end(NodeId(3));
        (0..polls).for_each(|_| fixture.poll(4));
        let wrong = (polls > polls_max()).then_some(Check::FormatRaised);
        assert_eq!(fixture.raise(2), wrong, "after {polls} polls");
    }
}

#[test]
fn a_raise_by_two_or_by_an_old_program_is_wrong() {
    let mut fixture = Fixture::new();
    fixture.hello(3, FormatRange::OWN);
    assert_eq!(fixture.raise(3), Some(Check::FormatRaised));

    let mut fixture = Fixture::new();
    fixture.start(1, FormatRange::FIRST_ONLY);
    fixture.hello(2, FormatRange::OWN);
    fixture.hello(3, FormatRange::OWN);
    assert_eq!(fixture.raise(2), Some(Check::FormatRaised));
}

#[test]
fn an_entry_that_a_later_leader_sends_first_says_nothing_about_its_time() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.raise_in(TERM.next(), 2), None);
}

#[test]
fn a_second_cluster_id_is_wrong() {
    let mut formats = Formats::default();
    assert!(formats.check_cluster_id(NodeId(1), ClusterId(7)).is_ok());
    assert!(formats.check_cluster_id(NodeId(2), ClusterId(7)).is_ok());
    let found = formats.check_cluster_id(NodeId(2), ClusterId(8)).unwrap_err();
    assert_eq!(found.check, Check::ClusterIdentity);
}

#[test]
fn nothing_of_format_2_is_sent_before_a_quorum_has_the_entry() {
    let mut fixture = Fixture::new();
    fixture.hello(3, FormatRange::OWN);
    assert!(fixture.formats.check_in_force(LEADER, "it", Format(2), |_| true).is_err());
    assert_eq!(fixture.raise(2), None);
    assert!(fixture.formats.check_in_force(LEADER, "it", Format(2), |_| false).is_err());
    assert!(fixture.formats.check_in_force(LEADER, "it", Format(2), |_| true).is_ok());
    assert!(fixture.formats.check_in_force(LEADER, "it", Format(2), |_| false).is_ok());
}
