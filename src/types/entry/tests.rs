use proptest::prelude::*;

use super::*;
use crate::testing::byte_mutation::mutation;
use crate::testing::memberships::{any_membership, joint, largest, membership};
use crate::types::{LogIndex, NodeId};

#[test]
fn payloads_survive_their_encoding_and_other_bytes_are_errors() {
    let membership = Membership::seed([NodeId(1), NodeId(900)]);
    for payload in [
        Payload::Noop,
        Payload::Command(Bytes::from_static(b"\x00\xff")),
        Payload::Membership(membership),
        Payload::Membership(joint()),
        Payload::Membership(largest()),
    ] {
        assert_eq!(
            Payload::decode(payload.kind(), Bytes::copy_from_slice(&payload.body())),
            Ok(payload)
        );
    }
    assert_eq!(Payload::decode(9, Bytes::new()), Err(PayloadError::UnknownKind(9)));
    assert!(Payload::decode(0, Bytes::from_static(b"x")).is_err());
    assert!(Payload::decode(2, Bytes::from_static(b"\x80")).is_err());
}

/// A node that ignored the second half of a joint membership would count other quorums than its
/// peers.
#[test]
fn a_membership_with_anything_more_or_less_is_refused() {
    let refused: [&'static [u8]; 7] = [
        b"\x82\xa6voters\x92\x01\x02\xa8incoming\x92\x01\x03",
        b"\x92\x92\x01\x02\x92\x01\x03",
        b"\x81\xa6voters\x92\x01\x02\xc0",
        b"\x80",
        b"\x81\xa8incoming\x92\x01\x02",
        b"\x81\xa6voters\x90",
        b"",
    ];
    for body in refused {
        let decoded = Payload::decode(2, Bytes::from_static(body));
        assert!(matches!(decoded, Err(PayloadError::Membership(_))), "{body:?}: {decoded:?}");
    }
    assert!(Payload::decode(2, Bytes::from_static(b"\x81\xa6voters\x92\x01\x02")).is_ok());
}

/// The bytes of an entry of kind 5: a map of maps, with the names of all fields.
#[test]
fn golden_bytes_of_a_joint_membership() {
    let payload = Payload::Membership(joint());
    assert_eq!(payload.kind(), 5);
    let hex = payload.body().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex, GOLDEN_JOINT);
    assert_eq!(Payload::Membership(membership(&[1], &[])).kind(), 5);
    assert_eq!(Payload::Membership(Membership::seed([NodeId(1)])).kind(), 2);
}

const GOLDEN_JOINT: &str = "\
    87a6766f7465727393010206a86f7574676f696e6793010203a76d656d62657273850182a47065657282\
    a4686f7374a26831a4706f7274cd2329a6636c69656e7482a4686f7374a26831a4706f7274cd23280282\
    a47065657282a4686f7374a26832a4706f7274cd2329a6636c69656e7482a4686f7374a26832a4706f72\
    74cd23280382a47065657282a4686f7374a26833a4706f7274cd2329a6636c69656e7482a4686f7374a2\
    6833a4706f7274cd23280682a47065657282a4686f7374a26836a4706f7274cd2329a6636c69656e7482\
    a4686f7374a26836a4706f7274cd23280782a47065657282a4686f7374a26837a4706f7274cd2329a663\
    6c69656e7482a4686f7374a26837a4706f7274cd2328a66368616e676582a66e756d62657228a4776861\
    7481a77265706c61636582a36f6c6403a36e657706a5656e6465649283a66e756d62657214a477686174\
    81a361646481a2696405a769735f646f6e65c283a66e756d6265721ea47768617481a672656d6f766581\
    a2696404a769735f646f6e65c3a76c6173745f696407a772656d6f76656482041f0521";

#[test]
fn a_membership_that_no_log_may_have_is_no_entry() {
    let decode = |kind, membership: &Membership| {
        let body = rmp_serde::to_vec_named(membership).unwrap();
        Payload::decode(kind, body.into()).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(decode(5, &joint()), Ok(()));
    assert!(decode(2, &joint()).is_err(), "an older program would count another quorum");
    let refused = [
        (Membership::default(), "its members have no addresses"),
        (Membership::seed([NodeId(1)]), "its members have no addresses"),
        (Membership { change: None, ..joint() }, "it is joint, and no change is under way"),
        (Membership { last_id: NodeId(1), ..joint() }, "a higher id than any member"),
    ];
    for (membership, expected) in refused {
        let said = decode(5, &membership).unwrap_err();
        assert!(said.contains(expected), "{said}");
    }
}

/// Windows, batches and frames are bounded by weights.
#[test]
fn a_membership_weighs_more_than_its_encoding() {
    for membership in [membership(&[1], &[]), joint(), largest(), Membership::seed([NodeId(1)])] {
        let payload = Payload::Membership(membership);
        let bytes = payload.body().len() as u64;
        let entry = Entry { index: LogIndex(1), term: Term(1), stamp_ms: 0, payload };
        assert!(entry.weight_bytes() >= bytes, "{} and {bytes}", entry.weight_bytes());
    }
}

fn any_payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::Noop),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Payload::Command(bytes.into())),
        prop::collection::btree_set((1..=u64::MAX).prop_map(NodeId), 1..10)
            .prop_map(|voters| Payload::Membership(Membership::seed(voters))),
        any_membership().prop_map(Payload::Membership),
    ]
}

proptest! {
    #[test]
    fn every_payload_survives_its_encoding(payload in any_payload()) {
        let body = Bytes::copy_from_slice(&payload.body());
        prop_assert_eq!(Payload::decode(payload.kind(), body), Ok(payload));
    }

    #[test]
    fn changed_payloads_are_refused_or_no_larger(
        payload in any_payload(),
        kind in prop_oneof![0..6_u8, any::<u8>()],
        mutation in mutation(),
    ) {
        let body = Bytes::from(mutation.of(&payload.body()));
        if let Ok(decoded) = Payload::decode(kind, body.clone()) {
            prop_assert_eq!(decoded.kind(), kind);
            prop_assert!(decoded.body().len() <= body.len());
        }
    }
}
