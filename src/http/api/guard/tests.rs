use super::*;

#[test]
fn the_host_is_what_stands_before_the_port() {
    for (authority, host) in [
        ("localhost:9100", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:9100", "::1"),
        ("[::1]", "::1"),
        ("127.0.0.1.evil.example:9100", "127.0.0.1.evil.example"),
    ] {
        assert_eq!(host_of(authority), host);
    }
}

#[test]
fn tokens_are_the_same_only_in_all_their_bytes() {
    assert!(is_same(b"0123", b"0123"));
    assert!(!is_same(b"0123", b"0124"));
    assert!(!is_same(b"0123", b"01234"));
    assert!(!is_same(b"", b"0123"));
}
