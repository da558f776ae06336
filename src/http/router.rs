//! The paths of the HTTP port.
//!
//! Only the writes of the console change anything: they are checked by `api::guard`. All other
//! paths take GET and HEAD alone. There are no headers that let a page of another origin read an
//! answer.

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get};

use super::api::{self, Api};
use super::health::{self, Health};
use super::metrics::{self, Exposition};
use super::page;
use super::version;
use super::{HttpLimits, HttpServices};
use crate::metrics::ProcessMetrics;

/// The router of all paths, and the console's interface, which is to be run. The writes of the
/// console carry `token`.
pub(super) fn router(
    services: HttpServices,
    process: ProcessMetrics,
    limits: HttpLimits,
    token: String,
) -> (Router, Arc<Api>) {
    let exposition = Exposition::new(services.metrics.registry(process.clone()));
    let health = Arc::new(Health::new(&services, limits));
    let api = Arc::new(Api::new(
        services.clone(),
        Arc::clone(&health),
        process,
        token,
        limits.connections_max,
    ));
    let console = Router::new()
        .route("/", get(page::index))
        .route("/console/", any(api::serve))
        .route("/console/{file}", get(page::file))
        .route("/console/v1/{*path}", any(api::serve))
        .with_state(Arc::clone(&api));
    let router = Router::new()
        .route("/metrics", get(metrics::print).with_state(Arc::new(exposition)))
        .merge(health::routes(health))
        .route("/version", get(version::print).with_state(services))
        .merge(console);
    (router, api)
}
