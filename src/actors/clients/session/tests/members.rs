//! The replies about members and leadership.

use super::*;
use crate::protocol::{
    CanLose, ChangeWaited, MemberKind, MemberReport, MemberState, MembersReport, Tolerance,
};
use crate::raft::ChangePlan;
use crate::types::ChangeKind;

#[actix::test]
async fn every_answer_about_members_and_leadership_becomes_its_reply() {
    let waited = |end| ClientReply::ChangeWaited(LogIndex(17), end);
    let table = [
        (
            "member remove 3\r\n",
            ClientReply::Change { number: LogIndex(17), id: NodeId(3) },
            "CHANGE 17 3\r\n",
        ),
        ("member remove 3\r\n", ClientReply::Already, "ALREADY\r\n"),
        (
            "member remove 3 dry-run\r\n",
            ClientReply::Plan(ChangePlan {
                what: ChangeKind::Remove { id: NodeId(3) },
                before: Tolerance { voters: 3, needed: 2, here: 3, can_lose: Some(1) },
                after: Tolerance { voters: 2, needed: 2, here: 1, can_lose: None },
            }),
            "PLAN voters=3,2 needed=2,2 here=3,1 can_lose=1,none\r\n",
        ),
        (
            "member remove 3\r\n",
            ClientReply::RefusedBecause("server 4 (x\r\nOK 2) is unseen".into()),
            "ERR_REFUSED server 4 (x??OK 2) is unseen\r\n",
        ),
        ("member wait 17\r\n", waited(ChangeWaited::NotFound), "ERR_NOT_FOUND\r\n"),
        ("member wait 17\r\n", waited(ChangeWaited::Ended { is_done: true }), "ENDED 17 done\r\n"),
        (
            "member wait 17\r\n",
            waited(ChangeWaited::Running { sentence: "remove 3;\nwaits".into() }),
            "RUNNING 17 remove 3;?waits\r\n",
        ),
        (
            "leader transfer\r\n",
            ClientReply::Transferred { leader: NodeId(2), term: Term(9) },
            "LEADER 2 9\r\n",
        ),
        ("drain\r\n", ClientReply::Draining, "OK\r\n"),
    ];
    let (mut client, raft) = connect(config());
    for (command, reply, text) in table {
        client.say(command).await;
        let (slot, _) = take(&raft)[0];
        answer(&client, slot, reply);
        assert_eq!(client.hear().await, text, "{command}");
    }
}

#[actix::test]
async fn a_list_of_members_has_the_version_of_the_server_that_answers() {
    let member = |id, state| MemberReport {
        id: NodeId(id),
        kind: MemberKind::Voter,
        state,
        log_address: None,
        client_address: None,
        seen_ms: None,
        behind: None,
        snapshot: None,
        formats: None,
        version: None,
    };
    let report = |not_leading| MembersReport {
        voters: 2,
        needed: 2,
        here: None,
        can_lose: CanLose::Unknown,
        format: Format(3),
        not_leading,
        index: LogIndex(7),
        is_committed: true,
        members: vec![member(1, MemberState::Leader), member(2, MemberState::Follower)],
        change: None,
        ended: Vec::new(),
        removed: Vec::new(),
    };
    let (mut client, raft) = connect(config());
    for (not_leading, own) in [(None, "leader"), (Some(NodeId(2)), "follower")] {
        client.say("member list\r\n").await;
        let (slot, _) = take(&raft)[0];
        answer(&client, slot, ClientReply::Members(Box::new(report(not_leading))));
        let heard = client.hear().await;
        let lines: Vec<&str> = heard.lines().filter(|line| line.contains(" version=")).collect();
        assert_eq!(lines.len(), 1, "{heard}");
        assert!(lines[0].ends_with(&format!(" {own} unknown unknown version=0.2.0")), "{heard}");
    }
}
