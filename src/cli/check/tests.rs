use super::*;

fn ids(ids: &[u64]) -> BTreeSet<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

/// The verdict on five servers of which some have these digests after entry 2048 and others gave
/// no answer.
fn judge(digests: &[(u64, u64)], unreachable: &[u64]) -> Result<String, Failure> {
    let digests = digests.iter().map(|(id, digest)| (NodeId(*id), *digest)).collect();
    let best = Comparison { index: 2048, digests };
    verdict(&Search { best, unreachable: ids(unreachable) }, &ids(&[1, 2, 3, 4, 5]))
}

#[track_caller]
fn refused(digests: &[(u64, u64)], unreachable: &[u64]) -> (u8, String) {
    let failure = judge(digests, unreachable).unwrap_err();
    (failure.exit_code(), failure.to_string())
}

#[test]
fn equal_servers_are_named_with_those_that_were_not_compared() {
    assert_eq!(
        judge(&[(1, 7), (2, 7), (3, 7), (4, 7), (5, 7)], &[]).unwrap(),
        "equal: servers 1, 2, 3, 4, 5 after entry 2048, digest 0000000000000007"
    );
    assert_eq!(
        judge(&[(1, 7), (2, 7), (5, 7)], &[3]).unwrap(),
        "equal: servers 1, 2, 5 after entry 2048, digest 0000000000000007; not compared: server \
         3, without an answer; not compared: server 4, not near that entry"
    );
}

#[test]
fn fewer_than_a_majority_prove_nothing() {
    let (code, text) = refused(&[(1, 7), (2, 7)], &[3, 4, 5]);
    assert_eq!(code, 3);
    assert!(text.contains("fewer than a majority") && text.contains("servers 3, 4, 5"), "{text}");
    let (code, text) = refused(&[], &[1, 2, 3, 4, 5]);
    assert_eq!(code, 3);
    assert!(text.contains("no server could be compared"), "{text}");
}

#[test]
fn those_that_differ_from_a_majority_are_named() {
    let (code, text) = refused(&[(1, 7), (2, 7), (3, 8), (4, 7), (5, 7)], &[]);
    assert_eq!(code, 1);
    assert_eq!(
        text,
        "server 3 differs after entry 2048: server 3 has 0000000000000008; the others, servers 1, \
         2, 4, 5, have digest 0000000000000007"
    );
    let (code, text) = refused(&[(1, 7), (2, 9), (3, 8), (4, 7), (5, 7)], &[]);
    assert_eq!(code, 1);
    assert!(text.starts_with("servers 2, 3 differ after entry 2048: "), "{text}");
}

#[test]
fn a_difference_without_a_majority_accuses_nobody() {
    for digests in [&[(1, 7), (2, 7), (3, 8), (4, 8)][..], &[(1, 7), (2, 8)]] {
        let (code, text) = refused(digests, &[]);
        assert_eq!(code, 1);
        assert!(text.contains("no digest has a majority"), "{text}");
    }
}
