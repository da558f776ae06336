//! Ports of this machine in each of their states.

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn wanted(listen: Address, answer: Option<Result<(), String>>) -> Wanted {
    Wanted { key: "client_port", reached: listen.clone(), listen, answer }
}

async fn state(listen: &Address, answer: Option<Result<(), String>>, is_here: bool) -> PortState {
    port(wanted(listen.clone(), answer), is_here, PATIENCE).await.state
}

#[tokio::test]
async fn a_port_answers_or_is_strange_or_free_or_silent_or_unusable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let address = Address { host: "127.0.0.1".into(), port };
    let no = || Some(Err("no answer in time".to_owned()));
    assert_eq!(state(&address, Some(Ok(())), true).await, PortState::Answers);
    assert_eq!(state(&address, None, true).await, PortState::Answers);
    let strange = PortState::Strange("no answer in time".into());
    assert_eq!(state(&address, no(), true).await, strange);
    drop(listener);
    assert_eq!(state(&address, no(), true).await, PortState::Free);
    let silent = PortState::Silent(format!("{address} refuses connections"));
    assert_eq!(state(&address, no(), false).await, silent);
    // Port 1 of an address that is reserved for documentation: no machine can listen there.
    let foreign = Address { host: "192.0.2.1".into(), port: 1 };
    let refused = wanted(foreign.clone(), None);
    let refused = Wanted { reached: address.clone(), ..refused };
    match super::port(refused, true, PATIENCE).await.state {
        PortState::Unusable(reason) => assert!(reason.starts_with("192.0.2.1:1: "), "{reason}"),
        other => panic!("{other:?}"),
    }
}
