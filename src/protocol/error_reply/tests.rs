use super::*;

fn redirect(host: &str) -> ErrorReply {
    ErrorReply::Redirect { host: host.into(), port: 9000 }
}

#[test]
fn only_a_timeout_or_an_internal_error_may_have_executed() {
    let unknown = [
        ErrorReply::Timeout,
        ErrorReply::Internal("".into()),
        ErrorReply::Unknown("ERR_NEW".into()),
    ];
    let known = [
        ErrorReply::CmdErr("".into()),
        ErrorReply::TooLarge("".into()),
        ErrorReply::NotFound,
        ErrorReply::Version { version: 1 },
        ErrorReply::Exists { version: 1 },
        ErrorReply::Stale,
        redirect("h"),
        ErrorReply::NoLeader,
        ErrorReply::Busy,
        ErrorReply::Full,
        ErrorReply::NotYet { sentence: "".into() },
        ErrorReply::Refused { sentence: "".into() },
    ];
    assert!(unknown.iter().all(ErrorReply::may_have_executed));
    assert!(!known.iter().any(ErrorReply::may_have_executed));
}
