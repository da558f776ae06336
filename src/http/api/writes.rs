//! Writes with a compare: `/put` and `/delete`. Each is one transaction, which writes the key if it
//! has the revision that the page saw, and reads it otherwise: so a conflict is answered with the
//! key of the same moment.

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::{Value, json};

use super::console::Api;
use super::error::ApiError;
use super::keys::{check_key, of_key, other_answer};
use super::parameters::{self, NUMBER_MAX};
use crate::actors::messages::clients::ClientReply;
use crate::kv::{
    Command, Compare, CompareTarget, KeyRange, LEASE_ID_MAX, Operation, OperationOutcome, Outcome,
    Page, Put, RangeQuery, Relation, Transaction, TransactionOperation, TransactionOutcome,
};
use crate::protocol::ClientRequest;

/// The longest time to live in seconds: 100 years.
const EXPIRES_S_MAX: u64 = 3_153_600_000;

/// `/put`.
pub(super) async fn put(api: &Api, body: &Value) -> Result<Value, ApiError> {
    let key = key(api, body)?;
    let value = parameters::bytes(body, "value")?;
    let (length, bytes_max) = (value.len(), api.settings.value_bytes_max);
    if length > bytes_max {
        let text = format!("The value has {length} bytes; it must have at most {bytes_max}.");
        return Err(ApiError::too_large(text));
    }
    let mod_revision = parameters::number(body, "mod_revision", 0..=NUMBER_MAX)?;
    let exptime = parameters::number(body, "expires_s", 0..=EXPIRES_S_MAX)?;
    let lease = lease(body)?;
    let write = TransactionOperation::Put(Put {
        key: key.clone(),
        value: Some(value),
        lease: Some(lease),
        exptime,
        wants_previous: false,
    });
    let outcome = execute(api, &key, mod_revision, write).await?;
    Ok(conflict(&key, &outcome)
        .unwrap_or_else(|| json!({"revision": outcome.revision, "mod_revision": outcome.revision})))
}

/// `/delete`.
pub(super) async fn delete(api: &Api, body: &Value) -> Result<Value, ApiError> {
    let key = key(api, body)?;
    let mod_revision = parameters::number(body, "mod_revision", 1..=NUMBER_MAX)?;
    let keys = KeyRange::key(key.clone());
    let write = TransactionOperation::Delete { keys, wants_previous: false };
    let outcome = execute(api, &key, mod_revision, write).await?;
    let deleted = || json!({"revision": outcome.revision});
    Ok(conflict(&key, &outcome).unwrap_or_else(deleted))
}

fn key(api: &Api, body: &Value) -> Result<Bytes, ApiError> {
    let key = parameters::bytes(body, "key")?;
    check_key(&key)?;
    let (length, bytes_max) = (key.len(), api.settings.key_bytes_max);
    if length > bytes_max {
        let text = format!("The key has {length} bytes; it must have at most {bytes_max}.");
        return Err(ApiError::too_large(text));
    }
    Ok(key)
}

fn lease(body: &Value) -> Result<u64, ApiError> {
    let error =
        || ApiError::bad_request("lease has to be null, or the id of a lease as a text of digits.");
    match &body["lease"] {
        Value::Null => Ok(0),
        Value::String(id) => {
            id.parse().ok().filter(|id| (1..=LEASE_ID_MAX).contains(id)).ok_or_else(error)
        }
        _ => Err(error()),
    }
}

async fn execute(
    api: &Api,
    key: &Bytes,
    mod_revision: u64,
    write: TransactionOperation,
) -> Result<Arc<TransactionOutcome>, ApiError> {
    let keys = KeyRange::key(key.clone());
    let target = CompareTarget::ModRevision(mod_revision);
    let compare = Compare { keys: keys.clone(), relation: Relation::Equal, target };
    let read = RangeQuery { keys, limit: 1, at: 0, is_count_only: false };
    let transaction = Transaction {
        compares: vec![compare],
        then: vec![write],
        otherwise: vec![TransactionOperation::Read(read)],
    };
    let command = Command {
        once: None,
        store_bytes_max: api.settings.store_bytes_max,
        operation: Operation::Transaction(transaction),
    };
    let reply = api.ask(ClientRequest::WriteAnywhere(command.encode())).await;
    match reply.map_err(ApiError::of_write)? {
        ClientReply::Outcome(outcome) => decided(outcome),
        ClientReply::NotYet(sentence) => Err(ApiError::not_yet(sentence)),
        ClientReply::Refused(refusal) => Err(ApiError::from(refusal).of_write()),
        ClientReply::TimedOut => Err(ApiError::timeout().of_write()),
        _ => Err(other_answer().of_write()),
    }
}

/// The outcome of the transaction, if it was executed.
fn decided(outcome: Outcome) -> Result<Arc<TransactionOutcome>, ApiError> {
    match outcome {
        Outcome::Transaction(outcome) => Ok(outcome),
        Outcome::NoLease => {
            let text = "There is no such lease, or no longer.";
            Err(ApiError::new(StatusCode::CONFLICT, "no_lease", text))
        }
        Outcome::Full => {
            let text = "The store is at its limit, store_bytes_max: delete something first.";
            Err(ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "full", text))
        }
        Outcome::Busy => Err(ApiError::busy()),
        _ => Err(other_answer().of_write()),
    }
}

/// The key as it is, if it was not as the page saw it.
fn conflict(key: &Bytes, outcome: &TransactionOutcome) -> Option<Value> {
    outcome.failed.as_ref()?;
    let records = outcome.operations.iter().find_map(|operation| match operation {
        OperationOutcome::Read(answer) => Some(answer.records.clone()),
        _ => None,
    });
    let (revision, clock_ms) = (outcome.revision, outcome.clock_ms);
    let page = Page { revision, clock_ms, records: records.unwrap_or_default(), more: false };
    Some(json!({"conflict": of_key(key, &page)}))
}
