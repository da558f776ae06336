//! The ranges that are watched, and the search for those that hold a key.
//!
//! All watches of the same range with the same options are one topic: a change finds them with
//! one look, and they share what is read and printed.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::actors::messages::clients::SessionId;
use crate::kv::{KeyRange, WatchFilter};

/// The number of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TopicId(u64);

/// The watches of one range.
#[derive(Debug)]
pub(super) struct Topic<T> {
    /// The events that they want.
    pub(super) filter: WatchFilter,
    /// Number of watches.
    watches: usize,
    /// The watches that have all changes and wait for the next one.
    pub(super) idle: BTreeSet<SessionId>,
    /// A place for that which the watches share.
    pub(super) shared: T,
}

/// The topics, and the search for those of a key.
#[derive(Debug)]
pub(super) struct Topics<T> {
    topics: BTreeMap<TopicId, Topic<T>>,
    last: u64,
    /// The topics of one key.
    by_key: BTreeMap<Bytes, Vec<TopicId>>,
    /// The topics of all keys with a prefix.
    by_prefix: BTreeMap<Bytes, Vec<TopicId>>,
    /// The lengths of these prefixes, each with its number of prefixes. A key is looked up once
    /// for each length.
    prefix_lengths: BTreeMap<usize, usize>,
    /// The topics of other ranges, which are asked one by one.
    others: Vec<TopicId>,
}

/// The kind of a range, with what it is found by.
enum Place<'a> {
    Key(&'a Bytes),
    Prefix(&'a Bytes),
    Other,
}

impl<'a> Place<'a> {
    fn of(keys: &'a KeyRange) -> Place<'a> {
        if let Some(key) = keys.as_key() {
            return Place::Key(key);
        }
        match KeyRange::prefix(keys.start().clone()) == *keys {
            true => Place::Prefix(keys.start()),
            false => Place::Other,
        }
    }
}

impl<T: Default> Topics<T> {
    pub(super) fn new() -> Topics<T> {
        Topics {
            topics: BTreeMap::new(),
            last: 0,
            by_key: BTreeMap::new(),
            by_prefix: BTreeMap::new(),
            prefix_lengths: BTreeMap::new(),
            others: Vec::new(),
        }
    }

    /// Adds a watch, and returns its topic.
    pub(super) fn add(&mut self, filter: &WatchFilter) -> TopicId {
        let place = Place::of(&filter.keys);
        let near: &[TopicId] = match place {
            Place::Key(key) => self.by_key.get(key).map_or(&[], |ids| ids),
            Place::Prefix(prefix) => self.by_prefix.get(prefix).map_or(&[], |ids| ids),
            Place::Other => &self.others,
        };
        let is_same = |topic: &Topic<T>| topic.filter == *filter;
        let known = near.iter().find(|id| self.topics.get(id).is_some_and(is_same)).copied();
        let id = known.unwrap_or_else(|| {
            self.last += 1;
            TopicId(self.last)
        });
        if known.is_none() {
            match place {
                Place::Key(key) => self.by_key.entry(key.clone()).or_default().push(id),
                Place::Prefix(prefix) => {
                    let ids = self.by_prefix.entry(prefix.clone()).or_default();
                    if ids.is_empty() {
                        *self.prefix_lengths.entry(prefix.len()).or_default() += 1;
                    }
                    ids.push(id);
                }
                Place::Other => self.others.push(id),
            }
        }
        let topic = self.topics.entry(id).or_insert_with(|| Topic {
            filter: filter.clone(),
            watches: 0,
            idle: BTreeSet::new(),
            shared: T::default(),
        });
        topic.watches += 1;
        id
    }

    /// Removes a watch of a topic.
    pub(super) fn remove(&mut self, id: TopicId, session: SessionId) {
        let Some(topic) = self.topics.get_mut(&id) else { return };
        topic.idle.remove(&session);
        topic.watches -= 1;
        if topic.watches > 0 {
            return;
        }
        let Some(topic) = self.topics.remove(&id) else { return };
        match Place::of(&topic.filter.keys) {
            Place::Key(key) => {
                remove_from(&mut self.by_key, key, id);
            }
            Place::Prefix(prefix) => {
                if remove_from(&mut self.by_prefix, prefix, id) {
                    let count = self.prefix_lengths.entry(prefix.len()).or_default();
                    *count -= 1;
                    if *count == 0 {
                        self.prefix_lengths.remove(&prefix.len());
                    }
                }
            }
            Place::Other => self.others.retain(|other| *other != id),
        }
    }

    pub(super) fn get_mut(&mut self, id: TopicId) -> Option<&mut Topic<T>> {
        self.topics.get_mut(&id)
    }

    /// The numbers of all topics.
    pub(super) fn ids(&self) -> impl Iterator<Item = TopicId> {
        self.topics.keys().copied()
    }

    /// Calls `take` with each topic whose range holds this key.
    pub(super) fn each_of_key(&self, key: &[u8], mut take: impl FnMut(TopicId)) {
        self.by_key.get(key).into_iter().flatten().for_each(|id| take(*id));
        for length in self.prefix_lengths.keys().take_while(|length| **length <= key.len()) {
            let prefix = self.by_prefix.get(&key[..*length]);
            prefix.into_iter().flatten().for_each(|id| take(*id));
        }
        let holds = |id: &&TopicId| self.topics[id].filter.keys.contains(key);
        self.others.iter().filter(holds).for_each(|id| take(*id));
    }
}

impl<T> Topic<T> {
    /// True when there are several watches.
    pub(super) fn is_shared(&self) -> bool {
        self.watches > 1
    }
}

/// Removes a topic from those of its range. Returns true when it was the last one.
fn remove_from(index: &mut BTreeMap<Bytes, Vec<TopicId>>, keys: &Bytes, id: TopicId) -> bool {
    let Some(ids) = index.get_mut(keys) else { return false };
    ids.retain(|other| *other != id);
    let is_last = ids.is_empty();
    if is_last {
        index.remove(keys);
    }
    is_last
}

#[cfg(test)]
mod tests;
