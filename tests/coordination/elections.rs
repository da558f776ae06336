//! `coracle elect`.

use super::process::{done, refused, signal, start, three_servers, wait_for_places};

#[test]
fn candidates_lead_one_after_the_other_and_everybody_can_see_who_does() {
    let mut cluster = three_servers();
    let nobody = refused(&cluster, &["elect", "e"], 1);
    assert_eq!(nobody, "coracle: nobody leads\n");
    let observer = start(&cluster, &["elect", "e", "--observe"], &[]);
    assert_eq!(observer.line(), "");

    let elect = |value| start(&cluster, &["elect", "e", value, "--seconds", "20"], &[]);
    let first = elect("one");
    let token: u64 = first.line().parse().unwrap();
    assert_eq!(observer.line(), "one");
    assert_eq!(done(&cluster, &["elect", "e"], 0), "one\n");
    let second = elect("two");
    wait_for_places(&cluster, "e", 2);
    let third = elect("three");
    wait_for_places(&cluster, "e", 3);
    let json = done(&cluster, &["elect", "e", "--json"], 0);
    assert_eq!(json, format!("{{\"leader\":\"one\",\"token\":{token}}}\n"));

    // A leader that is stopped resigns, and the next one leads at once.
    signal(first.pid().into(), "TERM");
    assert_eq!(first.end(), (0, vec![], String::new()));
    let next: u64 = second.line().parse().unwrap();
    assert!(next > token);
    assert_eq!(observer.line(), "two");

    // A leader of the servers that dies changes nothing.
    let leader = cluster.wait_for_leader();
    cluster.kill(leader);
    cluster.wait_for_leader();
    assert_eq!(done(&cluster, &["elect", "e"], 0), "two\n");
    signal(second.pid().into(), "INT");
    assert_eq!(second.end().0, 0);
    assert!(third.line().parse::<u64>().unwrap() > next);
    assert_eq!(observer.line(), "three");
}

#[test]
fn a_leader_that_was_deposed_or_did_not_come_says_so() {
    let cluster = three_servers();
    let leader = start(&cluster, &["elect", "e", "one"], &[]);
    leader.line();
    let late = ["elect", "e", "two", "--wait", "1"];
    assert_eq!(refused(&cluster, &late, 3), "coracle: others were first for 1 s\n");
    let places = done(&cluster, &["scan", "e/"], 0);
    let digits = places.split(' ').next().unwrap().strip_prefix("e/").unwrap();
    let lease = u64::from_str_radix(digits, 16).unwrap().to_string();
    done(&cluster, &["lease", "revoke", &lease], 0);
    let (code, _, said) = leader.end();
    assert_eq!((code, said.as_str()), (3, "coracle: the leadership was lost\n"));
    refused(&cluster, &["elect", "e"], 1);
}
