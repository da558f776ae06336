//! What a client wants, and what it knows.

use std::cell::Cell;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::Notify;

use super::super::history::{Action, Answer, Item, unique_value};
use super::super::plan::Plan;

/// Keys whose values may be given a time to live.
const EXPIRING_KEYS: usize = 2;
/// The longest time to live, in seconds.
const EXPTIME_MAX: u64 = 4;

/// Which commands a client likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taste {
    All,
    Reads,
    Writes,
}

/// What clients tell each other: somebody who reads right after another has
/// written is the one to notice a node that has not heard of it.
#[derive(Default)]
pub(super) struct News {
    key: Cell<usize>,
    pub(super) told: Notify,
}

impl News {
    /// A write of this key was acknowledged.
    pub(super) fn tell(&self, key: usize) {
        self.key.set(key);
        self.told.notify_waiters();
    }
}

/// See the module.
pub(super) struct Mind {
    number: u64,
    taste: Taste,
    lasting_keys: usize,
    writes: u64,
    /// The last version that it knows of each key.
    versions: Vec<u64>,
    /// Where the last page of a scan ended, if it was not the last one.
    after: Option<Bytes>,
}

impl Mind {
    pub(super) fn new(plan: &Plan, number: u64, taste: Taste) -> Mind {
        let lasting_keys = plan.keys as usize;
        let versions = vec![0; lasting_keys + EXPIRING_KEYS + 1];
        Mind { number, taste, lasting_keys, writes: 0, versions, after: None }
    }

    /// The key with the long value, which nobody draws.
    pub(super) fn big_key(&self) -> usize {
        self.lasting_keys + EXPIRING_KEYS
    }

    /// One of those that may expire.
    pub(super) fn expiring_key(&self) -> usize {
        self.lasting_keys
    }

    pub(super) fn key_name(&self, key: usize) -> Bytes {
        match key.checked_sub(self.lasting_keys) {
            None => format!("k{key}").into(),
            Some(EXPIRING_KEYS) => "long".into(),
            Some(number) => format!("t{number}").into(),
        }
    }

    /// What a history has as its key.
    pub(super) fn subject(&self, key: usize, action: &Action) -> Bytes {
        match action {
            Action::Scan { .. } if key == self.big_key() => Bytes::new(),
            Action::Scan { .. } => self.key_name(key).slice(..1),
            _ => self.key_name(key),
        }
    }

    /// A value that nobody else writes.
    pub(super) fn new_value(&mut self) -> Bytes {
        self.writes += 1;
        unique_value(self.number, self.writes)
    }

    /// What to do next; often with the key of which there is news.
    pub(super) fn draw(&mut self, news: &News, rng: &mut StdRng) -> (usize, Action) {
        let key = match rng.random_bool(0.4) {
            true => news.key.get(),
            false => rng.random_range(0..self.lasting_keys + EXPIRING_KEYS),
        };
        let is_write = match self.taste {
            Taste::All => rng.random_bool(0.5),
            Taste::Reads => false,
            Taste::Writes => true,
        };
        if is_write {
            return (key, self.draw_write(key, rng));
        }
        match rng.random_range(0..10) {
            0..2 => (key, Action::GetBare),
            2 => self.draw_scan(key, rng),
            _ => (key, Action::Get),
        }
    }

    fn draw_write(&mut self, key: usize, rng: &mut StdRng) -> Action {
        let value = self.new_value();
        let may_expire = key >= self.lasting_keys;
        match rng.random_range(0..60) {
            0..30 if may_expire => Action::SetFor(rng.random_range(1..=EXPTIME_MAX), value),
            0..25 => Action::Set(value),
            25..35 => Action::Add(value),
            35..50 => Action::Cas(self.versions[key], value),
            _ => Action::Delete,
        }
    }

    fn draw_scan(&mut self, key: usize, rng: &mut StdRng) -> (usize, Action) {
        let key = if rng.random_bool(0.5) { self.big_key() } else { key };
        let limit = rng.random_range(1..=6);
        (key, Action::Scan { limit, after: self.after.take() })
    }

    /// What an answer tells.
    pub(super) fn learn(&mut self, key: usize, answer: &Answer) {
        self.versions[key] = match answer {
            Answer::Stored(version)
            | Answer::Mismatch(version)
            | Answer::Exists(version)
            | Answer::Value(version, _)
            | Answer::Expiring(Item { version, .. }) => *version,
            Answer::Deleted | Answer::NotFound => 0,
            Answer::Page(items, more) => {
                self.after = items.last().filter(|_| *more).map(|item| item.key.clone());
                return;
            }
            Answer::Bare(_) | Answer::Stale | Answer::Unknown | Answer::Refused => return,
        };
    }

    /// The command, as it is sent.
    pub(super) fn command(&self, key: usize, action: &Action) -> Vec<u8> {
        let name = String::from_utf8_lossy(&self.key_name(key)).into_owned();
        let length = action.value().map_or(0, Bytes::len);
        let line = match action {
            Action::Set(_) => format!("set {name} 0 {length}"),
            Action::SetFor(exptime, _) => format!("set {name} {exptime} {length}"),
            Action::Add(_) => format!("add {name} 0 {length}"),
            Action::Cas(version, _) => format!("cas {name} 0 {version} {length}"),
            Action::Delete => format!("delete {name}"),
            Action::Get => format!("getm {name}"),
            Action::GetBare => format!("get {name}"),
            Action::Scan { limit, after } => {
                let prefix = String::from_utf8_lossy(&self.subject(key, action)).into_owned();
                let prefix = if prefix.is_empty() { "*".to_owned() } else { prefix };
                let after = after.as_ref().map(|key| String::from_utf8_lossy(key));
                let after = after.map_or(String::new(), |key| format!(" after {key}"));
                format!("scan {prefix} {limit}{after}")
            }
        };
        let mut command = format!("{line}\r\n").into_bytes();
        if let Some(value) = action.value() {
            command.extend_from_slice(value);
            command.extend_from_slice(b"\r\n");
        }
        command
    }
}
