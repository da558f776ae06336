use super::*;

#[test]
fn the_commonest_errors_of_the_system_say_what_to_do() {
    let say = |kind: io::ErrorKind| {
        let failed: io::Result<()> = Err(kind.into());
        failed.during("write", Path::new("data/1/hard_state")).unwrap_err().to_string()
    };
    let full = say(io::ErrorKind::StorageFull);
    assert!(full.starts_with("cannot write data/1/hard_state: "), "{full}");
    assert!(full.ends_with(
        "; make room and start the server again: nothing that was acknowledged is lost"
    ));
    assert!(say(io::ErrorKind::PermissionDenied).contains("; let the user that runs the server"));
    assert!(say(io::ErrorKind::ReadOnlyFilesystem).contains("`mount -o remount,rw`"));
    assert!(say(io::ErrorKind::NotADirectory).contains("; a file is where a directory should be"));
    assert!(say(io::ErrorKind::AlreadyExists).contains("; a file is where a directory should be"));
    assert!(!say(io::ErrorKind::UnexpectedEof).contains(';'));
}
