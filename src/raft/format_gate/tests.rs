use super::*;
use crate::testing::introduction;

const NEXT: Format = Format(2);

fn members() -> Vec<NodeId> {
    vec![NodeId(2), NodeId(3)]
}

/// A gate whose members have just connected, and are able.
fn able() -> FormatGate {
    let mut gate = FormatGate::new();
    for member in members() {
        gate.on_attached(member, Some(&introduction()));
    }
    gate
}

fn tick(gate: &mut FormatGate, ticks: u32) -> u32 {
    for _ in 0..ticks {
        gate.tick(NEXT);
    }
    gate.able_ticks(&members(), NEXT)
}

fn clause(gate: &FormatGate) -> String {
    RaiseWait::Members(gate.waits(&members(), NEXT)).to_string()
}

#[test]
fn time_counts_while_all_are_able() {
    let mut gate = able();
    assert_eq!(gate.waits(&members(), NEXT), []);
    assert_eq!(tick(&mut gate, 7), 7);
}

#[test]
fn a_member_that_never_connected_is_named() {
    let mut gate = FormatGate::new();
    gate.on_attached(NodeId(3), Some(&introduction()));
    assert_eq!(clause(&gate), "server 2 is not connected");
    assert_eq!(tick(&mut gate, 7), 0);
}

#[test]
fn a_member_without_an_introduction_reads_the_first_format() {
    let mut gate = able();
    gate.on_attached(NodeId(3), None);
    assert_eq!(clause(&gate), "server 3 (0.1.0) reads formats 1..1");
}

#[test]
fn ability_is_that_of_the_present_connection() {
    let mut gate = able();
    tick(&mut gate, 7);
    gate.on_detached(NodeId(2), true);
    assert_eq!((clause(&gate).as_str(), tick(&mut gate, 1)), ("server 2 is not connected", 0));
    gate.on_attached(NodeId(2), Some(&introduction()));
    assert_eq!(tick(&mut gate, 3), 3, "the time begins anew");
    gate.on_attached(NodeId(2), None);
    assert_eq!(tick(&mut gate, 1), 0);
}

#[test]
fn a_hold_is_named_after_those_who_cannot_read() {
    let mut gate = able();
    gate.on_attached(NodeId(2), Some(&Introduction { is_held: true, ..introduction() }));
    assert_eq!(clause(&gate), "server 2 holds the format");
    assert_eq!(tick(&mut gate, 7), 7, "a hold stops no time");
    gate.on_detached(NodeId(3), true);
    assert_eq!(clause(&gate), "server 3 is not connected, server 2 holds the format");
}

#[test]
fn the_time_is_that_of_one_format() {
    let beyond = FormatRange::OWN.highest.next();
    let mut gate = able();
    tick(&mut gate, 7);
    assert_eq!(gate.able_ticks(&members(), beyond), 0);
    gate.tick(beyond);
    gate.tick(beyond);
    assert_eq!(gate.able_ticks(&members(), beyond), 0, "nobody reads that one");
    assert_eq!(tick(&mut gate, 1), 1, "the time begins anew");
}

/// reports.md B17: the last member that was not able may be removed.
#[test]
fn the_time_of_each_member_is_its_own() {
    let mut gate = able();
    gate.on_attached(NodeId(3), None);
    assert_eq!(tick(&mut gate, 7), 0);
    assert_eq!(gate.able_ticks(&[NodeId(2)], NEXT), 7, "the other has been able all the time");
    assert_eq!(gate.able_ticks(&[], NEXT), 7, "and so has this node");
}

#[test]
fn addresses_outlive_the_connection_of_a_member() {
    let address = |port| crate::types::Address { host: "10.0.0.2".to_owned(), port };
    let member = Member { peer: address(1), client: address(2) };
    let introduction = Introduction { member: Some(member.clone()), ..introduction() };
    let mut gate = FormatGate::new();
    gate.on_attached(NodeId(2), Some(&introduction));
    gate.on_detached(NodeId(2), true);
    assert!(gate.peer(NodeId(2)).is_none());
    assert_eq!(gate.said(NodeId(2)), Some(&member));
    gate.on_attached(NodeId(2), None);
    assert_eq!(gate.said(NodeId(2)), Some(&member), "an older program says nothing");
    gate.on_detached(NodeId(2), false);
    assert_eq!(gate.said(NodeId(2)), None);
}

#[test]
fn every_wait_is_a_clause() {
    assert_eq!(RaiseWait::UnderWay.to_string(), "a raise is under way");
    let young = RaiseWait::Young { able_s: 20, needed_s: 900 };
    assert_eq!(young.to_string(), "all have been able for 20 of 900 s");
    let nothing = "this leader has committed nothing in its term yet";
    assert_eq!(RaiseWait::NothingCommitted.to_string(), nothing);
    assert_eq!(MemberWait::Silent(NodeId(2)).to_string(), "server 2 does not answer");
}
