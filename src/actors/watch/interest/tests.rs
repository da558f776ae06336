use proptest::prelude::*;

use super::*;

fn filter(keys: KeyRange) -> WatchFilter {
    WatchFilter::all(keys)
}

fn found(topics: &Topics<()>, key: &[u8]) -> BTreeSet<TopicId> {
    let mut found = BTreeSet::new();
    topics.each_of_key(key, |id| assert!(found.insert(id), "a topic is found once"));
    found
}

#[test]
fn watches_of_the_same_keys_and_options_share_a_topic() {
    let mut topics = Topics::<()>::new();
    let prefix = filter(KeyRange::prefix(Bytes::from("a")));
    let id = topics.add(&prefix);
    assert_eq!(topics.add(&prefix), id);
    assert_ne!(topics.add(&WatchFilter { wants_previous: true, ..prefix }), id);
    assert_ne!(topics.add(&filter(KeyRange::key(Bytes::from("a")))), id);
    assert_eq!(found(&topics, b"a").len(), 3);
    assert_eq!(found(&topics, b"ab").len(), 2);
    assert_eq!(found(&topics, b"b").len(), 0);
}

#[test]
fn a_topic_is_gone_with_its_last_watch() {
    let mut topics = Topics::<()>::new();
    let keys = [
        KeyRange::key(Bytes::from("a")),
        KeyRange::prefix(Bytes::from("a")),
        KeyRange::between(Bytes::from("a"), Bytes::from("ab")),
    ];
    for keys in keys {
        let filter = filter(keys);
        let id = topics.add(&filter);
        topics.add(&filter);
        topics.remove(id, SessionId(1));
        assert!(found(&topics, b"a").contains(&id));
        topics.remove(id, SessionId(2));
        assert!(found(&topics, b"a").is_empty());
    }
    assert!(topics.by_key.is_empty() && topics.by_prefix.is_empty() && topics.others.is_empty());
    assert!(topics.prefix_lengths.is_empty() && topics.topics.is_empty());
}

fn keys() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0xff)], 0..4)
        .prop_map(Bytes::from)
}

fn ranges() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        keys().prop_map(KeyRange::key),
        keys().prop_map(KeyRange::prefix),
        keys().prop_map(KeyRange::from),
        (keys(), keys()).prop_map(|(start, end)| KeyRange::between(start, end)),
    ]
}

proptest! {
    /// The index finds exactly the ranges that hold the key, whatever was added and removed.
    #[test]
    fn exactly_the_topics_are_found_that_hold_the_key(
        ranges in prop::collection::vec((ranges(), any::<bool>()), 1..20),
        key in keys(),
    ) {
        let mut topics = Topics::<()>::new();
        let mut left = BTreeMap::new();
        for (session, (keys, stays)) in ranges.into_iter().enumerate() {
            let id = topics.add(&filter(keys.clone()));
            if stays {
                left.insert(id, keys);
            } else {
                topics.remove(id, SessionId(session as u64));
            }
        }
        let holds = |(id, keys): (&TopicId, &KeyRange)| keys.contains(&key).then_some(*id);
        let expected: BTreeSet<TopicId> = left.iter().filter_map(holds).collect();
        prop_assert_eq!(found(&topics, &key), expected);
    }
}
