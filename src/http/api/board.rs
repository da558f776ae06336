//! What is pushed to the pages of people who look at the cluster: the state, the terms, and the
//! samples of each second. It is made once for all of them, and only while somebody looks; the
//! samples are always taken.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::others::{self, OtherReport};
use super::samples::Samples;
use super::scrape::Scrape;
use super::stream::event;
use super::{Api, ApiError, members, report};
use crate::metrics::{TERMS_MAX, TermCause, TermRecord};
use crate::types::NodeId;

/// Number of events that wait for a slow stream, besides one state.
const EVENTS_MAX: usize = 64;
/// The time between two samples, and between two states when nothing changes.
const SECOND: Duration = Duration::from_secs(1);
/// The time between two looks at what may have changed.
const LOOK: Duration = Duration::from_millis(100);
/// The age of a leader's report with which it stands for the leader's knowledge.
const REPORT_AGE_MAX: Duration = Duration::from_secs(3);

/// What all streams share.
pub(super) struct Board {
    samples: Mutex<Samples>,
    others: Mutex<BTreeMap<NodeId, OtherReport>>,
    /// The causes of terms that other servers have told, each with its sentence, by term.
    causes: Mutex<BTreeMap<u64, (Value, Value)>>,
    /// The leader that this server knew at the last look, and since when.
    leader: Mutex<(Option<NodeId>, Instant)>,
    state: watch::Sender<Bytes>,
    events: broadcast::Sender<Bytes>,
}

/// The facts whose change is told at once.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    leader: Option<NodeId>,
    term: u64,
    /// The members with their kinds and states, and the changes.
    members: Value,
}

/// The pushes to one page.
pub(super) struct Pushes {
    pub(super) state: watch::Receiver<Bytes>,
    pub(super) events: broadcast::Receiver<Bytes>,
}

impl Board {
    pub(super) fn new() -> Board {
        Board {
            samples: Mutex::default(),
            others: Mutex::default(),
            causes: Mutex::default(),
            leader: Mutex::new((None, Instant::now())),
            state: watch::Sender::new(Bytes::new()),
            events: broadcast::Sender::new(EVENTS_MAX),
        }
    }

    pub(super) fn samples(&self) -> MutexGuard<'_, Samples> {
        lock(&self.samples)
    }

    /// Begins to push to one page.
    pub(super) fn subscribe(&self) -> Pushes {
        Pushes { state: self.state.subscribe(), events: self.events.subscribe() }
    }

    fn is_watched(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Tells all pages that the server ends their streams.
    pub(super) fn say_bye(&self) {
        self.push("bye", &json!({"text": "The server stops."}));
    }

    fn push(&self, name: &str, data: &Value) {
        // An error says that nobody looks.
        let _ = self.events.send(event(name, data));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first event of a stream: all that is kept.
///
/// # Errors
/// When the node does not answer.
pub(super) async fn hello(api: &Api) -> Result<Bytes, ApiError> {
    ask_others(api, REPORT_AGE_MAX).await;
    let state = state(api).await?;
    let terms = terms(api);
    let samples = api.board.samples().all();
    let data = json!({"version": 1, "state": state, "terms": terms, "samples": samples});
    Ok(event("hello", &data))
}

/// Takes a sample each second, for ever.
pub(super) async fn keep_sampling(api: &Api) {
    loop {
        tokio::time::sleep(SECOND).await;
        let raft = &api.services.metrics.raft;
        let peers: Vec<u64> = api.others_and_unknown().iter().map(|id| id.0).collect();
        let text = api.exposition.print_plain();
        let scrape = Scrape::parse(&text);
        let row = api.board.samples().take(scrape, &peers, raft.wall_ms(), raft.now());
        if let Some(row) = row {
            api.board.push("sample", &row);
        }
    }
}

/// Asks the other servers each second while somebody looks, for ever.
pub(super) async fn keep_asking(api: &Api) {
    loop {
        tokio::time::sleep(SECOND).await;
        if api.board.is_watched() {
            ask_others(api, Duration::ZERO).await;
        }
    }
}

/// Pushes the state each second and after a change, and the terms as they change, for ever.
pub(super) async fn keep_pushing(api: &Api) {
    let mut told: Option<(Facts, Instant)> = None;
    let mut told_terms = terms(api);
    loop {
        tokio::time::sleep(LOOK).await;
        let leader = api.services.metrics.raft.leader_id();
        let is_new_leader = note_leader(api, leader);
        let known = terms(api);
        for term in known.iter().rev().filter(|term| !told_terms.contains(term)) {
            api.board.push("term", term);
        }
        told_terms = known;
        if !api.board.is_watched() {
            told = None;
            continue;
        }
        if let Some(leader) = leader.filter(|_| is_new_leader) {
            ask_one(api, leader).await;
        }
        let Ok(state) = state(api).await else { continue };
        let facts = facts(leader, &state);
        let is_due =
            told.as_ref().is_none_or(|(last, at)| *last != facts || at.elapsed() >= SECOND);
        if is_due {
            told = Some((facts, Instant::now()));
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

fn facts(leader: Option<NodeId>, state: &Value) -> Facts {
    let members = state["members"].as_array().map(Vec::as_slice).unwrap_or_default();
    let members: Vec<Value> = members
        .iter()
        .map(|member| json!([member["id"], member["kind"], member["state"]]))
        .collect();
    let change = &state["change"]["number"];
    let members = json!([members, change, state["ended"], state["removed"]]);
    Facts { leader, term: state["term"].as_u64().unwrap_or(0), members }
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
            note_cause(api, &report["began"]);
        }
        lock(&api.board.others).entry(id).or_default().take(outcome);
    }
}

/// The state of the cluster, as the leader knows it if the leader has told, and as this server
/// knows it otherwise.
async fn state(api: &Api) -> Result<Value, ApiError> {
    let raft = &api.services.metrics.raft;
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
        told.unwrap_or_else(|| (own, report::membership(&known), Duration::ZERO));
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

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Notes why a term began, as another server says it.
fn note_cause(api: &Api, began: &Value) {
    let Some(term) = began["term"].as_u64() else { return };
    let mut causes = lock(&api.board.causes);
    causes.insert(term, (began["cause"].clone(), began["cause_text"].clone()));
    if causes.len() > TERMS_MAX {
        causes.pop_first();
    }
}

/// The terms, the newest first. Only the server that began a term knows why, so what it says
/// takes the place of an unknown cause.
fn terms(api: &Api) -> Vec<Value> {
    let causes = lock(&api.board.causes);
    let terms = api.services.metrics.raft.terms().newest_first();
    let of = |term: &TermRecord| {
        let mut answer = of_term(term);
        if term.cause == TermCause::Unknown
            && let Some((cause, text)) = causes.get(&term.term.0)
        {
            answer["cause"] = cause.clone();
            answer["cause_text"] = text.clone();
        }
        answer
    };
    terms.iter().map(of).collect()
}

/// The newest term of whose beginning this server knows the cause by itself.
pub(super) fn began(api: &Api) -> Value {
    let terms = api.services.metrics.raft.terms().newest_first();
    let is_known =
        |term: &&TermRecord| !matches!(term.cause, TermCause::Unknown | TermCause::Start);
    terms.iter().find(is_known).map_or(Value::Null, of_term)
}

fn of_term(term: &TermRecord) -> Value {
    json!({
        "term": term.term.0, "leader": term.leader.map(|id| id.0),
        "began_at_ms": term.began_at_ms, "elected_at_ms": term.elected_at_ms,
        "ended_at_ms": term.ended_at_ms, "cause": term.cause.name(),
        "cause_text": term.cause_text,
    })
}
