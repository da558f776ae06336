//! `/watch`: the changes of a key or of the keys with a prefix, as they happen. A watch asks the
//! store for a view of its history, reads the changes from it at its own place, and asks for the
//! next view when its client has taken them: so nothing is queued for it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};

use super::console::Api;
use super::error::ApiError;
use super::keys::{beginning, check_key, kind_name, numbers};
use super::parameters::{NUMBER_MAX, Parameters, base64};
use super::stream::{self, event};
use crate::actors::messages::watch::HistoryMark;
use crate::kv::{
    ChangeEvent, HistoryView, KeyRange, WatchBudget, WatchCompacted, WatchCursor, WatchFilter,
    WatchReadError,
};

/// Size in bytes of the beginning of a value in a change.
const VALUE_BYTES: usize = 4 * 1024;
/// Maximum number of changes of one event.
const CHANGES_MAX: usize = 500;
/// The time after which a silent watch says how far it has come.
const PROGRESS: Duration = Duration::from_secs(3);
/// The least time between two reads of a watch: no person reads faster.
const PAUSE: Duration = Duration::from_millis(50);
/// The bounds of one read.
const BUDGET: WatchBudget = WatchBudget { bytes: 512 * 1024, keys: 10_000 };

/// Begins a watch.
pub(super) async fn watch(api: Arc<Api>, query: &Parameters) -> Result<Response, ApiError> {
    let keys = match (query.bytes("key")?, query.bytes("prefix")?) {
        (Some(key), None) => {
            check_key(&key)?;
            KeyRange::key(key)
        }
        (None, Some(prefix)) => KeyRange::prefix(prefix),
        _ => return Err(ApiError::bad_request("Exactly one of key and prefix has to be there.")),
    };
    let from = query.number("from", 1..=NUMBER_MAX)?;
    let permit = api.stream_permit()?;
    let Some(view) = api.view(None).await? else { return Err(ApiError::no_leader()) };
    if view.revision() == 0 {
        return Err(ApiError::not_yet("A watch needs format 4 of the cluster, or a leader."));
    }
    let first = from.unwrap_or(view.revision() + 1).max(2);
    let mut watch = Watch {
        api,
        filter: WatchFilter::all(keys),
        cursor: WatchCursor::from(first),
        open: None,
        ready: VecDeque::new(),
        has_ended: false,
        _permit: permit,
    };
    watch.ready.push_back(event("watching", &json!({"revision": view.revision()})));
    watch.read(&view);
    let seen = HistoryMark { revision: view.revision(), compacted: view.compacted() };
    drop(view);
    let events = futures_util::stream::unfold((watch, seen), |(mut watch, mut seen)| async move {
        let next = watch.next(&mut seen).await?;
        Some((Ok::<Bytes, Infallible>(next), (watch, seen)))
    });
    Ok(stream::events(events))
}

/// The changes of one revision, as far as they were read.
struct Open {
    revision: u64,
    changes: Vec<Value>,
    left_out: u64,
}

struct Watch {
    api: Arc<Api>,
    filter: WatchFilter,
    cursor: WatchCursor,
    /// The last revision that was read, which may have further changes.
    open: Option<Open>,
    /// The events that are to be sent next: those of one read.
    ready: VecDeque<Bytes>,
    has_ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Watch {
    /// The next event; `None` at the end of the stream.
    async fn next(&mut self, seen: &mut HistoryMark) -> Option<Bytes> {
        let mut silent_until = Instant::now() + PROGRESS;
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.has_ended {
                return None;
            }
            sleep(PAUSE).await;
            // A read that was cut short goes on with the view of now.
            let is_behind = self.cursor.complete_to() < seen.revision;
            let asked = self.api.view((!is_behind).then_some(*seen));
            match timeout_at(silent_until, asked).await {
                Ok(Ok(Some(view))) => {
                    *seen = HistoryMark { revision: view.revision(), compacted: view.compacted() };
                    self.read(&view);
                }
                Ok(Ok(None)) => {
                    self.end("no_leader", "This server was removed from the cluster.", None);
                }
                Ok(Err(error)) => self.end(error.code, &error.text, None),
                Err(_) => {
                    silent_until = Instant::now() + PROGRESS;
                    let revision = self.cursor.complete_to();
                    self.ready.push_back(event("progress", &json!({"revision": revision})));
                }
            }
        }
    }

    /// Reads the next changes.
    fn read(&mut self, view: &HistoryView) {
        match view.read(&self.cursor, &self.filter, BUDGET) {
            Ok(read) => {
                read.events.into_iter().for_each(|change| self.take(&change));
                self.cursor = read.cursor;
                if self.open.as_ref().is_some_and(|open| open.revision <= read.complete_to) {
                    self.close();
                }
            }
            Err(WatchReadError::Compacted(WatchCompacted { revision })) => {
                let text = format!("Changes before revision {revision} are no longer kept.");
                self.end("compacted", &text, Some(revision));
            }
            // The stream ends without a word, as the node does.
            Err(WatchReadError::Corrupted(corruption)) => {
                self.api.report(&corruption);
                self.has_ended = true;
            }
        }
    }

    fn take(&mut self, change: &ChangeEvent) {
        if self.open.as_ref().is_some_and(|open| open.revision != change.revision) {
            self.close();
        }
        let revision = change.revision;
        let open = self.open.get_or_insert(Open { revision, changes: Vec::new(), left_out: 0 });
        if open.changes.len() < CHANGES_MAX {
            open.changes.push(of_change(change));
        } else {
            open.left_out += 1;
        }
    }

    /// All changes of the revision were read.
    fn close(&mut self) {
        if let Some(Open { revision, changes, left_out }) = self.open.take() {
            let data = json!({"revision": revision, "changes": changes, "left_out": left_out});
            self.ready.push_back(event("changes", &data));
        }
    }

    fn end(&mut self, code: &str, text: &str, compacted: Option<u64>) {
        let data = json!({"code": code, "text": text, "compacted_revision": compacted});
        self.ready.push_back(event("ended", &data));
        self.has_ended = true;
    }
}

fn of_change(change: &ChangeEvent) -> Value {
    let mut answer = match &change.record {
        Some(record) => {
            let mut answer = numbers(record, change.at_ms);
            answer["create_revision"] = record.create_revision.into();
            answer["value"] = beginning(record.value(), VALUE_BYTES);
            answer["truncated"] = (record.value().len() > VALUE_BYTES).into();
            answer
        }
        None => json!({
            "create_revision": 0, "version": 0, "lease": null, "expires_s": 0, "value_bytes": 0,
            "value": null, "truncated": false,
        }),
    };
    answer["key"] = base64(&change.key).into();
    answer["kind"] = kind_name(change.kind).into();
    answer["mod_revision"] = change.revision.into();
    answer
}

#[cfg(test)]
mod tests;
