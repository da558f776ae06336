//! `/version`: which program this is, and what it takes part in.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::HttpServices;
use super::answers::typed;

/// The answer.
#[derive(Serialize)]
struct Version {
    /// The version of the program.
    coracle: &'static str,
    /// The id of the node; 0 while it reads its files.
    node: u64,
    /// The format of the cluster that is in force; 0 while the node reads its files.
    format: u64,
}

/// Answers with the version.
pub(super) async fn print(State(services): State<HttpServices>) -> Response {
    let raft = &services.metrics.raft;
    let version = Version { coracle: services.version, node: raft.id().0, format: raft.format() };
    let text = serde_json::to_string(&version).expect("numbers and texts can be written as JSON");
    typed("application/json", text)
}
