//! The changes of the history as records of blocks, and back.
//!
//! A record of a key that was written by a change that is kept is in the snapshot once: with the
//! key when it is the one that is stored, else with that change. The changes that replaced it name
//! the number of that change.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;

use super::block::Block;
use super::error::SnapshotError;
use super::fields::{ChangeFields, HistoryHead, RecordFields, action};
use crate::commands::HistoryLimits;
use crate::kv::change::{Action, Change, ChangeKind, LeaseEnd};
use crate::kv::changes::Changes;
use crate::kv::corruption::Corruption;
use crate::kv::expiry::Total;
use crate::kv::history::{History, HistoryNumbers};
use crate::kv::key_bytes::KeyBytes;
use crate::kv::record::{NewRecord, Record};
use crate::kv::records::Records;
use crate::kv::store::Store;
use crate::kv::weight::weight_bytes;

/// The numbers of the history, for the head.
pub(super) fn head_of(history: &History) -> HistoryHead {
    let HistoryNumbers { revision, compacted, kept_from, base_ms, limits } = history.numbers();
    HistoryHead {
        revision,
        compacted,
        kept_from,
        base_ms,
        keep_revisions: limits.keep_revisions,
        bytes_max: limits.bytes_max,
        first: history.changes().first(),
        next: history.changes().next(),
        gone: history.gone_len(),
        forgotten: history.forgotten().map(|key| key.to_vec()),
    }
}

/// The changes that wrote the records which the keys have, and which are therefore in the snapshot
/// before all changes: a bit for each change that is kept.
#[derive(Clone, Debug)]
pub(super) struct ChangesOfKeys {
    /// The number of the first change that is kept.
    first: u64,
    bits: Vec<u64>,
}

impl ChangesOfKeys {
    /// None of these changes.
    pub fn among(changes: &Changes) -> ChangesOfKeys {
        let words = usize::try_from(changes.len().div_ceil(64)).expect("the changes are in memory");
        ChangesOfKeys { first: changes.first(), bits: vec![0; words] }
    }

    /// Adds the change with this number, if it is kept.
    pub fn add(&mut self, number: u64) {
        if let Some((word, bit)) = self.place(number) {
            self.bits[word] |= bit;
        }
    }

    fn has(&self, number: u64) -> bool {
        self.place(number).is_some_and(|(word, bit)| self.bits[word] & bit != 0)
    }

    fn place(&self, number: u64) -> Option<(usize, u64)> {
        let nth = number.checked_sub(self.first)?;
        let word = usize::try_from(nth / 64).ok().filter(|word| *word < self.bits.len())?;
        Some((word, 1 << (nth % 64)))
    }
}

/// The place of the next record of the changes.
#[derive(Clone, Debug)]
pub(super) struct ChangePlace {
    /// The number of the change.
    number: u64,
    /// The last key of a begun end of a lease that was written; the empty key,
    /// which no store has, before the first one.
    after: Option<KeyBytes>,
}

impl ChangePlace {
    pub fn first_of(changes: &Changes) -> ChangePlace {
        ChangePlace { number: changes.first(), after: None }
    }

    /// Fills a block with records from this place on. Returns the place after them.
    pub fn write(
        &self,
        store: &Store,
        of_keys: &ChangesOfKeys,
        block: &mut Block,
    ) -> Result<ChangePlace, Corruption> {
        let changes = store.history().changes();
        let mut after = self.after.clone();
        for (number, change) in changes.from(self.number) {
            let next = ChangePlace { number: number + 1, after: None };
            if let Action::LeaseEnd(end) = &change.action {
                if after.is_none() {
                    block.add(&lease_end_fields(change, end));
                    after = Some(KeyBytes::from(&b""[..]));
                }
                for (key, record) in keys_after(end, after.as_ref()) {
                    if block.add(&lease_key_fields(changes, key, record)?) {
                        return Ok(ChangePlace { number, after: Some(key.clone()) });
                    }
                }
                after = None;
            } else if block.add(&change_fields(changes, of_keys, change)?) {
                return Ok(next);
            }
        }
        Ok(ChangePlace { number: changes.next(), after: None })
    }
}

fn keys_after<'a>(
    end: &'a LeaseEnd,
    after: Option<&KeyBytes>,
) -> impl Iterator<Item = (&'a KeyBytes, &'a Record)> + use<'a> {
    let start = after.map_or(Bound::Unbounded, |after| Bound::Excluded(&after[..]));
    end.keys.range::<_, [u8]>((start, Bound::Unbounded))
}

/// A record that was there before a change: the number of the change that wrote it, or itself.
fn previous_fields<'a>(
    changes: &Changes,
    key: &[u8],
    previous: &'a Record,
) -> Result<(u64, Option<RecordFields<'a>>), Corruption> {
    if changes.get(previous.change).is_some() {
        // Its value is verified where it is written, with that change.
        previous.verify_head(key)?;
        return Ok((previous.change, None));
    }
    previous.verify(key)?;
    Ok((0, Some(RecordFields::of(previous))))
}

fn change_fields<'a>(
    changes: &Changes,
    of_keys: &ChangesOfKeys,
    change: &'a Change,
) -> Result<ChangeFields<'a>, Corruption> {
    let Change { revision, at_ms, action } = change;
    let mut fields = ChangeFields {
        action: action::DELETE,
        key: &[],
        revision: *revision,
        at_ms: *at_ms,
        number: 0,
        due_ms: 0,
        record: None,
        written_by: 0,
        previous: None,
    };
    let previous = match action {
        Action::Put { key, record, previous, before } => {
            (fields.action, fields.key, fields.number) = (action::PUT, key, *before);
            if of_keys.has(record.change) {
                record.verify_head(key)?;
            } else {
                record.verify(key)?;
                fields.record = Some(RecordFields::of(record));
            }
            previous.as_ref()
        }
        Action::Delete { key, previous } => {
            fields.key = key;
            Some(previous)
        }
        Action::Expire { key, previous, due_ms } => {
            (fields.action, fields.key, fields.due_ms) = (action::EXPIRE, key, *due_ms);
            Some(previous)
        }
        Action::LeaseEnd(_) => unreachable!("the end of a lease has records of its own"),
    };
    if let Some(previous) = previous {
        (fields.written_by, fields.previous) = previous_fields(changes, fields.key, previous)?;
    }
    Ok(fields)
}

fn lease_end_fields<'a>(change: &Change, end: &LeaseEnd) -> ChangeFields<'a> {
    let is_revoked = end.kind == ChangeKind::Delete;
    ChangeFields {
        action: if is_revoked { action::REVOKED } else { action::LEASE_DUE },
        key: &[],
        revision: change.revision,
        at_ms: change.at_ms,
        number: end.id,
        due_ms: end.due_ms,
        record: None,
        written_by: end.total.names,
        previous: None,
    }
}

fn lease_key_fields<'a>(
    changes: &Changes,
    key: &'a KeyBytes,
    record: &'a Record,
) -> Result<ChangeFields<'a>, Corruption> {
    let (written_by, previous) = previous_fields(changes, key, record)?;
    let action = action::LEASE_KEY;
    let (revision, at_ms, number, due_ms) = (0, 0, 0, 0);
    Ok(ChangeFields {
        action,
        key,
        revision,
        at_ms,
        number,
        due_ms,
        record: None,
        written_by,
        previous,
    })
}

/// The history of a store that is being loaded.
#[derive(Debug)]
pub(super) struct HistoryLoader {
    history: History,
    head: HistoryHead,
    /// The end of a lease whose keys are not all there.
    lease_end: Option<UnfinishedLeaseEnd>,
    last_gone: Vec<u8>,
}

#[derive(Debug)]
struct UnfinishedLeaseEnd {
    revision: u64,
    at_ms: u64,
    end: LeaseEnd,
    /// The number of keys that are still to come.
    missing: u64,
}

type Loaded<T> = Result<T, SnapshotError>;

const WRONG_ORDER: SnapshotError = SnapshotError::Impossible("the changes are not in their order");

impl HistoryLoader {
    pub fn new(head: HistoryHead) -> Loaded<HistoryLoader> {
        let is_possible = head.compacted <= head.revision
            && (head.kept_from == head.compacted || head.kept_from == head.compacted + 1)
            && (1..=head.next).contains(&head.first);
        if !is_possible {
            return Err(SnapshotError::Impossible("the history has impossible numbers"));
        }
        let limits =
            HistoryLimits { keep_revisions: head.keep_revisions, bytes_max: head.bytes_max };
        let numbers = HistoryNumbers {
            revision: head.revision,
            compacted: head.compacted,
            kept_from: head.kept_from,
            base_ms: head.base_ms,
            limits,
        };
        let forgotten = head.forgotten.as_deref().map(KeyBytes::from);
        let history = History::restored(numbers, head.first, forgotten);
        Ok(HistoryLoader { history, head, lease_end: None, last_gone: Vec::new() })
    }

    /// The revision of the store.
    pub fn revision(&self) -> u64 {
        self.head.revision
    }

    /// Adds a record of a block of changes.
    pub fn add(&mut self, records: &Records, fields: &ChangeFields<'_>) -> Loaded<()> {
        if let Some(unfinished) = self.lease_end.take() {
            return self.add_lease_key(unfinished, fields);
        }
        let next = self.history.changes().next();
        let newest = next.checked_sub(1).and_then(|last| self.history.changes().get(last));
        let newest = newest.map_or(0, |change| change.revision);
        if next >= self.head.next || fields.revision < newest || fields.revision > self.revision() {
            return Err(WRONG_ORDER);
        }
        check_unused(fields)?;
        let key = KeyBytes::from(fields.key);
        let action = match fields.action {
            action::PUT => Action::Put {
                record: self.written(records, fields, next)?,
                previous: self.previous(fields)?,
                before: fields.number,
                key,
            },
            action::DELETE => Action::Delete { previous: self.removed(fields)?, key },
            action::EXPIRE => {
                Action::Expire { previous: self.removed(fields)?, due_ms: fields.due_ms, key }
            }
            action::REVOKED | action::LEASE_DUE => return self.begin_lease_end(fields),
            _ => return Err(SnapshotError::Impossible("a change has an unknown action")),
        };
        let (revision, at_ms) = (fields.revision, fields.at_ms);
        self.history.add_change(Change { revision, at_ms, action });
        Ok(())
    }

    /// The record that the change with this number wrote.
    fn written(&self, records: &Records, fields: &ChangeFields<'_>, number: u64) -> Loaded<Record> {
        if let Some(record) = &fields.record {
            return Ok(new_record(fields.key, record));
        }
        let stored = records.stored(fields.key).filter(|record| record.change == number);
        stored.cloned().ok_or(SnapshotError::Impossible("a change wrote a key that is not there"))
    }

    /// The record that was there before a change.
    fn previous(&self, fields: &ChangeFields<'_>) -> Loaded<Option<Record>> {
        if let Some(record) = &fields.previous {
            return Ok(Some(new_record(fields.key, record)));
        }
        if fields.written_by == 0 {
            return Ok(None);
        }
        match self.history.changes().get(fields.written_by).map(|change| &change.action) {
            Some(Action::Put { key, record, .. }) if key[..] == *fields.key => {
                Ok(Some(record.clone()))
            }
            _ => Err(SnapshotError::Impossible("a change replaced a record that is not there")),
        }
    }

    fn removed(&self, fields: &ChangeFields<'_>) -> Loaded<Record> {
        let previous = self.previous(fields)?;
        previous.ok_or(SnapshotError::Impossible("a change removed a key that was not there"))
    }

    fn begin_lease_end(&mut self, fields: &ChangeFields<'_>) -> Loaded<()> {
        let kind = match fields.action {
            action::REVOKED => ChangeKind::Delete,
            _ => ChangeKind::Expire,
        };
        let (id, due_ms, total) = (fields.number, fields.due_ms, Total::default());
        let end = LeaseEnd { id, kind, due_ms, keys: OrdMap::new(), total, hash: 0 };
        let (revision, at_ms, missing) = (fields.revision, fields.at_ms, fields.written_by);
        if missing == 0 {
            return Err(SnapshotError::Impossible("a lease without keys has made a change"));
        }
        self.lease_end = Some(UnfinishedLeaseEnd { revision, at_ms, end, missing });
        Ok(())
    }

    fn add_lease_key(
        &mut self,
        mut unfinished: UnfinishedLeaseEnd,
        fields: &ChangeFields<'_>,
    ) -> Loaded<()> {
        let end = &mut unfinished.end;
        let last = end.keys.get_max().map(|(key, _)| &key[..]);
        if fields.action != action::LEASE_KEY || last.is_some_and(|last| fields.key <= last) {
            return Err(WRONG_ORDER);
        }
        check_unused(fields)?;
        let record = self.removed(fields)?;
        end.total.add(weight_bytes(fields.key, record.value()));
        end.hash = end.hash.wrapping_add(record.hash);
        end.keys.insert(KeyBytes::from(fields.key), record);
        unfinished.missing -= 1;
        if unfinished.missing > 0 {
            self.lease_end = Some(unfinished);
            return Ok(());
        }
        let UnfinishedLeaseEnd { revision, at_ms, end, .. } = unfinished;
        let action = Action::LeaseEnd(Arc::new(end));
        self.history.add_change(Change { revision, at_ms, action });
        Ok(())
    }

    /// Adds a key that is gone.
    pub fn add_gone(&mut self, key: &[u8], number: u64) -> Loaded<()> {
        if key <= &self.last_gone[..] {
            return Err(SnapshotError::Impossible("the keys that are gone are not in their order"));
        }
        let change = self.history.changes().get(number);
        if !change.is_some_and(|change| change.removes(key)) {
            return Err(SnapshotError::Impossible("a key is gone that no change has removed"));
        }
        key.clone_into(&mut self.last_gone);
        self.history.restore_gone(KeyBytes::from(key), number);
        Ok(())
    }

    /// The history, when it is whole.
    pub fn finish(self) -> Loaded<History> {
        let (found, promised) = (self.history.changes().next(), self.head.next);
        if found != promised || self.history.gone_len() != self.head.gone {
            return Err(SnapshotError::IncompleteHistory { found, promised });
        }
        Ok(self.history)
    }
}

/// Checks that the fields which the action does not use are empty, so that a history has one form.
fn check_unused(fields: &ChangeFields<'_>) -> Loaded<()> {
    let ChangeFields { action, key, number, due_ms, record, written_by, previous, .. } = fields;
    let (revision, at_ms) = (fields.revision, fields.at_ms);
    let is_right = match *action {
        action::PUT => *due_ms == 0,
        action::DELETE => (*number, *due_ms) == (0, 0) && record.is_none(),
        action::EXPIRE => *number == 0 && record.is_none(),
        action::LEASE_KEY => [revision, at_ms, *number, *due_ms] == [0; 4] && record.is_none(),
        _ => key.is_empty() && record.is_none() && previous.is_none(),
    };
    let has_two = *written_by > 0 && previous.is_some();
    if is_right && !has_two {
        return Ok(());
    }
    Err(SnapshotError::Impossible("a change has a field that it does not use"))
}

fn new_record(key: &[u8], fields: &RecordFields<'_>) -> Record {
    fields.new_record().record(key)
}

impl<'a> RecordFields<'a> {
    /// The record in the making.
    pub fn new_record(&self) -> NewRecord<'a> {
        NewRecord {
            value: self.value,
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
            version: self.version,
            lease: self.lease,
            deadline_ms: self.deadline_ms,
            change: self.change,
        }
    }
}
