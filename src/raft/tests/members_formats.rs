//! Members that come and go while the format could be raised: whom the leader waits for
//! (docs/adr/0023).
//!
//! The next format is one that no program knows yet, so a member that knows it holds the format
//! where it is: the tests look at what else the leader waits for.

use std::collections::BTreeSet;

use super::cluster::{Cluster, ELECTION_TICKS_MAX, n};
use super::gates::RAISE_AFTER_TICKS;
use super::members::{add_learner, remove};
use crate::types::{Format, FormatRange};

/// The formats of the next program.
const NEWER: FormatRange = FormatRange {
    lowest: FormatRange::OWN.lowest,
    highest: Format(FormatRange::OWN.highest.0 + 1),
};

/// Five nodes, of which all but the last have the next program. Node 1 holds the format, and a
/// node with the next program leads.
fn upgraded_but_5(seed: u64) -> Cluster {
    let mut cluster = Cluster::with_members(5, seed);
    cluster.hold(n(1), true);
    for id in [2, 3, 4] {
        cluster.replace(n(id), NEWER);
        cluster.pass(2 * ELECTION_TICKS_MAX);
    }
    cluster.crash(n(5));
    cluster.replace(n(1), NEWER);
    cluster.pass_until(|cluster| cluster.leader().is_some());
    cluster.restart(n(5));
    cluster.pass(RAISE_AFTER_TICKS);
    cluster
}

/// The clauses by which the leader says what it waits for.
fn waits_for(cluster: &Cluster) -> BTreeSet<String> {
    let leader = cluster.leader().expect("a node leads");
    let waits_for = cluster.raft(leader).status().cluster.raise_waits_for;
    waits_for.expect("it waits").split(", ").map(str::to_owned).collect()
}

fn clauses<const N: usize>(clauses: [&str; N]) -> BTreeSet<String> {
    clauses.map(str::to_owned).into()
}

/// The clause that is there in any case.
const HOLD: &str = "server 1 holds the format";

#[test]
fn a_raise_no_longer_waits_for_a_member_that_was_removed() {
    let mut cluster = upgraded_but_5(1);
    let reads = format!("server 5 (0.2.0) reads formats {}", FormatRange::OWN);
    assert_eq!(waits_for(&cluster), clauses([&reads, HOLD]));
    cluster.crash(n(5));
    cluster.pass(RAISE_AFTER_TICKS);
    assert_eq!(waits_for(&cluster), clauses(["server 5 is not connected", HOLD]));
    cluster.change_and_wait(remove(5));
    assert_eq!(waits_for(&cluster), clauses([HOLD]));
}

#[test]
fn a_raise_waits_for_a_learner_too_that_cannot_read_the_next_format() {
    let mut cluster = upgraded_but_5(2);
    cluster.change_and_wait(remove(5));
    assert_eq!(waits_for(&cluster), clauses([HOLD]));
    cluster.change_and_wait(add_learner(6));
    assert_eq!(waits_for(&cluster), clauses(["server 6 is not connected", HOLD]));
    cluster.add_node(6);
    cluster.pass(2 * ELECTION_TICKS_MAX);
    let reads = format!("server 6 (0.2.0) reads formats {}", FormatRange::OWN);
    assert_eq!(waits_for(&cluster), clauses([&reads, HOLD]));
    cluster.replace(n(6), NEWER);
    cluster.pass(2 * ELECTION_TICKS_MAX);
    assert_eq!(waits_for(&cluster), clauses([HOLD]));
}
