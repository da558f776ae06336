use super::*;

#[test]
fn each_kind_of_change_is_read_back_from_its_clause() {
    let (id, old, new) = (NodeId(6), NodeId(3), NodeId(7));
    for kind in [
        ChangeKind::Add { id },
        ChangeKind::AddLearner { id },
        ChangeKind::Remove { id },
        ChangeKind::Replace { old, new },
        ChangeKind::Promote { id },
        ChangeKind::Demote { id },
        ChangeKind::Update { id },
    ] {
        assert_eq!(kind_of(&kind.to_string()), Some(kind));
    }
    for clause in ["", "remove", "remove x", "remove 1 2", "rename 1 as 2"] {
        assert_eq!(kind_of(clause), None, "{clause}");
    }
}
