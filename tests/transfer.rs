//! Real processes whose leaders hand over under load: by `leader transfer`, and by SIGTERM.

mod common;

use std::collections::BTreeMap;

use common::Cluster;
use common::clients::{Counter, Writer, scan_all};
use common::members::CALM;

fn term(cluster: &Cluster, id: u64) -> u64 {
    cluster.value(id, "term").parse().unwrap()
}

/// Every acknowledged key is there, at the version that was acknowledged.
fn assert_all_there(cluster: &Cluster, acknowledged: &[(String, u64)]) {
    let items = scan_all(cluster);
    let versions: BTreeMap<String, u64> = items
        .into_iter()
        .map(|item| (String::from_utf8(item.key).unwrap(), item.version))
        .collect();
    for (key, version) in acknowledged {
        assert_eq!(versions.get(key), Some(version), "{key}");
    }
}

/// reports.md B2. A `cas` whose outcome is not known, or which is executed twice, would end the
/// counter's client.
#[test]
fn fifty_transfers_under_load_lose_nothing_and_fail_no_command() {
    const TRANSFERS: u64 = 50;
    let mut cluster = Cluster::prepare_like(5, "127.0.0.1", CALM);
    cluster.start_members();
    let (writer, counter) =
        (Writer::start(cluster.addresses()), Counter::start(cluster.addresses()));
    let mut leader = cluster.wait_for_leader();
    let mut begun_in = term(&cluster, leader);
    for number in 0..TRANSFERS {
        let target = leader % 5 + 1;
        let command = match number % 2 {
            0 => format!("leader transfer to {target}"),
            _ => format!("leader transfer avoid {target}"),
        };
        // A busy machine may make one come to nothing. Then it is asked for again.
        let reply = cluster.wait_for("a transfer to be done", || {
            let reply = cluster.say(leader, &command);
            assert!(reply.starts_with("LEADER ") || reply.starts_with("ERR_REFUSED"), "{reply}");
            reply.starts_with("LEADER ").then_some(reply)
        });
        let words: Vec<u64> = reply.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [next, term] = words[..] else { panic!("{reply}") };
        assert_eq!(next == target, number % 2 == 0, "{command}: {reply}");
        assert!(term > begun_in, "{reply}");
        (leader, begun_in) = (next, term);
        writer.wait_for_more(&cluster, 1);
        counter.wait_for_more(&cluster, 1);
    }
    counter.stop();
    let acknowledged = writer.stop();
    assert_all_there(&cluster, &acknowledged);
    cluster.assert_equal_stores(&cluster.ids());
}

/// reports.md B6, A24: each server leads once and is told to stop. The members stay what they are.
#[test]
fn leaders_that_are_terminated_under_load_fail_no_command_and_stay_members() {
    let mut cluster = Cluster::prepare_like(5, "127.0.0.1", CALM);
    cluster.start_members();
    let members = |cluster: &Cluster, id| cluster.members(id).unwrap().voters();
    let voters = members(&cluster, 1);
    let (writer, counter) =
        (Writer::start(cluster.addresses()), Counter::start(cluster.addresses()));
    for _ in 0..5 {
        let leader = cluster.wait_for_leader();
        let before = term(&cluster, leader);
        writer.wait_for_more(&cluster, 10);
        assert!(cluster.terminate(leader).success());
        let rest = cluster.running();
        let next = cluster.wait_for_leader_of(&rest);
        assert_eq!(term(&cluster, next), before + 1, "the office was handed over, and not lost");
        writer.wait_for_more(&cluster, 10);
        counter.wait_for_more(&cluster, 2);
        cluster.start_server(leader);
    }
    cluster.wait_for_leader();
    counter.stop();
    let acknowledged = writer.stop();
    assert_all_there(&cluster, &acknowledged);
    cluster.ids().into_iter().for_each(|id| assert_eq!(members(&cluster, id), voters));
    cluster.assert_equal_stores(&cluster.ids());
}
