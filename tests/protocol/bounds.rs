//! The commands and connections that a server refuses: `ERR_FULL`, `ERR_BUSY`.

use super::raw::{Raw, Server};

#[test]
fn a_full_store_refuses_what_makes_it_larger_and_nothing_else() {
    // A key costs its own bytes, those of its value, and 256.
    let server = Server::with("store_bytes_max = 1000");
    let mut client = server.connect();
    let value = "v".repeat(300);
    client.ask(format!("set a 0 300\r\n{value}\r\n"), "OK #\r\n");
    client.ask(format!("set b 1 100\r\n{}\r\n", &value[..100]), "OK #\r\n");
    // 914 of 1,000 bytes are taken: 86 are left.
    client.ask("set c 0 1\r\n1\r\n", "ERR_FULL\r\n");
    client.ask("add c 0 1\r\n1\r\n", "ERR_FULL\r\n");
    client.ask("cas c 0 0 1\r\n1\r\n", "ERR_FULL\r\n");
    client.ask(format!("once c 5 set c 0 200\r\n{}\r\n", &value[..200]), "ERR_FULL\r\n");
    client.ask("set c 0 1 noreply\r\n1\r\nget c\r\n", "ERR_NOT_FOUND\r\n");
    // A key that is there is served, and may grow within the limit, or shrink.
    client.ask("get a\r\n", &format!("VALUE 300\r\n{value}\r\n"));
    client.ask("scan a 1\r\n", &format!("KEY a # 0 300\r\n{value}\r\nEND\r\n"));
    client.ask("add a 0 1\r\n1\r\n", "ERR_EXISTS #\r\n");
    client.ask("cas a 0 1 1\r\n1\r\n", "ERR_VERSION #\r\n");
    client.ask(format!("set a 0 386\r\n{}\r\n", "w".repeat(386)), "OK #\r\n");
    client.ask(format!("set a 0 387\r\n{}\r\n", "w".repeat(387)), "ERR_FULL\r\n");
    assert_eq!(server.status()["store_bytes"], "1000");
    // Expiry makes room without a write of any client.
    server.cluster.wait_for("a key to expire", || (server.status()["keys"] == "1").then_some(()));
    client.ask("get b\r\n", "ERR_NOT_FOUND\r\n");
    // The refused write has used no number: neither it nor a lower one is stale.
    client.ask("once c 4 set c 0 1\r\n1\r\n", "OK #\r\n");
    client.ask("once c 5 set d 0 1\r\n1\r\n", "ERR_FULL\r\n");
    client.ask("delete a\r\n", "DELETED\r\n");
    client.ask("once c 5 set d 0 1\r\n1\r\n", "OK #\r\n");
}

#[test]
fn a_store_over_a_lowered_limit_is_served_and_may_shrink() {
    let mut server = Server::with("store_bytes_max = 2000");
    let (large, small) = ("v".repeat(600), "w".repeat(300));
    let mut client = server.connect();
    for key in ["a", "b"] {
        client.ask(format!("once {key} 1 set {key} 0 600\r\n{large}\r\n"), "OK #\r\n");
    }
    let config = server.cluster.config();
    let settings = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, settings.replace("= 2000", "= 1000")).unwrap();
    server.cluster.kill(1);
    server.cluster.start_server(1);
    server.cluster.wait_for_leader();
    let mut client = server.connect();
    let is_back = || (server.status()["store_bytes"] == "1714").then_some(());
    server.cluster.wait_for("the store to be back", is_back);
    let get = |text: &str| format!("VALUE {}\r\n{text}\r\n", text.len());
    client.ask("get a\r\n", &get(&large));
    // A write that does not grow the store is taken, and an executed one is remembered.
    client.ask(format!("set a 0 600\r\n{large}\r\n"), "OK #\r\n");
    client.ask("once b 1 set c 0 1\r\n1\r\n", "OK #\r\n");
    client.ask(format!("once b 2 set a 0 601\r\n{large}v\r\n"), "ERR_FULL\r\n");
    client.ask(format!("once b 2 set a 0 300\r\n{small}\r\n"), "OK #\r\n");
    client.ask(format!("get a\r\nset a 0 301\r\n{small}w\r\n"), &(get(&small) + "ERR_FULL\r\n"));
    client.ask("delete b\r\n", "DELETED\r\n");
    client.ask(format!("set a 0 301\r\n{small}w\r\n"), "OK #\r\n");
}

#[test]
fn a_connection_too_many_gets_err_busy_and_is_closed_until_another_leaves() {
    let server = Server::with("connections_max = 3");
    // The server may still count the connection that asked for the leader.
    let mut served: Vec<Raw> = (0..3).map(|_| connect_served(&server)).collect();
    for _ in 0..3 {
        let mut refused = server.connect();
        // The server refuses the connection whether a command comes or not.
        refused.try_send(b"get k\r\n");
        refused.expect("ERR_BUSY\r\n");
        refused.expect_end();
    }
    for client in &mut served {
        client.ask("set k 0 1\r\n1\r\n", "OK #\r\n");
    }
    served.pop();
    let mut next = connect_served(&server);
    next.ask("get k\r\n", "VALUE 1\r\n1\r\n");
    served.pop();
    server.cluster.wait_for("the place to be free", || {
        let mut client = server.connect();
        client.try_send(b"ping\r\n");
        (client.line() == "PONG\r\n").then_some(())
    });
}

/// Connects until the server has a place for the connection.
fn connect_served(server: &Server) -> Raw {
    server.cluster.wait_for("a connection that is served", || {
        let mut client = server.connect();
        client.try_send(b"ping\r\n");
        (client.line() == "PONG\r\n").then_some(client)
    })
}
