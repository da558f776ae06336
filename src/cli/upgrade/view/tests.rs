use coracle::protocol::{Expect, Reply, ReplyParser};

use super::*;

/// The status in the lines of a reply.
fn status(lines: &str) -> Status {
    let text = format!("{lines}\nEND\n");
    match ReplyParser::new(Expect::Status).next(&mut text.as_bytes().into()) {
        Ok(Some(Reply::Status(status))) => status,
        other => panic!("{lines}: {other:?}"),
    }
}

/// The lines of a server of this version.
pub fn new_server(role: &str, format: u32, held: &str, waits_for: &str) -> String {
    format!(
        "role {role}\nterm 7\nversion 0.2.0\nformat {format}\nreads_formats 1..2\ncluster_id none\n\
         incarnation 00\nupgrade_held {held}\nupgrade_waits_for {waits_for}"
    )
}

/// The lines of a server from before format 2.
pub const OLD_FOLLOWER: &str = "role follower\nterm 7\nleader 1";

/// Servers 1, 2, 3, ... with these lines; without any, the server does not answer.
pub fn view(servers: &[&str]) -> View {
    let answer = |(offset, lines): (usize, &&str)| {
        let id = NodeId(offset as u64 + 1);
        let answer = match *lines {
            "" => Err(Error::Unavailable { last: String::new() }),
            lines => Ok(status(lines)),
        };
        (id, answer)
    };
    View::new(servers.iter().enumerate().map(answer))
}

#[test]
fn a_server_from_before_format_2_is_shown_as_one_that_reads_format_1_only() {
    let leader = new_server("leader", 1, "yes", "server 2 (0.1.0) reads formats 1..1");
    let view = view(&[&leader, OLD_FOLLOWER, ""]);
    let rows: Vec<String> = view.rows().iter().map(|row| row.join("|")).collect();
    assert_eq!(
        rows,
        [
            "id|role|version|reads formats|format|held|reachable",
            "1|leader|0.2.0|1..2|1|yes|yes",
            "2|follower|0.1.0?|1..1|1|no|yes",
            "3|-|-|-|-|-|no",
        ]
    );
    assert_eq!(
        view.sentences(),
        "Format 1 is in force; format 2 waits: server 2 (0.1.0) reads formats 1..1.\n\
         Held by server 1; `coracle upgrade release` ends that.\n"
    );
}

#[test]
fn the_sentence_says_what_the_next_format_waits_for() {
    let follower = new_server("follower", 1, "no", "none");
    let raised = new_server("follower", 2, "no", "none");
    let leader = |format, waits_for| new_server("leader", format, "no", waits_for);
    let old_leader = "role leader\nterm 9";
    for (servers, sentence) in [
        (
            vec![leader(2, "none"), raised.clone()],
            "Format 2 is in force, which every server reads. Nothing to raise.\n",
        ),
        (
            vec![leader(2, "none"), raised.clone(), String::new()],
            "Format 2 is in force, the highest that the servers read which answered. Nothing to \
             raise.\n",
        ),
        // The newest answer counts: a follower hears of it first from the leader.
        (
            vec![leader(1, "none"), follower.clone()],
            "Format 1 is in force; format 2 is about to be.\n",
        ),
        (
            vec![follower.clone(), follower.clone()],
            "Format 1 is in force, as far as the servers know that answered. No leader answered, \
             and only a leader raises it.\n",
        ),
        (
            vec![old_leader.to_owned(), follower.clone()],
            "Format 1 is in force; format 2 waits: server 1 (0.1.0?), which leads, reads formats \
             1..1.\n",
        ),
    ] {
        let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
        assert_eq!(view(&servers).sentences(), sentence, "{servers:?}");
    }
    assert_eq!(view(&["", ""]).sentences(), "");
    assert_eq!(view(&["", ""]).format(), None);
}

#[test]
fn the_leader_of_the_highest_term_counts() {
    let deposed = new_server("leader", 1, "no", "the deposed one").replace("term 7", "term 6");
    let leader = new_server("leader", 1, "no", "the leader's reason");
    assert!(view(&[&deposed, &leader]).sentences().contains("waits: the leader's reason."));
    assert!(!view(&[&deposed, &leader]).is_raising());
    let raising = new_server("leader", 1, "no", "a raise is under way");
    assert!(view(&[&deposed, &raising]).is_raising());
}

#[test]
fn a_range_of_formats_is_two_rising_numbers() {
    let range =
        |lowest, highest| Some(FormatRange { lowest: Format(lowest), highest: Format(highest) });
    assert_eq!(parse_range("1..2"), range(1, 2));
    assert_eq!(parse_range("3..3"), range(3, 3));
    for wrong in ["", "1", "1..", "..2", "2..1", "0..1", "1...2", "1..2..3", "a..b", "-1..2"] {
        assert_eq!(parse_range(wrong), None, "{wrong}");
    }
}
