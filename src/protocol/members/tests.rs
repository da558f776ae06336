use super::*;

fn print(report: &MembersReport) -> String {
    let mut text = Vec::new();
    report.print(&mut text);
    String::from_utf8(text).expect("this test prints text")
}

fn parse(text: &str) -> MembersReport {
    let mut parser = MembersParser::default();
    for line in text.split_terminator("\r\n") {
        let parsed = parser.take(line.as_bytes()).unwrap_or_else(|()| panic!("{line}"));
        if let Some(report) = parsed {
            return report;
        }
    }
    panic!("the report has no end")
}

/// As a leader tells it while a fourth server is added in the place of a dead one.
fn report() -> MembersReport {
    let address = |text: &str| Some(text.parse().expect("it is an address"));
    let formats = Some(FormatRange { lowest: Format(1), highest: Format(3) });
    let leader = MemberReport {
        id: NodeId(2),
        kind: MemberKind::Voter,
        state: MemberState::Leader,
        log_address: address("db2.example:9001"),
        client_address: address("[fe80::2]:9000"),
        seen_ms: None,
        behind: None,
        snapshot: None,
        formats,
        version: Some("0.3.0".into()),
    };
    MembersReport {
        voters: 3,
        needed: 2,
        here: Some(2),
        can_lose: CanLose::Voters(0),
        format: Format(3),
        not_leading: None,
        index: LogIndex(17),
        is_committed: true,
        members: vec![
            leader.clone(),
            MemberReport {
                id: NodeId(3),
                state: MemberState::Unseen,
                client_address: None,
                seen_ms: Some(240_000),
                behind: Some(18_000),
                formats: None,
                version: None,
                ..leader.clone()
            },
            MemberReport {
                id: NodeId(6),
                kind: MemberKind::Learner,
                state: MemberState::Catching,
                seen_ms: Some(8),
                behind: Some(9_000),
                snapshot: Some((62, 100)),
                version: Some("1.0 beta\r\n".into()),
                ..leader
            },
        ],
        change: Some(ChangeReport {
            number: LogIndex(17),
            age_ms: Some(12_000),
            what: "replace 3 by 6".into(),
            waits_for: Some("the snapshot of 6".into()),
        }),
        ended: vec![
            EndedReport { number: LogIndex(9), is_done: true, what: "remove 1".into() },
            EndedReport { number: LogIndex(12), is_done: false, what: "add 5 as a voter".into() },
        ],
        removed: vec![(NodeId(1), LogIndex(10)), (NodeId(5), LogIndex(14))],
    }
}

#[test]
fn a_list_of_members_has_the_lines_of_the_protocol() {
    let text = "MEMBERS 3 2 2 0 3 leader 17 yes\r\n\
        MEMBER 2 voter leader db2.example:9001 [fe80::2]:9000 formats=1..3 version=0.3.0\r\n\
        MEMBER 3 voter unseen db2.example:9001 unknown seen_ms=240000 behind=18000\r\n\
        MEMBER 6 learner catching db2.example:9001 [fe80::2]:9000 seen_ms=8 behind=9000 \
        snapshot=62/100 formats=1..3 version=1.0?beta??\r\n\
        CHANGE 17 12000 replace 3 by 6; waits for: the snapshot of 6\r\n\
        ENDED 9 done remove 1\r\n\
        ENDED 12 cancelled add 5 as a voter\r\n\
        REMOVED 1 10\r\n\
        REMOVED 5 14\r\n\
        END\r\n";
    assert_eq!(print(&report()), text);
    let mut parsed = parse(text);
    assert_eq!(parsed.members[2].version.as_deref(), Some("1.0?beta??"));
    parsed.members[2].version = report().members[2].version.clone();
    assert_eq!(parsed, report());
}

#[test]
fn a_server_that_does_not_lead_says_so_and_what_it_does_not_know() {
    let head = |can_lose, not_leading, is_committed| {
        let report = MembersReport {
            here: None,
            can_lose,
            not_leading,
            is_committed,
            members: vec![],
            change: None,
            ended: vec![],
            removed: vec![],
            ..report()
        };
        assert_eq!(parse(&print(&report)), report);
        print(&report)
    };
    let text = "MEMBERS 3 2 unknown unknown 3 4 17 no\r\nEND\r\n";
    assert_eq!(head(CanLose::Unknown, Some(NodeId(4)), false), text);
    let text = "MEMBERS 3 2 unknown none 3 leader 17 yes\r\nEND\r\n";
    assert_eq!(head(CanLose::NoQuorum, None, true), text);
}

/// A clause of another server must begin no line of its own.
#[test]
fn clauses_are_printed_as_one_line() {
    let change = ChangeReport {
        number: LogIndex(17),
        age_ms: None,
        what: "add 6".into(),
        waits_for: Some("server 6 (1.0\r\nREMOVED 1 1)".into()),
    };
    let text = print(&MembersReport { change: Some(change), ..report() });
    let line = "\r\nCHANGE 17 unknown add 6; waits for: server 6 (1.0??REMOVED 1 1)\r\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn words_and_lines_of_newer_servers_are_passed_over() {
    let text = "MEMBERS 3 2 2 0 3 leader 17 yes\r\n\
        MEMBER 2 voter pondering a:1 b:2 zone=north seen_ms=3\r\n\
        WITNESS 9 a:1\r\nEND\r\n";
    let parsed = parse(text);
    assert_eq!(parsed.members.len(), 1);
    assert_eq!(parsed.members[0].state, MemberState::Unknown);
    assert_eq!(parsed.members[0].seen_ms, Some(3));
}

#[test]
fn a_plan_is_one_line() {
    let tolerance = |voters, needed, here, can_lose| Tolerance { voters, needed, here, can_lose };
    let plan = Plan { before: tolerance(3, 2, 2, Some(0)), after: tolerance(4, 3, 2, None) };
    let mut text = Vec::new();
    plan.print(&mut text);
    let line = b"PLAN voters=3,4 needed=2,3 here=2,2 can_lose=0,none\r\n";
    assert_eq!(text, line);
    assert_eq!(Plan::parse(&line[5..line.len() - 2]), Some(plan));
}
