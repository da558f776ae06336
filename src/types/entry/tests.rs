use proptest::prelude::*;

use super::*;
use crate::testing::byte_mutation::mutation;
use crate::types::NodeId;

#[test]
fn payloads_survive_their_encoding_and_other_bytes_are_errors() {
    let membership = Membership::seed([NodeId(1), NodeId(900)]);
    for payload in [
        Payload::Noop,
        Payload::Command(Bytes::from_static(b"\x00\xff")),
        Payload::Membership(membership),
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

fn any_payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::Noop),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Payload::Command(bytes.into())),
        prop::collection::btree_set((1..=u64::MAX).prop_map(NodeId), 1..10)
            .prop_map(|voters| Payload::Membership(Membership::seed(voters))),
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
        kind in prop_oneof![0..4_u8, any::<u8>()],
        mutation in mutation(),
    ) {
        let body = Bytes::from(mutation.of(&payload.body()));
        if let Ok(decoded) = Payload::decode(kind, body.clone()) {
            prop_assert_eq!(decoded.kind(), kind);
            prop_assert!(decoded.body().len() <= body.len());
        }
    }
}
