//! The forms of answers.

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};

/// An answer of plain text.
pub(super) fn plain(text: String) -> Response {
    typed("text/plain; charset=utf-8", text)
}

/// An answer that no cache keeps, and no browser takes for something else.
pub(super) fn typed(content_type: &'static str, text: String) -> Response {
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}
