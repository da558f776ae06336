//! Random logs of format 4, applied to the store and to a reference that is too simple to be wrong:
//! it keeps the whole state of every revision, and the whole outcome of every client.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use crate::kv::record::NewRecord;
use crate::kv::weight::weight_bytes;
use crate::kv::{
    Answer, CLIENT_SILENCE_MS, Command, Compare, CompareTarget, FailedCompare, KeyRange, Once,
    Operation, OperationOutcome, Outcome, Put, Query, RangeAnswer, RangeQuery, Record, Relation,
    Scrub, ScrubBudget, Store, StoreLoader, Transaction, TransactionLimits, TransactionOperation,
    TransactionOutcome,
};
use crate::testing::store_model::{entry, noop};
use crate::types::{Entry, Format, FormatInForce, LogIndex, Payload, Term};

type Keys = BTreeMap<Bytes, Record>;

/// The bounds of a scrub that walks over all.
const BUDGET: ScrubBudget = ScrubBudget { records: u64::MAX, bytes: u64::MAX };

/// The rules of the model, each written down once and in the plainest way.
#[derive(Clone, Default)]
struct Reference {
    revision: u64,
    clock_ms: u64,
    /// The keys, with those of leases that are due and have not ended.
    keys: Keys,
    /// The deadline and the time to live of each lease.
    leases: BTreeMap<u64, (u64, u64)>,
    /// True when the present entry has changed a key.
    has_changed: bool,
    /// The keys that were visible at each revision.
    states: BTreeMap<u64, Keys>,
    /// The last command of each client, with the outcome.
    clients: BTreeMap<Bytes, (u64, Operation, Outcome, u64)>,
}

impl Reference {
    fn apply(&mut self, entry: &Entry) -> Option<Outcome> {
        if let Payload::Format(_) = entry.payload {
            self.revision = 1;
            self.states.insert(1, Keys::new());
        }
        self.clock_ms = self.clock_ms.max(entry.stamp_ms);
        let now = self.clock_ms;
        self.clients.retain(|_, client| client.3 + CLIENT_SILENCE_MS > now);
        self.has_changed = false;
        let stored = self.keys.len();
        self.keys.retain(|_, record| record.deadline_ms.is_none_or(|ms| ms > now));
        self.has_changed |= self.keys.len() < stored;
        // One lease with keys ends an entry; those of the others that are due are hidden.
        let mut has_ended = false;
        while let Some((_, id)) = self.due_leases().first().copied() {
            let has_keys = self.keys.values().any(|record| record.lease == id);
            if has_keys && has_ended {
                break;
            }
            has_ended |= has_keys;
            self.end_lease(id);
        }
        let outcome = match &entry.payload {
            Payload::Command(bytes) => {
                let command = Command::decode(bytes, Format(4)).unwrap();
                Some(self.execute_once(&command))
            }
            _ => None,
        };
        if self.has_changed {
            self.revision += 1;
            let visible = self.visible();
            self.states.insert(self.revision, visible);
        }
        outcome
    }

    fn due_leases(&self) -> Vec<(u64, u64)> {
        let due = self.leases.iter().filter(|(_, (deadline, _))| *deadline <= self.clock_ms);
        let mut due: Vec<_> = due.map(|(id, (deadline, _))| (*deadline, *id)).collect();
        due.sort_unstable();
        due
    }

    fn end_lease(&mut self, id: u64) {
        self.leases.remove(&id);
        let stored = self.keys.len();
        self.keys.retain(|_, record| record.lease != id);
        self.has_changed |= self.keys.len() < stored;
    }

    fn has_lease(&self, id: u64) -> bool {
        self.leases.get(&id).is_some_and(|(deadline, _)| *deadline > self.clock_ms)
    }

    fn visible(&self) -> Keys {
        let is_visible = |record: &Record| record.lease == 0 || self.has_lease(record.lease);
        let visible = self.keys.iter().filter(|(_, record)| is_visible(record));
        visible.map(|(key, record)| (key.clone(), record.clone())).collect()
    }

    fn get(&self, key: &Bytes) -> Option<Record> {
        self.visible().get(key).cloned()
    }

    fn bytes(&self) -> u64 {
        self.visible().iter().map(|(key, record)| weight_bytes(key, record.value())).sum()
    }

    fn execute_once(&mut self, command: &Command) -> Outcome {
        let now = self.clock_ms;
        let Some(once) = &command.once else { return self.execute(command) };
        if let Some(client) = self.clients.get_mut(&once.client) {
            client.3 = now;
            if once.seq < client.0 {
                return Outcome::Stale;
            }
            if once.seq == client.0 {
                return if client.1 == command.operation {
                    client.2.clone()
                } else {
                    without_reads(&client.2)
                };
            }
        }
        let outcome = self.execute(command);
        if outcome != Outcome::Full {
            let client = (once.seq, command.operation.clone(), outcome.clone(), now);
            self.clients.insert(once.client.clone(), client);
        }
        outcome
    }

    fn execute(&mut self, command: &Command) -> Outcome {
        let before = self.clone();
        let (bytes, limit) = (self.bytes(), command.store_bytes_max);
        let outcome = self.execute_without_limit(&command.operation);
        let is_over = limit != 0 && self.bytes() > limit && self.bytes() > bytes;
        match outcome {
            Ok(_) if is_over => {
                *self = before;
                Outcome::Full
            }
            Ok(outcome) => outcome,
            Err(outcome) => {
                *self = before;
                outcome
            }
        }
    }

    /// The outcome; an error executes nothing.
    fn execute_without_limit(&mut self, operation: &Operation) -> Result<Outcome, Outcome> {
        let version =
            |reference: &Reference, key| reference.get(key).map_or(0, |record| record.mod_revision);
        match operation {
            Operation::Set { key, exptime, value, lease } => {
                self.write(key, value, *exptime, *lease)
            }
            Operation::Add { key, exptime, value, lease } => match version(self, key) {
                0 => self.write(key, value, *exptime, *lease),
                version => Err(Outcome::Exists { version }),
            },
            Operation::Cas { key, exptime, version: expected, value, lease } => {
                match version(self, key) {
                    version if version == *expected => self.write(key, value, *exptime, *lease),
                    version => Err(Outcome::VersionMismatch { version }),
                }
            }
            Operation::Delete { key } => match self.remove(key) {
                Some(_) => Ok(Outcome::Deleted),
                None => Err(Outcome::NotFound),
            },
            Operation::Transaction(transaction) => Ok(self.transact(transaction)?.into()),
            Operation::Grant { id, .. } if self.has_lease(*id) => Err(Outcome::LeaseExists),
            Operation::Grant { id, ttl, leases_max } => {
                let leases = self.leases.keys().filter(|id| self.has_lease(**id)).count();
                if leases as u64 >= *leases_max {
                    return Err(Outcome::Full);
                }
                // A lease with this id that is due ends before.
                self.end_lease(*id);
                self.leases.insert(*id, (self.clock_ms + ttl * 1000, *ttl));
                Ok(Outcome::Granted { id: *id, ttl: *ttl })
            }
            Operation::Renew { ids } => {
                let renewed = ids.iter().map(|id| {
                    let is_there = self.has_lease(*id);
                    let lease = self.leases.get_mut(id).filter(|_| is_there)?;
                    lease.0 = self.clock_ms + lease.1 * 1000;
                    Some(lease.1)
                });
                Ok(Outcome::Renewed(renewed.collect()))
            }
            Operation::Revoke { id } if self.has_lease(*id) => {
                self.end_lease(*id);
                Ok(Outcome::Revoked)
            }
            Operation::Revoke { .. } => Err(Outcome::NoLease),
            other => panic!("no command of these logs: {other:?}"),
        }
    }

    fn write(
        &mut self,
        key: &Bytes,
        value: &Bytes,
        exptime: u64,
        lease: u64,
    ) -> Result<Outcome, Outcome> {
        if lease != 0 && !self.has_lease(lease) {
            return Err(Outcome::NoLease);
        }
        self.put(key, value, exptime, lease);
        Ok(Outcome::Stored { version: self.revision + 1 })
    }

    fn put(&mut self, key: &Bytes, value: &Bytes, exptime: u64, lease: u64) {
        let mod_revision = self.revision + 1;
        let (create_revision, version) = match self.get(key) {
            Some(record) => (record.create_revision, record.version + 1),
            None => (mod_revision, 1),
        };
        let deadline_ms = (exptime > 0).then_some(self.clock_ms + exptime * 1000);
        let (value, change) = (&value[..], 0);
        let new =
            NewRecord { value, create_revision, mod_revision, version, lease, deadline_ms, change };
        self.keys.insert(key.clone(), plain_record(&new.record(key)));
        self.has_changed = true;
    }

    fn remove(&mut self, key: &Bytes) -> Option<Record> {
        let removed = self.get(key)?;
        self.keys.remove(key);
        self.has_changed = true;
        Some(removed)
    }

    fn transact(&mut self, transaction: &Transaction) -> Result<TransactionOutcome, Outcome> {
        let failed = transaction.compares.iter().find_map(|compare| self.failed(compare));
        let branch = if failed.is_none() { &transaction.then } else { &transaction.otherwise };
        let mut operations = Vec::new();
        // A refusal of any operation refuses all; those that are not nested come first.
        for operation in branch {
            match operation {
                TransactionOperation::Put(put) => {
                    let keeps = put.value.is_none() || put.lease.is_none();
                    if keeps && self.get(&put.key).is_none() {
                        return Err(Outcome::NoKey);
                    }
                    if put.lease.is_some_and(|lease| lease != 0 && !self.has_lease(lease)) {
                        return Err(Outcome::NoLease);
                    }
                }
                TransactionOperation::Read(query) if query.at > self.revision => {
                    return Err(Outcome::Future { revision: self.revision });
                }
                _ => {}
            }
        }
        for operation in branch {
            operations.push(self.operation(operation)?);
        }
        let revision = self.revision + u64::from(self.has_changed);
        Ok(TransactionOutcome { revision, clock_ms: self.clock_ms, failed, operations })
    }

    fn operation(&mut self, operation: &TransactionOperation) -> Result<OperationOutcome, Outcome> {
        Ok(match operation {
            TransactionOperation::Put(put) => {
                let previous = self.get(&put.key);
                let old = previous.clone();
                let value = put.value.clone().or(old.as_ref().map(Record::value_bytes));
                let lease = put.lease.or(old.map(|old| old.lease)).unwrap();
                self.put(&put.key, &value.unwrap(), put.exptime, lease);
                let previous = previous.filter(|_| put.wants_previous);
                OperationOutcome::Put { previous }
            }
            TransactionOperation::Delete { keys, wants_previous } => {
                let mut previous = Vec::new();
                for key in self.visible().into_keys().filter(|key| keys.contains(key)) {
                    let record = self.remove(&key).unwrap();
                    previous.push((key, record));
                }
                let deleted = previous.len() as u64;
                if !wants_previous {
                    previous.clear();
                }
                OperationOutcome::Delete { deleted, previous }
            }
            TransactionOperation::Read(query) => {
                let keys = match query.at {
                    0 => self.visible(),
                    at => self.states[&at].clone(),
                };
                OperationOutcome::Read(answer(keys, query))
            }
            TransactionOperation::Nested(nested) => {
                OperationOutcome::Nested(Box::new(self.transact(nested)?))
            }
        })
    }

    fn failed(&self, compare: &Compare) -> Option<FailedCompare> {
        let keys = self.visible();
        let mut found: Vec<_> = keys
            .iter()
            .filter(|(key, _)| compare.keys.contains(key))
            .map(|(k, r)| (k, Some(r)))
            .collect();
        if found.is_empty() {
            found.push((compare.keys.start(), None));
        }
        let holds = |record: Option<&Record>| {
            let order = match (&compare.target, record) {
                (CompareTarget::Value(_), None) => return false,
                (CompareTarget::Value(value), Some(record)) => record.value().cmp(value),
                (CompareTarget::Version(n), record) => record.map_or(0, |r| r.version).cmp(n),
                (CompareTarget::CreateRevision(n), record) => {
                    record.map_or(0, |r| r.create_revision).cmp(n)
                }
                (CompareTarget::ModRevision(n), record) => {
                    record.map_or(0, |r| r.mod_revision).cmp(n)
                }
                (CompareTarget::Lease(n), record) => record.map_or(0, |r| r.lease).cmp(n),
            };
            match compare.relation {
                Relation::Equal => order.is_eq(),
                Relation::NotEqual => order.is_ne(),
                Relation::Less => order.is_lt(),
                Relation::Greater => order.is_gt(),
            }
        };
        let (key, record) = found.into_iter().find(|(_, record)| !holds(*record))?;
        let mod_revision = record.map_or(0, |record| record.mod_revision);
        Some(FailedCompare { key: key.clone(), mod_revision })
    }
}

fn answer(keys: Keys, query: &RangeQuery) -> RangeAnswer {
    let found: Vec<_> = keys.into_iter().filter(|(key, _)| query.keys.contains(key)).collect();
    let count = found.len() as u64;
    let limit = match (query.is_count_only, query.limit) {
        (true, _) => 0,
        (false, 0) => usize::MAX,
        (false, limit) => limit as usize,
    };
    let records = found.into_iter().take(limit);
    RangeAnswer { records: records.collect(), count }
}

/// The outcome as a retry with another command gets it.
fn without_reads(outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Transaction(outcome) => mapped(outcome, &|operation| match operation {
            OperationOutcome::Read(_) => OperationOutcome::Compacted { revision: 1 },
            OperationOutcome::Put { .. } => OperationOutcome::Put { previous: None },
            OperationOutcome::Delete { deleted, .. } => {
                OperationOutcome::Delete { deleted: *deleted, previous: Vec::new() }
            }
            other => other.clone(),
        })
        .into(),
        other => other.clone(),
    }
}

/// The record without what only the store knows of it: its change and its hash.
fn plain_record(record: &Record) -> Record {
    record.with(|head, _| (head.change, head.head, head.hash) = (0, 0, 0))
}

/// The outcome without what only the store knows of a record.
fn plain(outcome: Outcome) -> Outcome {
    let all = |records: &[(Bytes, Record)]| {
        records.iter().map(|(key, record)| (key.clone(), plain_record(record))).collect()
    };
    match outcome {
        Outcome::Transaction(outcome) => mapped(&outcome, &|operation| match operation {
            OperationOutcome::Read(RangeAnswer { records, count }) => {
                OperationOutcome::Read(RangeAnswer { records: all(records), count: *count })
            }
            OperationOutcome::Put { previous } => {
                OperationOutcome::Put { previous: previous.as_ref().map(plain_record) }
            }
            OperationOutcome::Delete { deleted, previous } => {
                OperationOutcome::Delete { deleted: *deleted, previous: all(previous) }
            }
            other => other.clone(),
        })
        .into(),
        other => other,
    }
}

fn mapped(
    outcome: &TransactionOutcome,
    map: &dyn Fn(&OperationOutcome) -> OperationOutcome,
) -> TransactionOutcome {
    let operations = outcome.operations.iter().map(|operation| match operation {
        OperationOutcome::Nested(nested) => OperationOutcome::Nested(Box::new(mapped(nested, map))),
        other => map(other),
    });
    TransactionOutcome { operations: operations.collect(), ..outcome.clone() }
}

fn any_key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["a", "ab", "abc", "b", "c07"]).prop_map(Bytes::from)
}

fn any_value() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["", "1", "22", "a longer value"]).prop_map(Bytes::from)
}

fn any_range() -> impl Strategy<Value = KeyRange> {
    (0..5, any_key(), any_key()).prop_map(|(kind, one, other)| match kind {
        0 | 1 => KeyRange::key(one),
        2 => KeyRange::prefix(one),
        3 => KeyRange::between(one, other),
        _ => KeyRange::from(one),
    })
}

fn any_lease() -> impl Strategy<Value = u64> {
    prop_oneof![1 => Just(0), 3 => 1..4u64]
}

fn any_transaction() -> BoxedStrategy<Transaction> {
    let target = (0..5, 0..40u64, any_value()).prop_map(|(kind, number, value)| match kind {
        0 => CompareTarget::Version(number % 4),
        1 => CompareTarget::CreateRevision(number),
        2 => CompareTarget::ModRevision(number),
        3 => CompareTarget::Value(value),
        _ => CompareTarget::Lease(number % 4),
    });
    let relations = [Relation::Equal, Relation::NotEqual, Relation::Less, Relation::Greater];
    let compare = (any_range(), prop::sample::select(relations.to_vec()), target)
        .prop_map(|(keys, relation, target)| Compare { keys, relation, target });
    let compares = prop::collection::vec(compare, 0..3).boxed();
    let put = (
        any_key(),
        prop::option::weighted(0.8, any_value()),
        prop::option::weighted(0.8, any_lease()),
        0..4u64,
        any::<bool>(),
    )
        .prop_map(|(key, value, lease, exptime, wants_previous)| {
            TransactionOperation::Put(Put { key, value, lease, exptime, wants_previous })
        });
    let delete = (any_range(), any::<bool>())
        .prop_map(|(keys, wants_previous)| TransactionOperation::Delete { keys, wants_previous });
    let at = prop_oneof![3 => Just(0), 1 => 1..20u64];
    let read = (any_range(), 0..3u64, at, prop::bool::weighted(0.2)).prop_map(
        |(keys, limit, at, is_count_only)| {
            TransactionOperation::Read(RangeQuery { keys, limit, at, is_count_only })
        },
    );
    let leaf = prop_oneof![3 => put, 2 => delete, 3 => read].boxed();
    let branch = |operation: BoxedStrategy<TransactionOperation>| {
        prop::collection::vec(operation, 0..4).boxed()
    };
    let transaction = move |operation: BoxedStrategy<TransactionOperation>| {
        let branches = (branch(operation.clone()), branch(operation));
        (compares.clone(), branches)
            .prop_map(|(compares, (then, otherwise))| {
                valid(Transaction { compares, then, otherwise })
            })
            .boxed()
    };
    let nested =
        transaction(leaf.clone()).prop_map(|inner| TransactionOperation::Nested(Box::new(inner)));
    transaction(prop_oneof![5 => leaf, 1 => nested].boxed())
}

/// The transaction without operations that would make it write a key twice.
fn valid(mut transaction: Transaction) -> Transaction {
    while transaction.check(&TransactionLimits::OF_FORMAT).is_err() {
        let longest = if transaction.then.len() > transaction.otherwise.len() {
            &mut transaction.then
        } else {
            &mut transaction.otherwise
        };
        longest.pop();
    }
    transaction
}

/// The writes of more keys with a lease than an entry removes.
fn crowd(lease: u64) -> Operation {
    let put = |place: u64| {
        TransactionOperation::Put(Put {
            key: Bytes::from(format!("c{place:02}")),
            value: Some(Bytes::new()),
            lease: Some(lease),
            exptime: 0,
            wants_previous: false,
        })
    };
    let then = (0..60).map(put).collect();
    Operation::Transaction(Transaction { then, ..Default::default() })
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let write = (0..4, any_key(), any_value(), 0..4u64, 0..30u64, any_lease()).prop_map(
        |(kind, key, value, exptime, version, lease)| match kind {
            0 => Operation::Set { key, exptime, value, lease },
            1 => Operation::Add { key, exptime, value, lease },
            2 => Operation::Cas { key, exptime, version, value, lease },
            _ => Operation::Delete { key },
        },
    );
    prop_oneof![
        6 => write,
        6 => any_transaction().prop_map(Operation::Transaction),
        3 => (1..4u64, 1..5u64, 2..4u64)
            .prop_map(|(id, ttl, leases_max)| Operation::Grant { id, ttl, leases_max }),
        2 => prop::collection::vec(1..4u64, 1..3).prop_map(|ids| Operation::Renew { ids }),
        1 => (1..4u64).prop_map(|id| Operation::Revoke { id }),
        1 => (1..4u64).prop_map(crowd),
    ]
}

/// Generates a log of format 4 whose commands interact. Some commands of clients are retried, some
/// with the number of another command.
fn any_log() -> impl Strategy<Value = Vec<Entry>> {
    let once = prop::option::weighted(0.4, (prop::sample::select(vec!["x", "y"]), 1..30u64));
    let limit = prop::sample::select(vec![0, 0, 0, 3 * 260]);
    let command = (any_operation(), once, limit).prop_map(|(operation, once, store_bytes_max)| {
        let once = once.map(|(client, seq)| Once { client: Bytes::from(client), seq });
        Command { once, store_bytes_max, operation }
    });
    let step = prop_oneof![6 => 0..700u64, 1 => Just(2_500), 1 => Just(CLIENT_SILENCE_MS)];
    let retry = prop::bool::weighted(0.2);
    prop::collection::vec((step, prop::option::weighted(0.9, command), retry), 0..50).prop_map(
        |steps| {
            let mut stamp_ms = 1_000_000;
            let format = Payload::Format(FormatInForce::of(Format(4)));
            let mut log =
                vec![Entry { index: LogIndex(1), term: Term(1), stamp_ms, payload: format }];
            for id in 1..4 {
                let operation = Operation::Grant { id, ttl: 3, leases_max: 9 };
                let grant = Command { once: None, store_bytes_max: 0, operation };
                log.push(entry(log.len() as u64 + 1, stamp_ms, &grant));
            }
            let mut last: Option<Command> = None;
            for (step, command, is_retry) in steps {
                stamp_ms += step;
                let index = log.len() as u64 + 1;
                let command = if is_retry { last.clone().or(command) } else { command };
                log.push(match &command {
                    Some(command) => entry(index, stamp_ms, command),
                    None => noop(index, stamp_ms),
                });
                last = command.filter(|command| command.once.is_some()).or(last);
            }
            log
        },
    )
}

/// The keys of the store, now or at a revision.
fn keys_at(store: &Store, at: u64) -> Keys {
    let query = RangeQuery { keys: KeyRange::all(), limit: 0, at, is_count_only: false };
    let Ok(Answer::Range { answer, .. }) = store.query(&Query::Range(query), 0) else {
        panic!("a range is answered at {at}");
    };
    answer.records.into_iter().map(|(key, record)| (key, plain_record(&record))).collect()
}

fn loaded(store: &Store) -> Store {
    let mut loader = StoreLoader::new();
    for block in store.snapshot_blocks() {
        loader.load(&block.unwrap()).unwrap();
    }
    loader.finish_in(store.format()).unwrap()
}

proptest! {
    #[test]
    fn the_store_does_what_the_reference_does(log in any_log(), loaded_at in 1..50usize) {
        let (mut store, mut reference) = (Store::new(), Reference::default());
        for (place, entry) in log.iter().enumerate() {
            if place == loaded_at {
                // A store that is loaded from a snapshot is the same, and goes on the same.
                let loaded = loaded(&store);
                prop_assert!(loaded == store);
                store = loaded;
            }
            let outcome = store.apply(entry).unwrap().map(plain);
            prop_assert_eq!(outcome, reference.apply(entry), "{:?}", entry);
            prop_assert_eq!(store.revision(), reference.revision);
            prop_assert_eq!(keys_at(&store, 0), reference.visible());
            prop_assert_eq!(store.keys(), reference.visible().len() as u64);
            prop_assert_eq!(store.bytes(), reference.bytes());
            let leases = reference.leases.keys().filter(|id| reference.has_lease(**id));
            prop_assert_eq!(store.status().leases, leases.count() as u64);
            let stored = store.records().recomputed();
            prop_assert_eq!(store.records().stored_bytes(), stored.0);
            store.records().check_leases();
            prop_assert!(matches!(store.scrub(&mut Scrub::default(), BUDGET), Ok(true)));
        }
        for (revision, keys) in &reference.states {
            prop_assert_eq!(&keys_at(&store, *revision), keys, "at {}", revision);
        }
    }
}
