//! The checks after a drill: the history, the stores, the logs.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::PATIENCE;
use super::failure::Failure;
use super::fleet::Fleet;
use super::load::LEDGER;
use super::process::block_on;
use crate::client::{Client, Item, Options, Status};
use crate::testing::simulation::{Action, Answer, Operation, Verdict, check_linearizability};

/// Number of keys of one `scan`.
const PAGE_KEYS: u64 = 1_000;
/// The longest time without an acknowledged write, in milliseconds, is measured in these units.
const NANOS_PER_MS: u64 = 1_000_000;

/// Waits until all servers that run have applied the whole log; then their stores have to be
/// equal. Returns the digest.
///
/// # Errors
/// When they differ.
pub fn check_stores(fleet: &mut Fleet) -> Result<String, Failure> {
    fleet.wait_for_leader()?;
    let statuses = fleet.wait_for("every server to apply the whole log", |fleet| {
        let statuses = fleet.statuses()?;
        let number = |status: &Status, name| status.number(name);
        let last = statuses.values().filter_map(|status| number(status, "last_log_index")).max()?;
        let is_done = |status: &Status| {
            number(status, "last_log_index") == Some(last)
                && number(status, "last_applied") == Some(last)
        };
        statuses.values().all(is_done).then_some(statuses)
    })?;
    for name in ["store_digest", "keys", "store_bytes", "once_clients", "store_clock_ms"] {
        let values: BTreeMap<u64, Option<&str>> =
            statuses.iter().map(|(id, status)| (*id, status.get(name))).collect();
        let first = values.values().next().copied().flatten();
        if first.is_none() || values.values().any(|value| *value != first) {
            return Err(Failure::new(format!("{name} differs between the servers: {values:?}")));
        }
    }
    let digest = statuses.values().next().and_then(|status| status.get("store_digest"));
    Ok(digest.unwrap_or_default().to_owned())
}

/// Waits until all servers show the same id of the cluster; each of them has to have an incarnation
/// of its own. Only servers of format 2 and later show both.
///
/// # Errors
/// When there is no such id, or an incarnation is missing or shared.
pub fn check_identities(fleet: &mut Fleet) -> Result<(), Failure> {
    let statuses = fleet.wait_for("one id of the cluster on all servers", |fleet| {
        let statuses = fleet.statuses()?;
        let ids: BTreeSet<Option<&str>> =
            statuses.values().map(|status| status.get("cluster_id")).collect();
        let is_known = ids.iter().all(|id| id.is_some_and(|id| id != "none"));
        (ids.len() == 1 && is_known).then_some(statuses)
    })?;
    let incarnations: BTreeSet<&str> =
        statuses.values().filter_map(|status| status.get("incarnation")).collect();
    match incarnations.len() == statuses.len() {
        true => Ok(()),
        false => Err(Failure::new(format!("incarnations are missing or equal: {statuses:?}"))),
    }
}

/// Reads all keys.
///
/// # Errors
/// When the cluster does not answer.
pub fn scan_all(servers: Vec<String>) -> Result<Vec<Item>, Failure> {
    let scan = async {
        let options = Options { deadline: PATIENCE, ..Options::default() };
        let mut client = Client::connect(servers, options).await?;
        let mut items: Vec<Item> = Vec::new();
        loop {
            let after = items.last().map(|item| item.key.clone());
            let page = client.scan("", PAGE_KEYS, after.as_deref()).await?;
            items.extend(page.items);
            if !page.more {
                return Ok(items);
            }
        }
    };
    let items: Result<Vec<Item>, crate::client::Error> = block_on(scan);
    items.map_err(|error| Failure::new(format!("the last scan: {error}")))
}

/// Checks a history, after which the store holds `items`: it has to be linearizable, every
/// acknowledged write has to be there, and none may have been executed twice.
///
/// # Errors
/// When the history has such a fault, or cannot be checked.
pub fn check_history(mut history: Vec<Operation>, items: Vec<Item>) -> Result<(), Failure> {
    let end = history.iter().map(|operation| operation.returned).max().unwrap_or_default();
    let mut last: BTreeMap<Bytes, Answer> =
        history.iter().map(|operation| (operation.key.clone(), Answer::NotFound)).collect();
    for item in items {
        let answer = Answer::Value(item.version, Bytes::from(item.value));
        if last.insert(Bytes::from(item.key), answer).is_none() {
            return Err(Failure::new("the store has a key that nobody wrote"));
        }
    }
    check_ledger(&history, &last)?;
    for (key, answer) in last {
        history.push(Operation {
            client: u64::MAX,
            key,
            action: Action::Get,
            invoked: end + 1,
            returned: end + 2,
            answer,
            clock_ms: 0,
            latest_clock_ms: 0,
        });
    }
    check_versions(&history)?;
    match check_linearizability(&history) {
        Verdict::Linearizable => Ok(()),
        Verdict::Violation(reason) => {
            Err(Failure::new(format!("the history is not linearizable: {reason}")))
        }
        Verdict::GivenUp => {
            Err(Failure::new("the history has too many commands without an answer to be checked"))
        }
    }
}

/// Every key that was added and acknowledged is there, at the version that was acknowledged.
fn check_ledger(history: &[Operation], last: &BTreeMap<Bytes, Answer>) -> Result<(), Failure> {
    for operation in history.iter().filter(|operation| is_ledger(operation)) {
        let Some(value) = operation.action.value() else { continue };
        let found = &last[&operation.key];
        let is_right = match &operation.answer {
            Answer::Stored(version) => *found == Answer::Value(*version, value.clone()),
            Answer::Refused => *found == Answer::NotFound,
            Answer::Unknown => true,
            _ => false,
        };
        if !is_right {
            return Err(Failure::new(format!("{operation:?}, and at the end {found:?}")));
        }
    }
    Ok(())
}

/// A write that is executed once has one version, so that no value is seen at two versions.
fn check_versions(history: &[Operation]) -> Result<(), Failure> {
    let mut versions: BTreeMap<&Bytes, u64> = BTreeMap::new();
    for operation in history {
        let (version, value) = match (&operation.answer, operation.action.value()) {
            (Answer::Stored(version), Some(value)) => (*version, value),
            (Answer::Value(version, value), _) => (*version, value),
            _ => continue,
        };
        let known = *versions.entry(value).or_insert(version);
        if known != version {
            return Err(Failure::new(format!(
                "a write was executed twice, at {known} and {version}: {operation:?}"
            )));
        }
    }
    Ok(())
}

/// The longest time without an acknowledged write, in milliseconds, from the beginning of the
/// load to `end`.
pub fn longest_gap_ms(history: &[Operation], end: u64) -> u64 {
    let is_write =
        |operation: &&Operation| matches!(operation.answer, Answer::Stored(_) | Answer::Deleted);
    let mut times: Vec<u64> =
        history.iter().filter(is_write).map(|operation| operation.returned).collect();
    times.extend([0, end]);
    times.sort_unstable();
    let gap = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    gap / NANOS_PER_MS
}

/// The keys that were added once, acknowledged, and are not among `items` with their versions.
pub fn lost_writes(history: &[Operation], items: &[Item]) -> Vec<String> {
    let found: BTreeMap<&[u8], u64> =
        items.iter().map(|item| (item.key.as_slice(), item.version)).collect();
    let mut lost = Vec::new();
    for operation in history.iter().filter(|operation| is_ledger(operation)) {
        let Answer::Stored(version) = operation.answer else { continue };
        if found.get(operation.key.as_ref()) != Some(&version) {
            lost.push(String::from_utf8_lossy(&operation.key).into_owned());
        }
    }
    lost
}

/// Number of commands that have no answer, or were refused after all of their tries.
pub fn count_failed(history: &[Operation]) -> usize {
    let is_failed =
        |operation: &&Operation| matches!(operation.answer, Answer::Unknown | Answer::Refused);
    history.iter().filter(is_failed).count()
}

fn is_ledger(operation: &Operation) -> bool {
    operation.key.starts_with(LEDGER.as_bytes())
}

/// No line of a server's log is an error or a panic.
///
/// # Errors
/// With the first such line.
pub fn check_log(id: u64, log: &str) -> Result<(), Failure> {
    let is_bad = |line: &&str| line.contains(" ERROR ") || line.contains("panicked at");
    match log.lines().find(is_bad) {
        None => Ok(()),
        Some(line) => Err(Failure::new(format!("the log of server {id} has an error: {line}"))),
    }
}

#[cfg(test)]
mod tests;
