//! `/metrics`: the numbers of the node, in the text of Prometheus or in that of OpenMetrics.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

use super::answers::typed;

const OPEN_METRICS: &str = "application/openmetrics-text";
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The numbers of a node, to be printed.
pub(super) struct Exposition {
    registry: Registry,
}

impl Exposition {
    pub(super) fn new(registry: Registry) -> Exposition {
        Exposition { registry }
    }
}

/// Answers a scrape.
pub(super) async fn print(
    State(exposition): State<Arc<Exposition>>,
    headers: HeaderMap,
) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
    let is_open = wants_open_metrics(accepted);
    let mut body = String::new();
    let (printed, content_type) = match is_open {
        true => (text::encode(&mut body, &exposition.registry), OPEN_METRICS_TYPE),
        false => {
            let printed = prometheus_text::encode(&mut body, &exposition.registry);
            (printed, prometheus_text::CONTENT_TYPE)
        }
    };
    match printed {
        Ok(()) => typed(content_type, body),
        Err(error) => {
            let sentence = format!("the metrics cannot be printed: {error}\n");
            (StatusCode::INTERNAL_SERVER_ERROR, sentence).into_response()
        }
    }
}

/// True when the value of an Accept header prefers OpenMetrics to plain text.
fn wants_open_metrics(accepted: &str) -> bool {
    let quality_of = |wanted: &[&str]| {
        let of_part = |part: &str| {
            let mut fields = part.split(';').map(str::trim);
            let media_type = fields.next()?;
            let weight = fields.find_map(|field| field.strip_prefix("q="));
            let weight = weight.map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
            wanted.contains(&media_type).then_some(weight?)
        };
        accepted.split(',').filter_map(of_part).fold(0.0, f32::max)
    };
    let open = quality_of(&[OPEN_METRICS]);
    open > 0.0 && open >= quality_of(&["text/plain", "text/*"])
}

#[cfg(test)]
mod tests;
