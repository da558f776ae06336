use proptest::prelude::*;

use super::*;
use crate::testing::byte_mutation::mutation;

#[test]
fn an_identity_survives_its_encoding_whatever_the_name() {
    for cluster in ["coracle", "two words", "a\nnode 9", "caf\u{e9}", "crc32c x", ""] {
        for restore_id in [None, Some(0), Some(u128::MAX)] {
            let own = Identity { cluster: cluster.into(), node_id: NodeId(7), restore_id };
            let decoded = Identity::decode(own.encode().as_bytes());
            assert_eq!(decoded, Ok((cluster.escape_default().to_string(), 7, restore_id)));
        }
    }
}

#[test]
fn golden_bytes_of_an_identity() {
    let own = Identity { cluster: "coracle".into(), node_id: NodeId(3), restore_id: None };
    assert_eq!(own.encode(), "coracle 2\ncluster coracle\nnode 3\ncrc32c 52189fef\n");
    let restored = Identity { restore_id: Some(0xabc), ..own }.encode();
    let lines: Vec<&str> = restored.lines().collect();
    assert_eq!(lines[..3], ["coracle 2", "cluster coracle", "node 3"]);
    assert_eq!(lines[3], "origin 00000000000000000000000000000abc");
}

#[test]
fn an_identity_with_one_more_line_is_refused() {
    for restore_id in [None, Some(7)] {
        let own = Identity { cluster: "coracle".into(), node_id: NodeId(3), restore_id }.encode();
        let end = own.rfind("crc32c ").unwrap();
        let mut text = format!("{}joint 3\n", &own[..end]);
        text += &format!("crc32c {:08x}\n", crc32c::crc32c(text.as_bytes()));
        assert_eq!(Identity::decode(text.as_bytes()), Err("it has an unknown line".into()));
    }
}

proptest! {
    #[test]
    fn a_changed_identity_is_rejected(
        cluster in ".*",
        node in any::<u64>(),
        restore_id in any::<Option<u128>>(),
        mutation in mutation(),
    ) {
        let node_id = NodeId(node);
        let text = Identity { cluster: cluster.clone(), node_id, restore_id }.encode();
        let own = (cluster.escape_default().to_string(), node, restore_id);
        prop_assert_eq!(Identity::decode(text.as_bytes()), Ok(own));
        let changed = mutation.of(text.as_bytes());
        prop_assert!(changed == text.as_bytes() || Identity::decode(&changed).is_err());
    }
}
