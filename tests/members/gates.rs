//! The gates themselves: what the tests of partitions rely on.

use crate::common::Cluster;
use crate::common::clients::{block_on, connect};
use crate::common::members::BRISK;

#[test]
fn servers_behind_gates_are_cut_off_kept_waiting_and_found_again() {
    let mut cluster = Cluster::prepare_behind_gates(3, BRISK);
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    let leader = cluster.wait_for_leader();
    let away = leader % 3 + 1;
    let last_of = |id: u64| cluster.value(id, "last_log_index").parse::<u64>().unwrap();
    let write = || {
        block_on(async { connect(&cluster).await.set("key", 0, b"value").await.unwrap() });
    };

    cluster.wait_until_named();
    cluster.wait_for_quiet();
    let before = last_of(away);
    cluster.isolate(&[away]);
    cluster.wait_for("the leader to be missed", || {
        cluster.status(away).filter(|status| status["leader"] == "none")
    });
    write();
    assert_eq!(last_of(away), before, "something came through a closed gate");
    cluster.gates().heal();
    cluster.wait_for_leader();
    cluster.wait_for_quiet();

    let leader = cluster.wait_for_leader();
    let [slow, other] = [leader % 3 + 1, (leader + 1) % 3 + 1];
    let before = last_of(slow);
    cluster.gates().keep(leader, slow);
    cluster.gates().keep(other, slow);
    write();
    assert!(last_of(other) > before);
    assert_eq!(last_of(slow), before, "something came through before its time");
    cluster.gates().heal();
    cluster.wait_for_leader();
    cluster.wait_for_quiet();
    assert!(last_of(slow) > before);
}
