//! `/report`: what this server says of itself. Servers ask each other for it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use super::causes::Cause;
use super::console::Api;
use super::error::ApiError;
use super::keys::other_answer;
use super::{causes, members, terms};
use crate::actors::messages::clients::ClientReply;
use crate::http::checks::Check;
use crate::kv::StoreStatus;
use crate::metrics::{DiskSample, PeerMetrics, PeersMetrics, Sample};
use crate::protocol::{CanLose, ClientRequest, MemberReport, MemberState, MembersReport};
use crate::raft::{NodeStatus, Role};
use crate::types::Address;

/// The time for a check. A report has to be there before its asker gives up.
const CHECK_TIMEOUT: Duration = Duration::from_millis(250);

/// The time of the past in which the longest delay of the main thread is looked for.
const LATE_WITHIN: Duration = Duration::from_secs(5);

/// The report. Beside what the page shows, it has what the other servers need to show theirs: why
/// a term began, and of a leader its knowledge of the members.
///
/// # Errors
/// When the node does not answer.
pub(super) async fn report(api: &Api) -> Result<Value, ApiError> {
    let (node, store) = match api.ask(ClientRequest::Status).await? {
        ClientReply::Status(node, store) => (*node, store),
        ClientReply::Refused(refusal) => return Err(refusal.into()),
        _ => return Err(other_answer()),
    };
    let mut report = numbers(api, &node, &store);
    let (checks, ready) = checks(api, Check::READY, true).await;
    let (_, live) = checks_of_life(api).await;
    let metrics = &api.services.metrics;
    report["disk_silent_ms"] = millis(metrics.log.silence()).into();
    report["apply_wait_ms"] = millis(metrics.raft.apply_wait()).into();
    report["late_max_ms"] = millis(metrics.main_thread.max_within(LATE_WITHIN)).into();
    report["checks"] = checks;
    report["ready"] = ready.into();
    report["live"] = live.into();
    report["began"] = terms::began(api);
    report["membership"] = match node.role {
        Role::Leader => membership(&members::members(api).await?, &metrics.peers),
        _ => Value::Null,
    };
    Ok(report)
}

fn numbers(api: &Api, node: &NodeStatus, store: &StoreStatus) -> Value {
    let samples = api.board.samples();
    let last = |of: fn(&Sample) -> u64| samples.last().map(of);
    let measured = samples.last().and_then(|last| last.process.disk);
    let disk = |of: fn(&DiskSample) -> u64| measured.as_ref().map(of);
    let settings = &api.settings;
    json!({
        "id": node.id.0, "version": api.services.version,
        "formats": [node.cluster.formats.lowest.0, node.cluster.formats.highest.0],
        "cluster_id": node.cluster.cluster_id.map(|id| id.to_string()),
        "uptime_seconds": api.started.elapsed().as_secs(),
        "at_ms": api.services.metrics.raft.wall_ms(),
        "role": node.role.to_string(), "term": node.term.0,
        "leader": node.leader_id.map(|id| id.0),
        "last_log_index": node.last_log_index.0,
        "last_persisted_index": node.last_persisted_index.0,
        "commit_index": node.commit_index.0, "last_applied": store.last_applied.0,
        "snapshot_index": node.snapshot_index.0, "draining": node.cluster.is_draining,
        "removed_at_index": node.removed_at.map(|index| index.0),
        "keys": store.keys, "revision": store.revision,
        "compacted_revision": store.compacted_revision, "leases": store.leases,
        "watches": last(|it| it.clients.watches), "sessions": last(|it| it.clients.sessions),
        "proposals_pending": last(|it| it.raft.proposals_pending),
        "writes_per_second": samples.newest("writes_per_second"),
        "reads_per_second": samples.newest("reads_per_second"),
        "commit_p99_ms": samples.newest("commit_p99_ms"),
        "fsync_p99_ms": samples.newest("fsync_p99_ms"),
        "log_bytes": disk(|it| it.log_bytes), "log_files": disk(|it| it.log_files),
        "snapshot_bytes": disk(|it| it.snapshots_bytes),
        "disk_free_bytes": disk(|it| it.free_bytes),
        "disk_bytes": disk(|it| it.size_bytes),
        "store_bytes": store.bytes, "store_bytes_max": settings.store_bytes_max,
        "history_bytes": store.history_bytes, "history_bytes_max": settings.history_bytes_max,
        "memory_bytes_used": last(|it| it.store.memory_used_bytes),
        "memory_bytes_max": last(|it| it.store.memory_bytes_max),
        "resident_bytes": last(|it| it.process.resident_bytes),
    })
}

/// The milliseconds of a time, as an answer has them.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

async fn checks_of_life(api: &Api) -> (Value, bool) {
    checks(api, Check::LIVE, false).await
}

/// The outcomes of checks, and true when all are well.
async fn checks(api: &Api, checks: &[Check], is_for_clients: bool) -> (Value, bool) {
    let (mut outcomes, mut is_well) = (Vec::new(), true);
    for check in checks {
        let outcome = match check {
            // The read would wait for one.
            Check::LinearizableRead if api.services.metrics.raft.leader_id().is_none() => {
                Err("no leader is known".to_owned())
            }
            _ => {
                let run = api.health.checks().run(*check, is_for_clients);
                let late = |_| Err(format!("no outcome within {} ms", CHECK_TIMEOUT.as_millis()));
                timeout(CHECK_TIMEOUT, run).await.unwrap_or_else(late)
            }
        };
        is_well &= outcome.is_ok();
        let text = outcome.as_ref().err().cloned().unwrap_or_else(|| "ok".to_owned());
        outcomes.push(json!({"name": check.name(), "ok": outcome.is_ok(), "text": text}));
    }
    (outcomes.into(), is_well)
}

/// The members as one server knows them.
pub(super) fn membership(report: &MembersReport, peers: &PeersMetrics) -> Value {
    let change = report.change.as_ref().map(|change| {
        json!({
            "number": change.number.0, "what": change.what, "age_ms": change.age_ms,
            "waits_for": change.waits_for,
        })
    });
    let ended = report.ended.iter().rev().take(16).rev().map(
        |ended| json!({"number": ended.number.0, "is_done": ended.is_done, "what": ended.what}),
    );
    let removed = report.removed.iter().rev().take(64).rev();
    let removed = removed.map(|(id, index)| json!({"id": id.0, "index": index.0}));
    json!({
        "voters": report.voters, "needed": report.needed, "here": report.here,
        "can_lose": match report.can_lose {
            CanLose::Unknown => Value::Null,
            CanLose::NoQuorum => json!(-1),
            CanLose::Voters(number) => json!(number),
        },
        "format": report.format.0,
        "members": report.members.iter().map(|it| member(it, report, peers)).collect::<Vec<_>>(),
        "change": change, "ended": ended.collect::<Vec<_>>(),
        "removed": removed.collect::<Vec<_>>(),
    })
}

fn member(member: &MemberReport, report: &MembersReport, peers: &PeersMetrics) -> Value {
    let is_leader = member.state == MemberState::Leader;
    let is_unseen = member.state == MemberState::Unseen;
    let behind = match (is_leader, report.not_leading) {
        (true, None) => Some(0),
        _ => member.behind.filter(|_| !is_unseen),
    };
    let peer = peers.find(member.id).filter(|_| report.not_leading.is_none());
    let behind_ms = behind.and_then(|behind| match (behind, &peer) {
        (0, _) => Some(0),
        (_, peer) => Some(millis(peer.as_ref()?.behind()?)),
    });
    let (cause, cause_text) = cause(member, behind_ms, peer.as_ref()).unzip();
    let address = |address: &Option<Address>| address.as_ref().map(ToString::to_string);
    let snapshot = member
        .snapshot
        .map(|(received_bytes, bytes)| json!({"received_bytes": received_bytes, "bytes": bytes}));
    json!({
        "id": member.id.0, "kind": member.kind.to_string(), "state": member.state.to_string(),
        "log_address": address(&member.log_address),
        "client_address": address(&member.client_address),
        "seen_age_ms": member.seen_ms.filter(|_| !is_leader),
        "behind_entries": behind, "behind_ms": behind_ms, "snapshot": snapshot,
        "cause": cause, "cause_text": cause_text,
    })
}

/// The reason why a member is not in step, as far as this server has measured it.
fn cause(
    member: &MemberReport,
    behind_ms: Option<u64>,
    peer: Option<&PeerMetrics>,
) -> Option<Cause> {
    let is_behind = causes::is_behind(behind_ms);
    let network = || peer.filter(|_| is_behind).and_then(causes::of_network);
    let behind = member.behind.map_or("an unknown number of".to_owned(), |it| it.to_string());
    match member.state {
        MemberState::Unseen => {
            let since = member.seen_ms.map_or("yet".to_owned(), |ms| format!("for {ms} ms"));
            Some(("unseen", format!("The leader has not heard it {since}.")))
        }
        _ if member.snapshot.is_some() => {
            let (received, bytes) = member.snapshot.unwrap_or_default();
            let text = format!(
                "It lacks entries that the leader's log no longer has, and was sent {received} of \
                 {bytes} bytes of a snapshot."
            );
            Some(("snapshot", text))
        }
        MemberState::Rejoining => {
            let text = "It lost its log, and is not counted until it has caught up.";
            Some(("rejoining", text.to_owned()))
        }
        MemberState::Draining => {
            Some(("draining", "It is drained: nobody makes it the leader.".to_owned()))
        }
        MemberState::Catching => {
            Some(network().unwrap_or_else(|| {
                ("catching", format!("It lacks {behind} entries, and gets them."))
            }))
        }
        MemberState::Follower if is_behind => Some(network().unwrap_or_else(|| {
            ("unknown", format!("It lacks {behind} entries, and nothing is known to hold it up."))
        })),
        MemberState::Leader | MemberState::Follower | MemberState::Unknown => None,
    }
}
