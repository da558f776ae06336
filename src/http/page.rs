//! The page at `/` and its files, which are part of the program (docs/console-interface.md).

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use xxhash_rust::xxh3::xxh3_128;

use super::api::{Api, ApiError, guard};
use crate::types::Address;

/// A file of the page.
struct File {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

/// The table of these files, which are in the directory `console`.
macro_rules! files {
    ($($name:literal: $content_type:literal,)*) => {
        &[$(File {
            name: $name,
            content_type: $content_type,
            bytes: include_bytes!(concat!("console/", $name)),
        }),*]
    };
}

/// Every file of the page. A test compares the names with the directory.
const FILES: &[File] = files! {
    "api.js": "text/javascript; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "base.css": "text/css; charset=utf-8",
    "boot.js": "text/javascript; charset=utf-8",
    "bytes.js": "text/javascript; charset=utf-8",
    "cluster.css": "text/css; charset=utf-8",
    "cluster.js": "text/javascript; charset=utf-8",
    "controls.css": "text/css; charset=utf-8",
    "dialog.js": "text/javascript; charset=utf-8",
    "diff.js": "text/javascript; charset=utf-8",
    "edit.js": "text/javascript; charset=utf-8",
    "editor.js": "text/javascript; charset=utf-8",
    "failover.js": "text/javascript; charset=utf-8",
    "focus.js": "text/javascript; charset=utf-8",
    "format.js": "text/javascript; charset=utf-8",
    "frame.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "index.html": "text/html; charset=utf-8",
    "json.js": "text/javascript; charset=utf-8",
    "key_list.js": "text/javascript; charset=utf-8",
    "key_pane.js": "text/javascript; charset=utf-8",
    "keys.css": "text/css; charset=utf-8",
    "keys.js": "text/javascript; charset=utf-8",
    "last_of.js": "text/javascript; charset=utf-8",
    "mover.js": "text/javascript; charset=utf-8",
    "narrow.css": "text/css; charset=utf-8",
    "new_key.js": "text/javascript; charset=utf-8",
    "open_key.js": "text/javascript; charset=utf-8",
    "overview.js": "text/javascript; charset=utf-8",
    "parts.js": "text/javascript; charset=utf-8",
    "plot.js": "text/javascript; charset=utf-8",
    "plot_scale.js": "text/javascript; charset=utf-8",
    "plots.css": "text/css; charset=utf-8",
    "route.js": "text/javascript; charset=utf-8",
    "servers.js": "text/javascript; charset=utf-8",
    "shortcuts.js": "text/javascript; charset=utf-8",
    "stream.js": "text/javascript; charset=utf-8",
    "terms.js": "text/javascript; charset=utf-8",
    "theme.js": "text/javascript; charset=utf-8",
    "tokens.css": "text/css; charset=utf-8",
    "value_view.js": "text/javascript; charset=utf-8",
    "vdom.js": "text/javascript; charset=utf-8",
    "verdict.js": "text/javascript; charset=utf-8",
    "watch_log.js": "text/javascript; charset=utf-8",
    "watch_pane.js": "text/javascript; charset=utf-8",
};

const INDEX: &str = "index.html";

/// Answers with the page. People follow links to it, so it may be asked for from anywhere.
pub(super) async fn index(State(api): State<Arc<Api>>, headers: HeaderMap) -> Response {
    match guard::check_host(&api, &headers) {
        Ok(()) => serve(&api, INDEX, &headers),
        Err(error) => error.into_response(),
    }
}

/// Answers with a file of the page.
pub(super) async fn file(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    match guard::check_reader(&api, &headers) {
        Ok(()) => serve(&api, &name, &headers),
        Err(error) => error.into_response(),
    }
}

fn serve(api: &Api, name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = FILES.iter().find(|file| file.name == name) else {
        return ApiError::not_found("There is no such path.").into_response();
    };
    let tag = format!("\"{:032x}\"", xxh3_128(file.bytes));
    let is_known =
        headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let headers = [
        (CONTENT_TYPE, file.content_type.to_owned()),
        (CACHE_CONTROL, "no-cache".to_owned()),
        (ETAG, tag),
        (CONTENT_SECURITY_POLICY, policy(api)),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin".to_owned()),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin".to_owned()),
    ];
    match is_known {
        true => (StatusCode::NOT_MODIFIED, headers).into_response(),
        false => (headers, file.bytes).into_response(),
    }
}

/// The content security policy: the page may ask its own server, and find out which of the others
/// live.
fn policy(api: &Api) -> String {
    // A host that is no name and no address would be read as a part of the policy.
    let is_plain = |address: &Address| {
        address.host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:_".contains(&byte))
    };
    let others = api.others().into_values().filter(is_plain);
    let others: String = others.map(|address| format!(" http://{address}")).collect();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'{others}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests;
