//! `/livez`, `/readyz` and `/health`, in the sense of Kubernetes and of etcd.
//!
//! A server that is not live gains by being started again. One that is not ready gets no clients,
//! and nothing else: after the loss of a quorum every server is live, and none is ready.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;

use super::answers::{plain, typed};
use super::checks::{Check, Checks};
use super::read_probe::ReadProbe;
use super::{HttpLimits, HttpServices};

/// The health of one node.
pub(super) struct Health {
    checks: Checks,
}

/// One of the two pages of checks.
#[derive(Clone, Copy)]
struct Page {
    name: &'static str,
    checks: &'static [Check],
    is_for_clients: bool,
}

const LIVEZ: Page = Page { name: "livez", checks: Check::LIVE, is_for_clients: false };
const READYZ: Page = Page { name: "readyz", checks: Check::READY, is_for_clients: true };

/// The words after the `?` of a path: names with values.
type Words = Query<Vec<(String, String)>>;

impl Health {
    pub(super) fn new(services: &HttpServices, limits: HttpLimits) -> Health {
        let metrics = services.metrics.clone();
        let probe = ReadProbe::new(Arc::clone(&services.door), metrics.raft.clone());
        Health { checks: Checks::new(metrics, limits, probe) }
    }
}

impl Health {
    /// The checks of the node.
    pub(super) fn checks(&self) -> &Checks {
        &self.checks
    }
}

/// The routes of health.
pub(super) fn routes(health: Arc<Health>) -> Router {
    Router::new()
        .route("/livez", get(|health, words| page(LIVEZ, health, words)))
        .route("/readyz", get(|health, words| page(READYZ, health, words)))
        .route("/livez/{check}", get(|health, name| one_check(LIVEZ, health, name)))
        .route("/readyz/{check}", get(|health, name| one_check(READYZ, health, name)))
        .route("/health", get(etcd_health))
        .with_state(health)
}

/// Answers with all checks of a page: a line each if something is wrong or `verbose` asks for it,
/// and `ok` otherwise.
async fn page(page: Page, State(health): State<Arc<Health>>, Query(words): Words) -> Response {
    let excluded = values(&words, "exclude");
    let mut lines = String::new();
    let mut is_well = true;
    for check in page.checks {
        let name = check.name();
        if excluded.contains(&name) {
            lines += &format!("[+]{name} excluded: ok\n");
            continue;
        }
        match health.checks.run(*check, page.is_for_clients).await {
            Ok(()) => lines += &format!("[+]{name} ok\n"),
            Err(reason) => {
                is_well = false;
                lines += &format!("[-]{name} failed: {reason}\n");
            }
        }
    }
    let is_known = |name: &&&str| page.checks.iter().any(|check| check.name() == **name);
    for unknown in excluded.iter().filter(|name| !is_known(name)) {
        lines += &format!("warning: no check is named {unknown:?}, so it is not excluded\n");
    }
    let name = page.name;
    match is_well {
        false => unwell(plain(format!("{lines}{name} check failed\n"))),
        true if words.iter().any(|(word, _)| word == "verbose") => {
            plain(format!("{lines}{name} check passed\n"))
        }
        true => plain("ok".to_owned()),
    }
}

/// Answers with one check of a page.
async fn one_check(
    page: Page,
    State(health): State<Arc<Health>>,
    Path(name): Path<String>,
) -> Response {
    let Some(check) = page.checks.iter().find(|check| check.name() == name) else {
        let names: Vec<&str> = page.checks.iter().map(|check| check.name()).collect();
        let sentence = format!("the checks of {} are {}\n", page.name, names.join(", "));
        return (StatusCode::NOT_FOUND, sentence).into_response();
    };
    match health.checks.run(*check, page.is_for_clients).await {
        Ok(()) => plain("ok".to_owned()),
        Err(reason) => unwell(plain(format!("{name} failed: {reason}\n"))),
    }
}

/// The answer to `/health`, as etcd prints it.
#[derive(Serialize)]
struct EtcdHealth {
    health: &'static str,
    reason: String,
}

/// Answers as etcd does: with a linearizable read, or without one if `serializable=true`.
async fn etcd_health(State(health): State<Arc<Health>>, Query(words): Words) -> Response {
    let is_serializable = values(&words, "serializable").contains(&"true");
    let excluded = values(&words, "exclude");
    let checks = if is_serializable { Check::SERIALIZABLE } else { Check::READY };
    let mut reasons = Vec::new();
    for check in checks.iter().filter(|check| !excluded.contains(&check.name())) {
        // A server that is drained is healthy: etcd has no such state.
        if *check == Check::Draining {
            continue;
        }
        if let Err(reason) = health.checks.run(*check, !is_serializable).await {
            reasons.push(format!("{}: {reason}", check.name()));
        }
    }
    let is_well = reasons.is_empty();
    let answer =
        EtcdHealth { health: if is_well { "true" } else { "false" }, reason: reasons.join("; ") };
    let text = serde_json::to_string(&answer).expect("texts can be written as JSON");
    let response = typed("application/json", text);
    if is_well { response } else { unwell(response) }
}

/// The values of a word.
fn values<'a>(words: &'a [(String, String)], wanted: &str) -> Vec<&'a str> {
    let wanted = words.iter().filter(|(word, _)| word == wanted);
    wanted.map(|(_, value)| value.as_str()).collect()
}

/// The same answer, as that of a server that is not well.
fn unwell(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response
}
