//! The address at which a server listens for HTTP.

use super::{ONE, parse, parse_with, refused};
use crate::config::Overrides;
use crate::types::{Address, NodeId};

fn listen(text: &str, overrides: &Overrides) -> Option<Address> {
    parse_with(text, overrides).unwrap().servers[&NodeId(1)].http_listen.clone()
}

#[test]
fn a_server_has_no_http_unless_something_says_where() {
    let none = Overrides::default();
    let address = |text: &str| Some(text.parse::<Address>().unwrap());
    assert_eq!(listen(ONE, &none), None);
    let port = format!("{ONE}http_port = 9100\n");
    assert_eq!(listen(&port, &none), address("a:9100"));
    let elsewhere = format!("{port}http_listen = \"127.0.0.1:9200\"\n");
    assert_eq!(listen(&elsewhere, &none), address("127.0.0.1:9200"));
    let listen_alone = format!("{ONE}http_listen = \"[::1]:9300\"\n");
    assert_eq!(listen(&listen_alone, &none), address("[::1]:9300"));
    let flag = |id| Overrides {
        id: Some(NodeId(id)),
        http_listen: address("10.0.0.1:1"),
        ..Overrides::default()
    };
    assert_eq!(listen(&elsewhere, &flag(1)), address("10.0.0.1:1"));
    assert_eq!(listen(&elsewhere, &flag(2)), address("127.0.0.1:9200"), "it is about another one");
}

#[test]
fn the_port_for_http_is_that_of_no_other_listener_of_the_server() {
    for (key, port) in [("client_port", 1000), ("log_port", 1001)] {
        refused(
            &format!("http_port = {port}"),
            &format!(
                "servers.toml: [[servers]] number 1 http_port is {port}, which on a is also the \
                 {key} of server 1: every listener needs its own port, so change one of them"
            ),
        );
    }
    refused(
        "http_listen = \"0.0.0.0:1000\"",
        "servers.toml: [[servers]] number 1 http_listen is 1000, which on 0.0.0.0 is also the \
         client_listen of server 1: every listener needs its own port, so change one of them",
    );
    refused(
        "http_port = 70000",
        "servers.toml: [[servers]] number 1 http_port is 70000: it must be from 1 to 65535",
    );
    refused(
        "http_listen = \"nowhere\"",
        "servers.toml: [[servers]] number 1 http_listen is \"nowhere\": it must be HOST:PORT, an \
         address of this machine and a port from 1 to 65535, such as \"0.0.0.0:9100\"",
    );
    let two = format!(
        "{ONE}http_port = 9100\n[[servers]]\nid = 2\nhostname = \"a\"\nclient_port = 1\n\
         log_port = 2\nhttp_port = 9100\n"
    );
    assert!(parse(&two).unwrap_err().contains("http_port of server 1"), "{:?}", parse(&two));
}
