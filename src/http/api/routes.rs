//! The paths of the console's interface.

use std::sync::Arc;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::console::Api;
use super::error::ApiError;
use super::parameters::Parameters;
use super::{events, guard, keys, members, report, watch, writes};
use crate::http::ConsoleSettings;
use crate::http::answers::typed;

/// The beginning of all paths of the interface.
const ROOT: &str = "/console/v1";

/// Answers a request whose path begins with `/console/v1`.
pub(in crate::http) async fn serve(State(api): State<Arc<Api>>, request: Request) -> Response {
    match answer(api, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn answer(api: Arc<Api>, request: Request) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().strip_prefix(ROOT).unwrap_or_default();
    let is_write = match path {
        "/session" | "/events" | "/report" | "/keys" | "/key" | "/revisions" | "/watch" => false,
        "/put" | "/delete" | "/members/transfer" | "/members/promote" | "/members/remove"
        | "/members/cancel" => true,
        _ => return Err(ApiError::not_found("There is no such path.")),
    };
    guard::check_reader(&api, &head.headers)?;
    let method = if is_write { Method::POST } else { Method::GET };
    if head.method != method {
        let text = format!("The path has the method {method}.");
        return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method", text));
    }
    let query = Parameters::read(head.uri.query().unwrap_or_default())?;
    match path {
        "/events" => return events::events(api).await,
        "/watch" => return watch::watch(api, &query).await,
        _ => {}
    }
    let _permit = api.requests.try_acquire().map_err(|_| ApiError::busy())?;
    let value = if is_write {
        guard::check_writer(&api, &head.headers)?;
        let _permit = api.writes.acquire().await.map_err(|_| ApiError::busy())?;
        let body = read_body(body, body_bytes_max(&api)).await?;
        write(&api, path, &body).await?
    } else {
        read(&api, path, &query).await?
    };
    Ok(typed("application/json", value.to_string()))
}

async fn read(api: &Api, path: &str, query: &Parameters) -> Result<Value, ApiError> {
    match path {
        "/session" => Ok(session(api)),
        "/report" => report::report(api).await,
        "/keys" => keys::list(api, query).await,
        "/key" => keys::get(api, query).await,
        _ => keys::versions(api, query).await,
    }
}

async fn write(api: &Api, path: &str, body: &Value) -> Result<Value, ApiError> {
    match path {
        "/put" => writes::put(api, body).await,
        "/delete" => writes::delete(api, body).await,
        "/members/transfer" => members::transfer(api, body).await,
        "/members/promote" => members::promote(api, body).await,
        "/members/remove" => members::remove(api, body).await,
        _ => members::cancel(api, body).await,
    }
}

fn session(api: &Api) -> Value {
    let ConsoleSettings { key_bytes_max, value_bytes_max, request_timeout, .. } = &api.settings;
    json!({
        "version": 1, "server": api.services.metrics.raft.id().0, "token": api.token,
        "program_version": api.services.version,
        "limits": {
            "key_bytes_max": key_bytes_max, "value_bytes_max": value_bytes_max,
            "request_timeout_ms": request_timeout.as_millis() as u64,
        },
    })
}

/// Maximum size of a body: that of a value in base64, with what stands around it.
fn body_bytes_max(api: &Api) -> usize {
    api.settings.value_bytes_max / 3 * 4 + 4 * 1024
}

/// Reads a body of JSON. One that is too large is read to its end, within reason, and forgotten: a
/// client that is still sending would not see the answer.
async fn read_body(body: Body, bytes_max: usize) -> Result<Value, ApiError> {
    let too_large = || {
        ApiError::too_large(format!(
            "The body is too large; it must have at most {bytes_max} bytes."
        ))
    };
    let drained_max = 4 * bytes_max;
    if body.size_hint().lower() > drained_max as u64 {
        return Err(too_large());
    }
    let (mut bytes, mut length) = (Vec::new(), 0);
    let mut parts = body.into_data_stream();
    while let Some(part) = parts.next().await {
        let broken = |_| ApiError::bad_request("The body ended before its end.");
        let part: Bytes = part.map_err(broken)?;
        length += part.len();
        if length <= bytes_max {
            bytes.extend_from_slice(&part);
        } else if length > drained_max {
            break;
        }
    }
    if length > bytes_max {
        return Err(too_large());
    }
    serde_json::from_slice(&bytes).map_err(|_| ApiError::bad_request("The body is not JSON."))
}
