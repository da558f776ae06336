use coracle::types::Address;

use super::*;

fn newcomer(client: Option<&str>) -> Newcomer {
    Newcomer { client: client.map(|text| text.parse().unwrap()), id: None }
}

#[test]
fn clients_reach_a_new_server_at_the_port_below_unless_another_is_said() {
    let peer: Address = "[::1]:9001".parse().unwrap();
    let clients = |newcomer: Newcomer| newcomer.member(peer.clone()).unwrap().client.to_string();
    assert_eq!(clients(newcomer(None)), "[::1]:9000");
    assert_eq!(clients(newcomer(Some("a.example:80"))), "a.example:80");
    let lowest = newcomer(None).member("h:1".parse().unwrap());
    assert!(lowest.unwrap_err().to_string().contains("--client"));
}
