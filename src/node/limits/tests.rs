//! The files that are set apart for peers.

use super::*;

#[test]
fn a_cluster_can_grow_where_there_are_files_enough_and_starts_where_there_are_few() {
    assert_eq!(members_max(5, u64::MAX), MEMBERS_MAX);
    assert_eq!(members_max(5, 100), 5, "a small limit leaves room for those that are there");
    for open_files_max in [256, 1024, 1 << 20] {
        let members = members_max(5, open_files_max);
        assert!(members > 5 && 3 * members as u64 <= open_files_max / 8);
    }
}
