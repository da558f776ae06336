//! Reads of the store: `/keys`, `/key` and `/revisions`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::console::Api;
use super::error::ApiError;
use super::parameters::{NUMBER_MAX, Parameters, base64};
use crate::actors::messages::clients::ClientReply;
use crate::kv::{
    Answer, ChangeKind, KEY_BYTES_MAX, KeyRange, Page, PageQuery, Query, Record, Version, Versions,
    VersionsQuery,
};
use crate::protocol::ClientRequest;

/// Size in bytes of the beginning of a value in a list.
const PREVIEW_BYTES: usize = 256;
/// Maximum size of a value in bytes.
const VALUE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// `/keys`: a page of the keys with a prefix.
pub(super) async fn list(api: &Api, query: &Parameters) -> Result<Value, ApiError> {
    let limit = query.number("limit", 1..=200)?.unwrap_or(100);
    let prefix = query.bytes("prefix")?.unwrap_or_default();
    let after = query.bytes("after")?;
    let keys = KeyRange::prefix(prefix);
    let page = page(api, query, PageQuery { keys, after, limit, at: 0 }).await?;
    let clock_ms = page.clock_ms;
    let keys = page.records.iter().map(|(key, record)| {
        let mut item = numbers(record, clock_ms);
        item["key"] = base64(key).into();
        item["create_revision"] = record.create_revision.into();
        item["value"] = beginning(record.value(), PREVIEW_BYTES);
        item
    });
    let keys: Vec<Value> = keys.collect();
    Ok(json!({"revision": page.revision, "keys": keys, "more": page.more}))
}

/// `/key`: one key, as it is or as it was.
pub(super) async fn get(api: &Api, query: &Parameters) -> Result<Value, ApiError> {
    let key = key(query)?;
    let keys = KeyRange::key(key.clone());
    let found = page(api, query, PageQuery { keys, after: None, limit: 1, at: 0 }).await?;
    Ok(of_key(&key, &found))
}

/// `/revisions`: the versions of a key that are kept.
pub(super) async fn versions(api: &Api, query: &Parameters) -> Result<Value, ApiError> {
    let key = key(query)?;
    let before = query.number("before", 1..=NUMBER_MAX)?;
    let limit = query.number("limit", 1..=100)?.unwrap_or(50);
    let query = Query::Versions(VersionsQuery { key, before, limit });
    let reply = api.ask(ClientRequest::ReadApplied(query)).await?;
    let Answer::Versions(found) = answer(reply)? else { return Err(other_answer()) };
    let Versions { revision, compacted, clock_ms, versions, more } = found;
    let versions: Vec<Value> =
        versions.iter().map(|version| of_version(version, clock_ms)).collect();
    Ok(json!({
        "revision": revision, "compacted_revision": compacted, "revisions": versions, "more": more
    }))
}

/// A key as `/key` gives it.
pub(super) fn of_key(key: &Bytes, found: &Page) -> Value {
    let Some((_, record)) = found.records.first() else {
        return json!({
            "revision": found.revision, "key": base64(key), "found": false, "create_revision": 0,
            "mod_revision": 0, "version": 0, "lease": null, "expires_s": 0, "value_bytes": 0,
            "value": null, "truncated": false,
        });
    };
    let mut answer = numbers(record, found.clock_ms);
    answer["revision"] = found.revision.into();
    answer["key"] = base64(key).into();
    answer["found"] = true.into();
    answer["create_revision"] = record.create_revision.into();
    answer["value"] = beginning(record.value(), VALUE_BYTES_MAX);
    answer["truncated"] = (record.value().len() > VALUE_BYTES_MAX).into();
    answer
}

fn of_version(version: &Version, clock_ms: u64) -> Value {
    let mut answer = match &version.record {
        Some(record) => numbers(record, clock_ms),
        None => json!({"version": 0, "lease": null, "expires_s": 0, "value_bytes": 0}),
    };
    answer["kind"] = kind_name(version.kind).into();
    answer["mod_revision"] = version.revision.into();
    let record = version.record.as_ref();
    answer["value"] = record.map_or(Value::Null, |record| beginning(record.value(), PREVIEW_BYTES));
    answer
}

/// The word for a change.
pub(super) fn kind_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Put => "set",
        ChangeKind::Delete => "deleted",
        ChangeKind::Expire => "expired",
    }
}

/// The numbers of a value.
pub(super) fn numbers(record: &Record, clock_ms: u64) -> Value {
    // The id of a lease may be too high for a number in a page.
    let lease = (record.lease != 0).then(|| record.lease.to_string());
    json!({
        "mod_revision": record.mod_revision, "version": record.version, "lease": lease,
        "expires_s": record.seconds_left(clock_ms), "value_bytes": record.value().len(),
    })
}

/// The first bytes of a value.
pub(super) fn beginning(value: &[u8], bytes_max: usize) -> Value {
    base64(&value[..value.len().min(bytes_max)]).into()
}

fn key(query: &Parameters) -> Result<Bytes, ApiError> {
    let key = query.bytes("key")?.unwrap_or_default();
    check_key(&key)?;
    Ok(key)
}

/// Checks the length of a key.
///
/// # Errors
/// When there is none, or it is too long for any server.
pub(super) fn check_key(key: &Bytes) -> Result<(), ApiError> {
    if key.is_empty() {
        return Err(ApiError::bad_request("The key is missing, or empty."));
    }
    if key.len() > KEY_BYTES_MAX {
        let length = key.len();
        let text = format!("The key has {length} bytes; it must have at most {KEY_BYTES_MAX}.");
        return Err(ApiError::too_large(text));
    }
    Ok(())
}

/// Reads a page of keys in the way that the query asks for.
async fn page(api: &Api, query: &Parameters, wanted: PageQuery) -> Result<Page, ApiError> {
    let at = query.number("at", 1..=NUMBER_MAX)?.unwrap_or(0);
    let wanted = Query::Page(PageQuery { at, ..wanted });
    let request = match query.text("read") {
        None | Some("linearizable") if at == 0 => ClientRequest::ReadAnywhere(wanted),
        None | Some("linearizable" | "stale") => ClientRequest::ReadApplied(wanted),
        Some(_) => {
            return Err(ApiError::bad_request("read has to be linearizable or stale."));
        }
    };
    match answer(api.ask(request).await?)? {
        Answer::Page(page) => Ok(page),
        _ => Err(other_answer()),
    }
}

/// The answer of the store.
///
/// # Errors
/// When it is none, or the revision cannot be read.
fn answer(reply: ClientReply) -> Result<Answer, ApiError> {
    match reply {
        ClientReply::Answer(Answer::Compacted { revision })
        | ClientReply::Scan(Answer::Compacted { revision }, _) => {
            Err(ApiError::compacted(revision))
        }
        ClientReply::Answer(Answer::Future { revision })
        | ClientReply::Scan(Answer::Future { revision }, _) => Err(ApiError::future(revision)),
        ClientReply::Answer(answer) | ClientReply::Scan(answer, _) => Ok(answer),
        ClientReply::NotYet(sentence) => Err(ApiError::not_yet(sentence)),
        ClientReply::Refused(refusal) => Err(refusal.into()),
        _ => Err(other_answer()),
    }
}

/// The error for an answer to another question, which would be a fault of the program.
pub(super) fn other_answer() -> ApiError {
    ApiError::internal("The server has answered another question.")
}
