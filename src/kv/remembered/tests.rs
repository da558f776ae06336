use proptest::prelude::*;

use super::*;

fn branch() -> impl Strategy<Value = RememberedBranch> {
    let failed = prop::option::of((prop::collection::vec(any::<u8>(), 1..20), any::<u64>()));
    let leaf = (any::<u64>(), failed)
        .prop_map(|(revision, failed)| RememberedBranch {
            revision,
            failed: failed.map(|(key, revision)| (Bytes::from(key), revision)),
            operations: Vec::new(),
        })
        .boxed();
    leaf.clone().prop_recursive(4, 20, 5, move |inner| {
        let operation = prop_oneof![
            any::<u64>().prop_map(|next| RememberedOperation::Put { next }),
            any::<[u64; 2]>()
                .prop_map(|[next, deleted]| RememberedOperation::Delete { next, deleted }),
            any::<u64>().prop_map(|next| RememberedOperation::Read { next }),
            inner.prop_map(|branch| RememberedOperation::Nested(Box::new(branch))),
        ];
        let operations = prop::collection::vec(operation, 0..5);
        (leaf.clone(), operations)
            .prop_map(|(branch, operations)| RememberedBranch { operations, ..branch })
    })
}

fn remembered() -> impl Strategy<Value = Remembered> {
    let number = any::<u64>;
    let transaction = (number(), number(), branch()).prop_map(|(hash, clock_ms, branch)| {
        Remembered::Transaction(Arc::new(RememberedTransaction { hash, clock_ms, branch }))
    });
    let whole = prop_oneof![
        number().prop_map(|version| Outcome::Stored { version }),
        number().prop_map(|version| Outcome::VersionMismatch { version }),
        number().prop_map(|version| Outcome::Exists { version }),
        number().prop_map(|revision| Outcome::AlreadyCompacted { revision }),
        number().prop_map(|revision| Outcome::Future { revision }),
        number().prop_map(|revision| Outcome::Compacted { revision }),
        any::<[u64; 2]>().prop_map(|[id, ttl]| Outcome::Granted { id, ttl }),
        prop::collection::vec(any::<Option<u64>>(), 0..9).prop_map(Outcome::Renewed),
        prop::sample::select(vec![
            Outcome::Deleted,
            Outcome::NotFound,
            Outcome::Stale,
            Outcome::NoLease,
            Outcome::NoKey,
            Outcome::LeaseExists,
            Outcome::Revoked,
            Outcome::HistorySet,
        ]),
    ];
    prop_oneof![whole.prop_map(Remembered::Outcome), transaction]
}

proptest! {
    #[test]
    fn every_outcome_survives_its_fields(remembered in remembered()) {
        let RememberedFields { kind, number, rest } = remembered.to_fields();
        prop_assert_eq!(Remembered::from_fields(kind, number, &rest), Some(remembered));
    }

    #[test]
    fn fields_that_no_outcome_has_are_refused(remembered in remembered(), more in any::<u8>()) {
        let RememberedFields { kind, number, mut rest } = remembered.to_fields();
        rest.push(more);
        prop_assert_eq!(Remembered::from_fields(kind, number, &rest), None);
    }
}

#[test]
fn the_numbers_of_the_first_formats_never_change() {
    for (outcome, kind, number) in [
        (Outcome::Stored { version: 7 }, 1, 7),
        (Outcome::Deleted, 2, 0),
        (Outcome::NotFound, 3, 0),
        (Outcome::VersionMismatch { version: 7 }, 4, 7),
        (Outcome::Exists { version: 7 }, 5, 7),
        (Outcome::Stale, 6, 0),
    ] {
        let fields = RememberedFields { kind, number, rest: Vec::new() };
        assert_eq!(Remembered::from(outcome).to_fields(), fields);
    }
    assert_eq!(Remembered::from_fields(9, 0, &[]), None, "nobody is remembered with `Ended`");
    assert_eq!(Remembered::from_fields(2, 1, &[]), None, "`Deleted` has no number");
    assert_eq!(Remembered::from_fields(21, 0, &[]), None);
}
