//! Clients that speak another protocol: nothing of what they send is executed.
//!
//! The bytes were recorded from the clients that are named.

use std::time::Duration;

use super::raw::{Raw, Server, assert_matches};

const BODY: &str = "set pwned 0 5\r\nhello\r\n";

/// A ClientHello of OpenSSL 3.0, in hexadecimal, without its padding of zeros.
const CLIENT_HELLO: &str = "1603010200010001fc030356489a4d9556a1da933570ee65d9ade72fa3c9f91c81e5\
    aa4f2cab25ed4bc4b120ec08460e7710bc452ca051541c9cdfa2fefbbdb379526965d676ec9f65d03fce000a1302\
    13031301c02b00ff010001a900000010000e00000b6462312e6578616d706c65000b000403000102000a00160014\
    001d0017001e0019001801000101010201030104002300000016000000170000000d002a00280404030506030807\
    08080809080a080b080408050806040105010601030303010302040205020602002b00050403040303002d000201\
    01003300260024001d002033af7c678a869deb5839fc76ded7e1236c16bccae5a5cd2cba465636bd576a33001500\
    fc";

fn client_hello() -> Vec<u8> {
    let digits: Vec<u8> = CLIENT_HELLO.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("digits are text");
        u8::from_str_radix(pair, 16).expect("these are hexadecimal digits")
    };
    let mut hello: Vec<u8> = digits.chunks(2).map(byte).collect();
    hello.resize(hello.len() + 0xfc, 0);
    hello
}

/// The first bytes of each client, with a write as the body.
fn foreign_clients() -> Vec<(&'static str, Vec<u8>)> {
    let curl = "Host: 127.0.0.1:9000\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n";
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let length = BODY.len();
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00";
    let text = |text: String| [text.as_bytes(), BODY.as_bytes()].concat();
    vec![
        (
            "curl --http0.9 -d",
            text(format!("POST / HTTP/1.1\r\n{curl}Content-Length: {length}\r\n{form}\r\n")),
        ),
        (
            "curl -X post",
            text(format!("post / HTTP/1.1\r\n{curl}Content-Length: {length}\r\n{form}\r\n")),
        ),
        ("a method of our words", text(format!("SET / HTTP/1.1\r\n{curl}\r\n"))),
        ("lower case", text("get / http/1.1\r\nhost: 127.0.0.1:9000\r\n\r\n".into())),
        ("bare line feeds", text("POST / HTTP/1.0\nHost: x\n\n".into())),
        (
            "curl -H 'Transfer-Encoding: chunked'",
            text(format!(
                "POST / HTTP/1.1\r\n{curl}Transfer-Encoding: chunked\r\n{form}\r\n16\r\n"
            )),
        ),
        (
            "fetch() of a browser",
            text(format!(
                "POST /k HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nConnection: keep-alive\r\n\
                 Content-Length: {length}\r\nUser-Agent: Mozilla/5.0\r\n\
                 Content-Type: text/plain;charset=UTF-8\r\nAccept: */*\r\n\
                 Origin: http://evil.example\r\n\r\n"
            )),
        ),
        ("a preflight", text(format!("OPTIONS / HTTP/1.1\r\n{curl}\r\n"))),
        ("a proxy's client", text("CONNECT db1.example:443 HTTP/1.1\r\nHost: x\r\n\r\n".into())),
        (
            "a websocket",
            text(
                "GET /chat HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                    .into(),
            ),
        ),
        ("headers alone", text("Host: 127.0.0.1:9000\n\n".into())),
        ("curl --http2-prior-knowledge", [&http2[..], b"\n", BODY.as_bytes()].concat()),
        ("openssl s_client", [client_hello(), b"\n".to_vec(), BODY.into()].concat()),
        ("SOCKS5", [b"\x05\x01\x00\n", BODY.as_bytes()].concat()),
        ("redis-cli", text("*3\r\n$3\r\nSET\r\n$5\r\n".into())),
        ("ssh", text("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".into())),
        ("curl dict://", text("CLIENT libcurl 7.88.1\r\n".into())),
    ]
}

const REPLY: &[u8] = b"ERR_CMD_ERR this port speaks ~\r\n";

#[test]
fn nothing_of_another_protocol_is_executed_and_the_client_is_logged() {
    let server = Server::start();
    for (client, input) in foreign_clients() {
        let mut raw = server.connect();
        let heard = raw.talk(&input);
        assert!(heard.ends_with(b"\r\n"), "{client} is answered");
        assert_matches(&heard, REPLY);
        server.check("get pwned\r\n", "ERR_NOT_FOUND\r\n");
    }
    assert_eq!(server.status()["keys"], "0");
    let log = server.cluster.log(1);
    let logged: Vec<&str> =
        log.lines().filter(|line| line.contains("a client that speaks")).collect();
    assert!(logged[0].contains("speaks HTTP") && logged[0].contains(" from=127.0.0.1:"), "{log}");
    // A scanner must not fill the log.
    assert!(logged.len() <= 20 && logged.len() < foreign_clients().len() + 20, "{log}");
}

#[test]
fn the_connection_is_closed_while_the_client_holds_it_open() {
    let server = Server::start();
    for (_, input) in foreign_clients() {
        let mut raw = server.connect();
        raw.send(&input);
        // Without an end of the input: the server closes by itself.
        assert_matches(&raw.rest(), REPLY);
    }
}

#[test]
fn bytes_that_come_one_at_a_time_are_no_way_around() {
    let server = Server::start();
    let slowly = |raw: &mut Raw, bytes: &[u8]| {
        for byte in bytes {
            if !raw.try_send(&[*byte]) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    for input in ["POST / HTTP/1.1\r\n\r\n", "ping\r\nHost: x\r\n"] {
        let mut raw = server.connect();
        slowly(&mut raw, format!("{input}{BODY}").as_bytes());
        raw.end();
        let heard = String::from_utf8(raw.rest()).expect("replies are text");
        assert!(heard.contains("ERR_CMD_ERR this port speaks "), "{heard}");
    }
    // One byte of a ClientHello is enough.
    let mut raw = server.connect();
    raw.send(b"\x16");
    assert_matches(&raw.rest(), REPLY);
    server.check("get pwned\r\n", "ERR_NOT_FOUND\r\n");
}

#[test]
fn what_is_well_formed_is_executed_before_a_line_of_http_and_nothing_after_it() {
    let server = Server::start();
    server.check(
        format!("set k 0 1\r\n1\r\nget HTTP/1.1\r\nbogus\r\nPOST / HTTP/1.1\r\n{BODY}get k\r\n"),
        "OK #\r\nERR_NOT_FOUND\r\nERR_CMD_ERR unknown~\r\nERR_CMD_ERR this port speaks ~\r\n",
    );
    server.check("get pwned\r\n", "ERR_NOT_FOUND\r\n");
    // A data block may hold anything.
    server.check(
        "set k 0 17\r\n\r\nPOST / HTTP/1.1\r\nget k\r\n",
        "OK #\r\nVALUE 17\r\n\r\nPOST / HTTP/1.1\r\n",
    );
}

/// The port for the other servers: nobody but a server gets past its first frame.
#[test]
fn a_stranger_on_the_log_port_is_closed_at_once_and_its_address_is_logged() {
    let server = Server::start();
    for input in [&b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &client_hello()] {
        let mut raw = Raw::open_log_port(&server.cluster, 1);
        raw.send(input);
        raw.rest_or_reset();
    }
    // The line is written by another actor than the one that closes the connection.
    server.cluster.wait_for("a line for each stranger", || {
        let log = server.cluster.log(1);
        (log.matches("refused peer node=1 address=127.0.0.1:").count() >= 2).then_some(())
    });
}
