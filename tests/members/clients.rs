//! Clients that follow the members of their cluster.

use crate::common::Cluster;
use crate::common::clients::{Writer, scan_all};
use crate::common::members::BRISK;

/// Every address that the client was given is gone at the end. It has never been told another.
#[test]
fn a_client_whose_whole_first_list_is_replaced_goes_on_and_loses_nothing() {
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    cluster.start_members();
    let first = cluster.ids();
    let writer = Writer::start(first.iter().map(|id| cluster.address(*id)).collect());
    let mut members = first.clone();
    for old in first {
        writer.wait_for_more(&cluster, 20);
        let asked = members[0];
        let new = cluster.prepare_joiner(asked);
        cluster.start_server(new);
        cluster.change(&format!("member replace {old} {} id {new}", cluster.addresses_of(new)));
        cluster.kill(old);
        members.retain(|id| *id != old);
        members.push(new);
        cluster.wait_for_leader_of(&members);
    }
    writer.wait_for_more(&cluster, 20);
    let acknowledged = writer.stop();
    let keys: Vec<Vec<u8>> = scan_all(&cluster).into_iter().map(|item| item.key).collect();
    for (key, _) in acknowledged {
        assert!(keys.contains(&key.clone().into_bytes()), "{key} was acknowledged, and is lost");
    }
}
