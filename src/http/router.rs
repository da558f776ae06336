//! The paths of the HTTP port.
//!
//! Nothing here changes anything, and every path takes GET and HEAD alone. There are no headers
//! that let a page of another origin read an answer.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::answers::plain;
use super::health::{self, Health};
use super::metrics::{self, Exposition};
use super::version;
use super::{HttpLimits, HttpServices};
use crate::metrics::ProcessMetrics;

/// The router of all paths.
pub(super) fn router(
    services: HttpServices,
    process: ProcessMetrics,
    limits: HttpLimits,
) -> Router {
    let exposition = Arc::new(Exposition::new(services.metrics.registry(process)));
    let health = Arc::new(Health::new(&services, limits));
    Router::new()
        .route("/", get(index).with_state(services.version))
        .route("/metrics", get(metrics::print).with_state(exposition))
        .merge(health::routes(health))
        .route("/version", get(version::print).with_state(services))
}

/// The paths, for a person who looks here first.
async fn index(State(version): State<&'static str>) -> Response {
    plain(format!("Coracle {version}\n/metrics\n/livez\n/readyz\n/health\n/version\n"))
}
