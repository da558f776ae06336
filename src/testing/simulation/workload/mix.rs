//! The commands that a client draws, and what it knows from their answers.

use std::cell::Cell;

use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::Notify;

use super::lines::lease_name;
use crate::testing::simulation::history::{Action, Answer, Item, Part, unique_value};
use crate::testing::simulation::model_plan::{ModelPlan, Often};
use crate::testing::simulation::plan::Plan;

/// The number of keys whose values may get a time to live.
const EXPIRING_KEYS: usize = 2;
/// The longest time to live, in seconds.
const EXPTIME_MAX: u64 = 4;
/// The number of keys whose values may go with a lease.
const LEASED_KEYS: usize = 2;
/// The number of leases that all clients share: their ids are used again and again.
const LEASES: u64 = 3;
/// Maximum number of keys of a transaction.
const TRANSACTION_KEYS_MAX: usize = 4;
/// Maximum size of a value that a transaction writes: four of them fit its limit.
const SHORT_VALUE_BYTES_MAX: usize = 230;
/// The probability of the commands that a plan has seldom, or often.
const SELDOM: f64 = 0.05;
const OFTEN: f64 = 0.25;

/// The kinds of commands that a client draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mix {
    All,
    Reads,
    Writes,
}

impl Often {
    fn probability(self) -> f64 {
        match self {
            Often::Never => 0.0,
            Often::Seldom => SELDOM,
            Often::Often => OFTEN,
        }
    }
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
    model: ModelPlan,
}

impl WorkloadState {
    pub(super) fn new(plan: &Plan, number: u64, mix: Mix) -> WorkloadState {
        let lasting_keys = plan.clients.keys as usize;
        let versions = vec![0; lasting_keys + EXPIRING_KEYS + 1 + LEASED_KEYS];
        let model = plan.clients.model;
        WorkloadState { number, mix, lasting_keys, writes: 0, versions, after: None, model }
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
            Some(number) if number > EXPIRING_KEYS => format!("h{}", number - EXPIRING_KEYS).into(),
            Some(number) => format!("t{number}").into(),
        }
    }

    /// The key of a command in the history: for a scan its prefix.
    pub(super) fn subject(&self, key: usize, action: &Action) -> Bytes {
        match action {
            Action::Scan { .. } if key == self.big_key() => Bytes::new(),
            Action::Scan { .. } => self.key_name(key).slice(..1),
            Action::Grant(_) | Action::Renew | Action::Revoke => lease_name(lease_id(key)),
            Action::Compact(_) => Bytes::from_static(b"history"),
            _ => self.key_name(key),
        }
    }

    /// The number of the key with this name.
    fn key_of(&self, name: &[u8]) -> Option<usize> {
        (0..self.versions.len()).find(|key| self.key_name(*key) == name)
    }

    /// A key that may go with a lease.
    pub(super) fn leased_key(&self) -> usize {
        self.big_key() + 1
    }

    /// A value that no other command writes.
    pub(super) fn new_value(&mut self) -> Bytes {
        self.writes += 1;
        unique_value(self.number, self.writes)
    }

    /// A value that no other command writes, and of which a transaction has room for several.
    fn new_short_value(&mut self) -> Bytes {
        loop {
            let value = self.new_value();
            if value.len() <= SHORT_VALUE_BYTES_MAX {
                return value;
            }
        }
    }

    /// Draws the next command, often for the hot key.
    pub(super) fn draw(&mut self, hot_key: &HotKey, rng: &mut StdRng) -> (usize, Action) {
        if rng.random_bool(self.model.leases.probability()) {
            return self.draw_of_leases(rng);
        }
        if self.mix != Mix::Reads && rng.random_bool(self.model.compactions.probability() / 8.0) {
            let newest = self.versions.iter().max().copied().unwrap_or(0);
            return (0, Action::Compact(newest.saturating_sub(rng.random_range(0..20)).max(1)));
        }
        let key = match rng.random_bool(0.4) {
            true => hot_key.key.get(),
            false => rng.random_range(0..self.lasting_keys + EXPIRING_KEYS),
        };
        let is_write = match self.mix {
            Mix::All => rng.random_bool(0.5),
            Mix::Reads => false,
            Mix::Writes => true,
        };
        if rng.random_bool(self.model.transactions.probability()) {
            return (key, self.draw_transaction(key, is_write, rng));
        }
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

    /// Draws a command about a lease, or about a key that may go with one.
    fn draw_of_leases(&mut self, rng: &mut StdRng) -> (usize, Action) {
        let key = self.leased_key() + rng.random_range(0..LEASED_KEYS);
        if self.mix == Mix::Reads {
            return (key, Action::Get);
        }
        let lease = rng.random_range(0..LEASES);
        match rng.random_range(0..20) {
            0..3 => (lease as usize, Action::Grant(rng.random_range(1..=EXPTIME_MAX))),
            3..6 => (lease as usize, Action::Renew),
            6 => (lease as usize, Action::Revoke),
            7..13 => (key, Action::SetLeased(lease_id(lease as usize), self.new_value())),
            13 => (key, Action::Set(self.new_value())),
            14 => (key, Action::Delete),
            _ => (key, Action::Get),
        }
    }

    /// Draws a transaction over this key and others. One that writes has a `set` at least, so that
    /// its value tells whether it was executed.
    fn draw_transaction(&mut self, first: usize, is_write: bool, rng: &mut StdRng) -> Action {
        let mut keys: Vec<usize> = (0..self.lasting_keys + EXPIRING_KEYS).collect();
        // The hot key may be one that no transaction has.
        keys.swap(0, first % (self.lasting_keys + EXPIRING_KEYS));
        let count = rng.random_range(2..=TRANSACTION_KEYS_MAX.min(keys.len()));
        for place in 1..count {
            keys.swap(place, rng.random_range(place..self.lasting_keys + EXPIRING_KEYS));
        }
        let (mut checks, mut parts) = (Vec::new(), Vec::new());
        for (place, key) in keys.into_iter().take(count).enumerate() {
            let name = self.key_name(key);
            if rng.random_bool(0.3) {
                checks.push(Part::Check(name.clone(), self.versions[key]));
            }
            if rng.random_bool(0.2) {
                parts.push(Part::Get(name.clone()));
            }
            let kind = if is_write { rng.random_range(0..10) } else { 9 };
            parts.push(match kind {
                0..5 => self.draw_set(key, rng),
                _ if is_write && place == 0 => self.draw_set(key, rng),
                5..7 => Part::Delete(name.clone()),
                _ => Part::Get(name.clone()),
            });
            if rng.random_bool(0.2) {
                parts.push(Part::Get(name));
            }
        }
        // All checks are judged first, wherever they stand.
        if rng.random_bool(0.5) {
            parts.append(&mut checks);
        }
        checks.append(&mut parts);
        Action::Transaction(checks)
    }

    fn draw_set(&mut self, key: usize, rng: &mut StdRng) -> Part {
        let may_expire = key >= self.lasting_keys && rng.random_bool(0.7);
        let exptime = if may_expire { rng.random_range(1..=EXPTIME_MAX) } else { 0 };
        Part::Set(self.key_name(key), exptime, self.new_short_value())
    }

    fn draw_scan(&mut self, key: usize, rng: &mut StdRng) -> (usize, Action) {
        let key = if rng.random_bool(0.5) { self.big_key() } else { key };
        let limit = rng.random_range(1..=6);
        (key, Action::Scan { limit, after: self.after.take() })
    }

    /// Learns from an answer.
    pub(super) fn learn(&mut self, key: usize, action: &Action, answer: &Answer) {
        if let Answer::Page(items, more) = answer {
            self.after = items.last().filter(|_| *more).map(|item| item.key.clone());
            return;
        }
        for (name, version) in shown_versions(&self.subject(key, action), action, answer) {
            if let Some(key) = self.key_of(&name) {
                self.versions[key] = version;
            }
        }
    }

    /// The bytes of a command.
    pub(super) fn command(&self, key: usize, action: &Action) -> Vec<u8> {
        let subject = self.key_name(key);
        let name = String::from_utf8_lossy(&subject);
        let line = match action {
            Action::Set(value) => return set(&subject, 0, value, ""),
            Action::SetFor(exptime, value) => return set(&subject, *exptime, value, ""),
            Action::SetLeased(lease, value) => {
                return set(&subject, 0, value, &format!(" lease {lease}"));
            }
            Action::Add(value) => return with_block(&format!("add {name} 0"), value, ""),
            Action::Cas(version, value) => {
                return with_block(&format!("cas {name} 0 {version}"), value, "");
            }
            Action::Transaction(_) => "commit".to_owned(),
            Action::Delete => format!("delete {name}"),
            Action::Get => format!("getm {name}"),
            Action::GetBare => format!("get {name}"),
            Action::Grant(seconds) => format!("grant {seconds} {}", lease_id(key)),
            Action::Renew => format!("renew {}", lease_id(key)),
            Action::Revoke => format!("revoke {}", lease_id(key)),
            Action::Compact(revision) => format!("compact {revision}"),
            Action::Scan { limit, after } => {
                let prefix = String::from_utf8_lossy(&self.subject(key, action)).into_owned();
                let prefix = if prefix.is_empty() { "*".to_owned() } else { prefix };
                let after = after.as_ref().map(|key| String::from_utf8_lossy(key));
                let after = after.map_or(String::new(), |key| format!(" after {key}"));
                format!("scan {prefix} {limit}{after}")
            }
        };
        format!("{line}\r\n").into_bytes()
    }
}

/// The bytes that come before a command: of a transaction all but `commit`.
pub(super) fn introduction(action: &Action) -> Vec<u8> {
    let Action::Transaction(parts) = action else { return Vec::new() };
    let mut bytes = b"begin\r\n".to_vec();
    for part in parts {
        let name = String::from_utf8_lossy(part.key());
        bytes.extend(match part {
            Part::Check(_, version) => format!("check {name} {version}\r\n").into_bytes(),
            Part::Set(key, exptime, value) => set(key, *exptime, value, ""),
            Part::Delete(_) => format!("delete {name}\r\n").into_bytes(),
            Part::Get(_) => format!("getm {name}\r\n").into_bytes(),
        });
    }
    bytes
}

fn set(key: &[u8], exptime: u64, value: &[u8], rest: &str) -> Vec<u8> {
    with_block(&format!("set {} {exptime}", String::from_utf8_lossy(key)), value, rest)
}

fn with_block(line: &str, value: &[u8], rest: &str) -> Vec<u8> {
    let line = format!("{line} {}{rest}\r\n", value.len());
    [line.as_bytes(), value, b"\r\n"].concat()
}

/// The id of a lease by its number.
pub(super) fn lease_id(number: usize) -> u64 {
    7_001 + number as u64 % LEASES
}

/// The versions that an answer shows, each with its key; 0 for one that is absent.
pub(super) fn shown_versions(key: &Bytes, action: &Action, answer: &Answer) -> Vec<(Bytes, u64)> {
    let version = match answer {
        Answer::Stored(version)
        | Answer::Mismatch(version)
        | Answer::Exists(version)
        | Answer::Value(version, _)
        | Answer::Expiring(Item { version, .. }) => *version,
        Answer::Deleted | Answer::NotFound => 0,
        Answer::Aborted(key, version) => return vec![(key.clone(), *version)],
        Answer::Committed(_, answers) => {
            let parts = action.parts().iter().filter(|part| part.has_reply());
            let shown = parts.zip(answers);
            return shown.flat_map(|(part, to)| shown_versions(part.key(), action, to)).collect();
        }
        _ => return Vec::new(),
    };
    vec![(key.clone(), version)]
}
