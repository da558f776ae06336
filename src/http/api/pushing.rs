//! The state, the terms and the samples of each second, as they are pushed to the pages of people
//! who look at the cluster. Each is made once for all of them, and only while somebody looks; the
//! samples are always taken.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::board::lock;
use super::console::Api;
use super::error::ApiError;
use super::report::millis;
use super::stream::event;
use super::{causes, members, others, report, terms};
use crate::metrics::NodeMetrics;
use crate::raft::Role;
use crate::types::{NodeId, Term};

/// The time between two samples, and between two rounds of questions to the other servers.
const SECOND: Duration = Duration::from_secs(1);
/// The time between two looks at what may have changed.
const LOOK: Duration = Duration::from_millis(100);
/// The age of a leader's report with which it stands for the leader's knowledge.
const REPORT_AGE_MAX: Duration = Duration::from_secs(3);

/// The facts whose change is told at once. They are numbers of the metrics: to look at them costs
/// the node nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    leader: Option<NodeId>,
    term: Term,
    role: Option<Role>,
    is_draining: bool,
    connected: BTreeSet<NodeId>,
    /// The number of steps of changes of the members.
    member_steps: u64,
    /// The number of times that the other servers were asked.
    rounds: u64,
}

impl Facts {
    fn of(api: &Api) -> Facts {
        let NodeMetrics { raft, peers, .. } = &api.services.metrics;
        Facts {
            leader: raft.leader_id(),
            term: raft.term(),
            role: raft.role(),
            is_draining: raft.is_draining(),
            connected: peers.connected(),
            member_steps: raft.member_steps(),
            rounds: api.board.rounds.load(Ordering::Relaxed),
        }
    }
}

/// Takes samples, asks the other servers, and pushes what is new, for ever.
pub(in crate::http) async fn run(api: &Api) {
    tokio::join!(keep_sampling(api), keep_asking(api), keep_pushing(api));
}

/// The first event of a stream: all that is kept.
///
/// # Errors
/// When the node does not answer.
pub(super) async fn hello(api: &Api) -> Result<Bytes, ApiError> {
    ask_others(api, REPORT_AGE_MAX).await;
    let state = state(api).await?;
    let terms = terms::all(api);
    let samples = api.board.samples().all();
    let data = json!({"version": 1, "state": state, "terms": terms, "samples": samples});
    Ok(event("hello", &data))
}

/// Takes a sample each second, for ever.
async fn keep_sampling(api: &Api) {
    loop {
        tokio::time::sleep(SECOND).await;
        let sample = api.services.metrics.sample(&api.process);
        let row = api.board.samples().take(sample);
        if let Some(row) = row {
            api.board.push("sample", &row);
        }
    }
}

/// Asks the other servers each second while somebody looks, for ever.
async fn keep_asking(api: &Api) {
    let mut seconds = interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        if api.board.is_watched() {
            ask_others(api, Duration::ZERO).await;
            api.board.rounds.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Pushes the state after a change, which includes that the others were asked, and the terms as
/// they change, for ever.
async fn keep_pushing(api: &Api) {
    let mut told: Option<Facts> = None;
    let mut told_terms = terms::all(api);
    loop {
        tokio::time::sleep(LOOK).await;
        let facts = Facts::of(api);
        let is_new_leader = note_leader(api, facts.leader);
        let known = terms::all(api);
        for term in known.iter().rev().filter(|term| !told_terms.contains(term)) {
            api.board.push("term", term);
        }
        told_terms = known;
        if !api.board.is_watched() {
            told = None;
            continue;
        }
        if told.as_ref() == Some(&facts) {
            continue;
        }
        if let Some(leader) = facts.leader.filter(|_| is_new_leader) {
            ask_one(api, leader).await;
        }
        if let Ok(state) = state(api).await {
            told = Some(facts);
            api.board.state.send_replace(event("state", &state));
        }
    }
}

/// Notes the leader. Returns true when it is another one.
fn note_leader(api: &Api, leader: Option<NodeId>) -> bool {
    let mut noted = lock(&api.board.leader);
    let is_new = noted.0 != leader;
    if is_new {
        *noted = (leader, Instant::now());
    }
    is_new
}

/// Asks the other servers whose last report is older than this, all at the same time.
async fn ask_others(api: &Api, age_max: Duration) {
    let is_old = |id: &NodeId| {
        let others = lock(&api.board.others);
        let report = others.get(id).and_then(|other| other.report.as_ref());
        report.is_none_or(|(_, at)| at.elapsed() >= age_max)
    };
    let old: Vec<NodeId> = api.others().into_keys().filter(is_old).collect();
    futures_util::future::join_all(old.into_iter().map(|id| ask_one(api, id))).await;
}

async fn ask_one(api: &Api, id: NodeId) {
    if let Some(address) = api.others().get(&id) {
        let outcome = others::ask(id, address).await;
        if let Ok(report) = &outcome {
            terms::note_cause(api, &report["began"]);
        }
        lock(&api.board.others).entry(id).or_default().take(outcome);
    }
}

/// The state of the cluster, as the leader knows it if the leader has told, and as this server
/// knows it otherwise.
async fn state(api: &Api) -> Result<Value, ApiError> {
    let (raft, peers) = (&api.services.metrics.raft, &api.services.metrics.peers);
    let known = members::members(api).await?;
    let own = raft.id();
    let own_report = report::report(api).await?;
    let leader = own_report["leader"].as_u64().map(NodeId);
    let others = lock(&api.board.others).clone();
    let told = leader.filter(|leader| *leader != own).and_then(|leader| {
        let (report, at) = others.get(&leader)?.report.as_ref()?;
        let is_current = at.elapsed() <= REPORT_AGE_MAX && report["term"] == own_report["term"];
        let membership = Some(&report["membership"]).filter(|it| it.is_object() && is_current)?;
        Some((leader, membership.clone(), at.elapsed()))
    });
    let (from, mut membership, age) =
        told.unwrap_or_else(|| (own, report::membership(&known, peers), Duration::ZERO));
    let addresses = api.others();
    for member in membership["members"].as_array_mut().into_iter().flatten() {
        let id = NodeId(member["id"].as_u64().unwrap_or(0));
        let address = addresses.get(&id).cloned();
        let address = if id == own { api.own_address() } else { address };
        member["http_address"] = address.map(|address| address.to_string()).into();
        let other = others.get(&id).cloned().unwrap_or_default();
        let (report, report_age) = match other.report {
            _ if id == own => (own_report.clone(), json!(0)),
            Some((report, at)) => (report, json!(millis(at.elapsed()))),
            None => (Value::Null, Value::Null),
        };
        causes::complete(member, &report);
        member["report"] = report;
        member["report_age_ms"] = report_age;
        member["report_error"] = other.error.filter(|_| id != own).into();
    }
    let leader_since = lock(&api.board.leader).1;
    Ok(json!({
        "at_ms": raft.wall_ms(), "server": own.0,
        "cluster": {
            "name": api.settings.cluster, "id": own_report["cluster_id"],
            "format": membership["format"],
        },
        "term": own_report["term"], "leader": own_report["leader"],
        "leader_age_ms": millis(leader_since.elapsed()),
        "voters": membership["voters"], "needed": membership["needed"],
        "here": membership["here"], "can_lose": membership["can_lose"],
        "members_from": from.0, "members_age_ms": millis(age),
        "members": membership["members"], "change": membership["change"],
        "ended": membership["ended"], "removed": membership["removed"],
    }))
}
