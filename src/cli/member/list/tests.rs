use coracle::types::Address;

use super::*;

fn member(state: MemberState, behind: Option<u64>, snapshot: Option<(u64, u64)>) -> MemberReport {
    MemberReport {
        id: NodeId(6),
        kind: MemberKind::Learner,
        state,
        log_address: Some(Address { host: "h".into(), port: 1 }),
        client_address: None,
        seen_ms: Some(5),
        behind,
        snapshot,
        formats: None,
        version: None,
    }
}

fn report(member: MemberReport) -> MembersReport {
    MembersReport {
        voters: 3,
        needed: 2,
        here: Some(3),
        can_lose: CanLose::Voters(1),
        format: coracle::types::Format(3),
        not_leading: None,
        index: coracle::types::LogIndex(1),
        is_committed: true,
        members: vec![member],
        change: None,
        ended: Vec::new(),
        removed: Vec::new(),
    }
}

#[test]
fn a_member_is_behind_by_entries_or_by_a_part_of_a_snapshot_for_an_estimated_time() {
    let catching = |behind, snapshot| member(MemberState::Catching, behind, snapshot);
    let earlier = |member| Earlier { report: report(member), elapsed: Duration::from_millis(500) };
    let cell = |now: MemberReport, before: MemberReport| behind(&now, Some(&earlier(before)));
    let (half, more) = ((50, 100), (60, 100));
    assert_eq!(behind(&catching(Some(10_400), None), None).unwrap(), "10,400");
    assert_eq!(behind(&catching(Some(9), Some(half)), None).unwrap(), "50 %");
    let snapshot = cell(catching(None, Some(more)), catching(None, Some(half)));
    assert_eq!(snapshot.unwrap(), "60 %, ~2 s");
    let other = cell(catching(None, Some((60, 200))), catching(None, Some(half)));
    assert_eq!(other.unwrap(), "30 %", "another snapshot says nothing of the speed");
    let entries = cell(catching(Some(1_000), None), catching(Some(2_000), None));
    assert_eq!(entries.unwrap(), "1,000, ~1 s");
    let stuck = cell(catching(Some(1_000), None), catching(Some(1_000), None));
    assert_eq!(stuck.unwrap(), "1,000");
    let back = cell(catching(Some(2_000), None), catching(Some(1_000), None));
    assert_eq!(back.unwrap(), "2,000");
    let equal = cell(catching(Some(0), None), catching(Some(9), None));
    assert_eq!(equal.unwrap(), "0");
    assert_eq!(behind(&catching(None, Some((0, 0))), None).unwrap(), "0 %");
    assert_eq!(behind(&member(MemberState::Unseen, Some(9), None), None), None);
    assert_eq!(behind(&member(MemberState::Leader, Some(0), None), None), None);
}

#[test]
fn too_few_members_and_a_joint_membership_are_said() {
    let mut few = report(member(MemberState::Unseen, None, None));
    few.can_lose = CanLose::NoQuorum;
    few.here = Some(1);
    assert_eq!(tolerance(&few), "3 voters, 2 needed, 1 here: too few: writes wait.");
    few.members[0].kind = MemberKind::Incoming;
    few.can_lose = CanLose::Voters(0);
    let joint = "3 voters, 2 needed, 1 here in the smaller of two halves: can lose 0.";
    assert_eq!(tolerance(&few), joint);
}
