//! The commands that a client draws, and what it knows from their answers.

use std::cell::Cell;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::Notify;

use crate::testing::simulation::history::{Action, Answer, Item, unique_value};
use crate::testing::simulation::plan::Plan;

/// The number of keys whose values may get a time to live.
const EXPIRING_KEYS: usize = 2;
/// The longest time to live, in seconds.
const EXPTIME_MAX: u64 = 4;

/// The kinds of commands that a client draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mix {
    All,
    Reads,
    Writes,
}

/// The key that was written last, which all clients know: a client that reads it just
/// after another has written it notices a node that does not know the write.
#[derive(Default)]
pub(super) struct HotKey {
    key: Cell<usize>,
    pub(super) announced: Notify,
}

impl HotKey {
    /// Announces that a write of this key was acknowledged.
    pub(super) fn announce(&self, key: usize) {
        self.key.set(key);
        self.announced.notify_waiters();
    }
}

/// The state of a client's workload.
pub(super) struct WorkloadState {
    number: u64,
    mix: Mix,
    lasting_keys: usize,
    writes: u64,
    /// The last version of each key that it knows.
    versions: Vec<u64>,
    /// The last key in the last page of a scan, if there are more.
    after: Option<Bytes>,
}

impl WorkloadState {
    pub(super) fn new(plan: &Plan, number: u64, mix: Mix) -> WorkloadState {
        let lasting_keys = plan.clients.keys as usize;
        let versions = vec![0; lasting_keys + EXPIRING_KEYS + 1];
        WorkloadState { number, mix, lasting_keys, writes: 0, versions, after: None }
    }

    /// The key with the long value, which is never drawn.
    pub(super) fn big_key(&self) -> usize {
        self.lasting_keys + EXPIRING_KEYS
    }

    /// A key that may expire.
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

    /// The key of a command in the history: for a scan its prefix.
    pub(super) fn subject(&self, key: usize, action: &Action) -> Bytes {
        match action {
            Action::Scan { .. } if key == self.big_key() => Bytes::new(),
            Action::Scan { .. } => self.key_name(key).slice(..1),
            _ => self.key_name(key),
        }
    }

    /// A value that no other command writes.
    pub(super) fn new_value(&mut self) -> Bytes {
        self.writes += 1;
        unique_value(self.number, self.writes)
    }

    /// Draws the next command, often for the hot key.
    pub(super) fn draw(&mut self, hot_key: &HotKey, rng: &mut StdRng) -> (usize, Action) {
        let key = match rng.random_bool(0.4) {
            true => hot_key.key.get(),
            false => rng.random_range(0..self.lasting_keys + EXPIRING_KEYS),
        };
        let is_write = match self.mix {
            Mix::All => rng.random_bool(0.5),
            Mix::Reads => false,
            Mix::Writes => true,
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

    /// Learns from an answer.
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

    /// The bytes of a command.
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
