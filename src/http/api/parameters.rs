//! The parameters of a query, and the fields of a body.

use std::ops::RangeInclusive;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::Value;

use super::error::ApiError;

/// Numbers in JSON are below this: a page reads them as floating point.
pub(super) const NUMBER_MAX: u64 = (1 << 53) - 1;
/// Maximum length of a query in bytes.
const QUERY_BYTES_MAX: usize = 2 * 1024;

/// The parameters of a query, by name.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the part of a path behind its `?`.
    ///
    /// # Errors
    /// When it is too long.
    pub(super) fn read(query: &str) -> Result<Parameters, ApiError> {
        if query.len() > QUERY_BYTES_MAX {
            let text = format!(
                "The query has {} bytes; it must have at most {QUERY_BYTES_MAX}.",
                query.len()
            );
            return Err(ApiError::too_large(text));
        }
        // No value of the interface has a character that is to be escaped. One that is there
        // anyway is found by the parser of its value.
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.to_owned(), value.to_owned())
        };
        Ok(Parameters(query.split('&').filter(|part| !part.is_empty()).map(pair).collect()))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// A number in a range.
    ///
    /// # Errors
    /// When it is there and is none.
    pub(super) fn number(
        &self,
        name: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.map(Some).ok_or_else(|| out_of_range(name, &range))
    }

    /// Bytes in base64url.
    ///
    /// # Errors
    /// When they are there and are not in base64url.
    pub(super) fn bytes(&self, name: &str) -> Result<Option<Bytes>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let bytes = URL_SAFE_NO_PAD.decode(text);
        let error = |_| ApiError::bad_request(format!("The parameter {name} is not base64url."));
        bytes.map(|bytes| Some(bytes.into())).map_err(error)
    }
}

fn out_of_range(name: &str, range: &RangeInclusive<u64>) -> ApiError {
    let (start, end) = (range.start(), range.end());
    ApiError::bad_request(format!("{name} has to be a whole number from {start} to {end}."))
}

/// A number in a body.
///
/// # Errors
/// When it is not there, or out of its range.
pub(super) fn number(
    body: &Value,
    name: &str,
    range: RangeInclusive<u64>,
) -> Result<u64, ApiError> {
    let number = body[name].as_u64().filter(|number| range.contains(number));
    number.ok_or_else(|| out_of_range(name, &range))
}

/// Bytes in a body, in base64.
///
/// # Errors
/// When they are not there, or not in base64.
pub(super) fn bytes(body: &Value, name: &str) -> Result<Bytes, ApiError> {
    let bytes = body[name].as_str().and_then(|text| STANDARD.decode(text).ok());
    let error = || ApiError::bad_request(format!("{name} has to be there, in base64."));
    bytes.map(Bytes::from).ok_or_else(error)
}

/// Bytes as JSON has them.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests;
