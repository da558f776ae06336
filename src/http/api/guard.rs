//! The checks of who may ask: the page that this server served, and nobody else's page.

use std::net::IpAddr;

use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, StatusCode};

use super::console::Api;
use super::error::ApiError;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const TOKEN: HeaderName = HeaderName::from_static("x-coracle-token");

/// Checks that the request is for this server. A stranger's name that was made to resolve to it is
/// none of its names.
///
/// # Errors
/// `host`.
pub(in crate::http) fn check_host(api: &Api, headers: &HeaderMap) -> Result<(), ApiError> {
    let host = text(headers, &HOST).map(host_of);
    if host.is_some_and(|host| is_ours(api, host)) {
        return Ok(());
    }
    let text = "The server has another name: ask it by its address, or by the host name of \
                its HTTP address.";
    Err(ApiError::new(StatusCode::MISDIRECTED_REQUEST, "host", text))
}

/// Checks a request that reads: no other page asks.
///
/// # Errors
/// `host` or `origin`.
pub(in crate::http) fn check_reader(api: &Api, headers: &HeaderMap) -> Result<(), ApiError> {
    check_host(api, headers)?;
    let is_own = match headers.get(SEC_FETCH_SITE) {
        None => true,
        Some(site) => site == "same-origin" || site == "none",
    };
    if is_own {
        return Ok(());
    }
    let text = "Only the server's own page may ask.";
    Err(ApiError::new(StatusCode::FORBIDDEN, "origin", text))
}

/// Checks a request that writes, after [`check_reader`].
///
/// # Errors
/// `origin`, `bad_request` or `token`.
pub(super) fn check_writer(api: &Api, headers: &HeaderMap) -> Result<(), ApiError> {
    let origin = text(headers, &ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
    let host = text(headers, &HOST);
    if origin.is_none() || origin.map(str::to_ascii_lowercase) != host.map(str::to_ascii_lowercase)
    {
        let text = "Only the server's own page may change something.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "origin", text));
    }
    let content_type = text(headers, &CONTENT_TYPE).unwrap_or_default();
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(ApiError::new(status, "bad_request", "The body has to be JSON."));
    }
    let given = headers.get(TOKEN).map_or(&b""[..], |token| token.as_bytes());
    if !is_same(given, api.token.as_bytes()) {
        let text = "The token is not that of this server's process.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "token", text));
    }
    Ok(())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The host of an authority, without its port and without brackets.
fn host_of(authority: &str) -> &str {
    if let Some((host, _)) = authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return host;
    }
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

fn is_ours(api: &Api, host: &str) -> bool {
    let mut members = api.others().into_values().chain(api.own_address());
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || members.any(|address| address.host.eq_ignore_ascii_case(host))
}

/// Compares in a time that does not depend on where the two differ.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differences = one.iter().zip(other).fold(0, |found, (one, other)| found | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests;
