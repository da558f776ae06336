use clap::Parser;

use super::*;

#[test]
fn a_server_is_named_by_its_id_or_by_an_address() {
    let address = |host: &str, port| Target::Address(Address { host: host.into(), port });
    assert_eq!("3".parse(), Ok(Target::Id(NodeId(3))));
    assert_eq!("10.0.0.3:9001".parse(), Ok(address("10.0.0.3", 9001)));
    assert_eq!("[::1]:1".parse(), Ok(address("::1", 1)));
    for text in ["0", "-1", "host", "host:", ":1", "host:0", "host:99999", "::1:1", "ho st:1", ""] {
        assert!(text.parse::<Target>().is_err(), "{text}");
    }
    for text in ["7", "[::1]:9001", "a.example:80"] {
        assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
    }
}

#[test]
fn servers_that_are_named_are_asked_without_a_file() {
    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        entrance: Entrance,
    }
    let entrance = |server: &[&str]| {
        let file = ["command", "--config", "/no/such/servers.toml"];
        let servers = server.iter().flat_map(|server| ["--server", server]);
        Command::parse_from(file.into_iter().chain(servers)).entrance.addresses()
    };
    assert_eq!(entrance(&["h:1", "[::1]:2"]).unwrap(), ["h:1", "[::1]:2"]);
    assert!(matches!(entrance(&["3"]), Err(Failure::Usage(_))));
    assert!(matches!(entrance(&[]), Err(Failure::Usage(_))));
}
