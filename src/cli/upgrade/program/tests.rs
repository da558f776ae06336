use super::super::view::tests::{OLD_FOLLOWER, new_server, view};
use super::*;

fn program(version: &str, lowest: u32, highest: u32) -> Program {
    let reads = FormatRange { lowest: Format(lowest), highest: Format(highest) };
    Program { version: version.into(), reads }
}

#[track_caller]
fn says(verdict: &Verdict, start: &str, parts: &[&str]) {
    let (Verdict::Yes(text) | Verdict::No(text) | Verdict::Unknown(text)) = verdict;
    let word = match verdict {
        Verdict::Yes(_) => "yes: ",
        Verdict::No(_) => "no: ",
        Verdict::Unknown(_) => "unknown: ",
    };
    assert!(text.starts_with(word) && text.starts_with(start), "{text}");
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn a_program_takes_part_when_it_reads_the_format_in_force() {
    let leader = new_server("leader", 1, "no", "server 2");
    let raised = new_server("leader", 2, "no", "none");
    let held = new_server("leader", 1, "yes", "server 1");
    let (first, second) = (view(&[&leader, OLD_FOLLOWER, ""]), view(&[&raised, "", ""]));
    let old = program("0.1.0", 1, 1);
    says(
        &old.verdict(&first),
        "yes: format 1 is in force, and 0.1.0 reads 1..1: any order works; ",
        &["hold the format (`coracle upgrade hold`)"],
    );
    says(&old.verdict(&view(&[&held])), "yes", &["while server 1 holds the format"]);
    says(
        &old.verdict(&second),
        "no: format 2 is in force, and 0.1.0 reads 1..1",
        &["backup from before"],
    );
    let new = program("0.3.0", 1, 3);
    says(&new.verdict(&first), "yes: ", &[]);
    says(&new.verdict(&second), "yes: ", &[]);
    let newest = program("0.9.0", 3, 4);
    says(
        &newest.verdict(&second),
        "no: format 2 is in force, and 0.9.0 reads 3..4: it skips a release",
        &["both format 2 and format 3"],
    );
}

#[test]
fn a_minority_without_a_leader_proves_that_a_format_is_in_force_and_not_that_none_is() {
    let follower = new_server("follower", 1, "no", "none");
    let raised = new_server("follower", 2, "no", "none");
    let old = program("0.1.0", 1, 1);
    says(&old.verdict(&view(&[&follower, "", ""])), "unknown", &["servers 2, 3 did not answer"]);
    says(&old.verdict(&view(&[&raised, "", ""])), "no", &[]);
    says(&old.verdict(&view(&[&follower, &follower, ""])), "yes", &[]);
    says(&old.verdict(&view(&["", "", ""])), "unknown", &["no server answered"]);
}

#[test]
fn a_program_that_does_not_tell_its_formats_is_known_by_its_version() {
    let reads = |version| reads_of(version).map(|range| range.to_string());
    assert_eq!(reads("0.1.0").as_deref(), Some("1..1"));
    assert_eq!(reads("0.1.9-rc.1").as_deref(), Some("1..1"));
    assert_eq!(reads("0.2.0").as_deref(), Some("1..2"));
    assert_eq!(reads("0.3.7").as_deref(), Some("1..3"));
    assert_eq!(reads("1.0.0+x").as_deref(), Some("1..4"));
    for unknown in ["", "0.1", "0.0.9", "0.1.0.1", "v0.1.0", "0.1.x"] {
        assert_eq!(reads(unknown), None, "{unknown}");
    }
}

#[test]
fn what_this_program_prints_of_itself_is_what_it_is() {
    let own = Program { version: env!("CARGO_PKG_VERSION").into(), reads: FormatRange::OWN };
    assert_eq!(parse(&own_formats()), Some(own));
    assert_eq!(parse("version 9.9.9\nformats 3..4\nmore: x\n"), Some(program("9.9.9", 3, 4)));
    for other in ["", "version 1\n", "formats 1..2\n", "version 1\nformats many\n"] {
        assert_eq!(parse(other), None, "{other}");
    }
}

#[test]
fn a_program_that_is_not_coracle_is_refused() {
    for path in ["/bin/true", "/bin/echo", "/bin/false", "/no/such/program"] {
        let failure = Program::ask(Path::new(path)).unwrap_err();
        assert_eq!(failure.exit_code(), 2, "{path}: {failure}");
        assert!(failure.to_string().contains(path), "{failure}");
    }
}
