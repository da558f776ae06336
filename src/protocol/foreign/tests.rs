//! The lines of other protocols, and lines that are merely malformed.

use super::*;

#[test]
fn a_line_of_http_is_recognised_anywhere_in_a_connection() {
    for line in [
        "GET / HTTP/1.1",
        "get / http/1.0",
        "Get /a%20b?c=d HTTP/1.1",
        "POST / HTTP/1.1",
        "post /x http/1.1",
        "DELETE /k HTTP/1.1",
        "SET /k HTTP/1.1",
        "set k 0 5 HTTP/1.1",
        "ONCE / HTTP/1.1",
        "QUIT / HTTP/1.1",
        "BREW pot://x HTTP/1.1",
        "CONNECT db:443 HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "PRI * HTTP/2.0",
        "GET /  HTTP/1.1  ",
        "GET\t/\tHTTP/1.1",
        "GET / HTTP/1.1\r",
        "HTTP/1.1 200 OK",
        "HTTP/1.1",
        "Host: example.org",
        "host: x",
        "Content-Length: 5",
        "X-_.!#$%&'*+^`|~9: y",
        "Host:",
        "Host:\tx",
    ] {
        for is_first in [true, false] {
            let found = of_line(line.as_bytes(), is_first);
            assert_eq!(found, Some(ForeignProtocol::Http), "{line:?} {is_first}");
        }
    }
}

#[test]
fn the_first_line_of_other_protocols_is_recognised_only_as_the_first() {
    for (line, protocol) in [
        ("POST /", ForeignProtocol::Http),
        ("put http://db/k", ForeignProtocol::Http),
        ("OPTIONS *", ForeignProtocol::Http),
        ("*3", ForeignProtocol::Redis),
        ("$10", ForeignProtocol::Redis),
        ("SSH-2.0-OpenSSH_9.2p1", ForeignProtocol::Ssh),
        ("CLIENT libcurl 7.88.1", ForeignProtocol::Dict),
        ("PROXY TCP4 10.0.0.1 10.0.0.2 4711 9000", ForeignProtocol::Proxy),
        ("PROXY UNKNOWN", ForeignProtocol::Proxy),
    ] {
        assert_eq!(of_line(line.as_bytes(), true), Some(protocol), "{line:?}");
        assert_eq!(of_line(line.as_bytes(), false), None, "{line:?}");
    }
}

#[test]
fn a_mistyped_command_is_no_other_protocol() {
    for line in [
        "",
        " ",
        "\t",
        "\r",
        "bogus",
        "put k v",
        "post",
        "post k",
        "head",
        "*",
        "*x",
        "$",
        "* 3",
        "get",
        "get a b",
        "get user:1 x",
        "user:1",
        "a:b c",
        ":",
        ": x",
        "{\"a\": 1}",
        "HTTP",
        "HTTP/",
        "http/x",
        "get HTTP/",
        "get a HTTP/x",
        "SSH",
        "CLIENT x",
        "PROXY",
        "get \u{e9}",
        "\u{e9}t\u{e9}: x",
    ] {
        assert_eq!(of_line(line.as_bytes(), true), None, "{line:?}");
    }
}

#[test]
fn a_connection_that_begins_with_no_text_speaks_another_protocol() {
    for text in ["get", " get", "\r\n", "\n", "\t", "\x1b[A", "\u{e9}", "\u{2019}", "\u{1f600}"] {
        assert_eq!(of_first_byte(text.as_bytes()[0]), None, "{text:?}");
    }
    assert_eq!(of_first_byte(0xff), None, "a telnet client negotiates");
    for (byte, protocol) in [
        (0x16, ForeignProtocol::Tls),
        (0x04, ForeignProtocol::Socks),
        (0x05, ForeignProtocol::Socks),
        // These are memcached and SSLv2, Postgres, RDP.
        (0x80, ForeignProtocol::Binary),
        (0x00, ForeignProtocol::Binary),
        (0x03, ForeignProtocol::Binary),
        (0x7f, ForeignProtocol::Binary),
    ] {
        assert_eq!(of_first_byte(byte), Some(protocol), "{byte:#x}");
    }
}
