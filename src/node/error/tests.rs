use super::*;

#[test]
fn each_reason_why_a_port_cannot_be_listened_on_says_the_command_or_the_edit_that_mends_it() {
    for (kind, remedy) in [
        (io::ErrorKind::AddrInUse, "`ss -ltnp 'sport = :80'` names it"),
        (io::ErrorKind::AddrNotAvailable, "db1 is no address of this machine (`ip address`"),
        (io::ErrorKind::PermissionDenied, "change client_port in servers.toml to 1024 or above"),
        (io::ErrorKind::Other, "`getent hosts db1`"),
    ] {
        let (id, hostname) = (NodeId(3), "db1".to_owned());
        let key = "client_port";
        let error = NodeError::Listen { id, key, hostname, port: 80, error: kind.into() };
        let sentence = error.to_string();
        assert!(sentence.starts_with("cannot listen on db1:80 (client_port of server 3): "));
        assert!(sentence.contains(remedy), "{sentence}");
    }
}

#[test]
fn a_limit_on_open_files_that_is_too_low_says_one_that_is_enough() {
    let sentence = NodeError::OpenFiles { open_files_max: 100, own: 200 }.to_string();
    assert!(sentence.contains("have 100 files open") && sentence.contains("`ulimit -n 512`"));
}
