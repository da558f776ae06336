//! The errors of the console's interface.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::actors::messages::door::DoorError;
use crate::http::answers::typed;
use crate::protocol::Refusal;

/// An answer that is an error: a code for the page, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(in crate::http) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) text: String,
    pub(super) may_have_executed: bool,
    /// A number that the page needs, by its name.
    pub(super) number: Option<(&'static str, u64)>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> ApiError {
        ApiError { status, code, text: text.into(), may_have_executed: false, number: None }
    }

    /// A parameter is missing, malformed or out of its range.
    pub(super) fn bad_request(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "bad_request", text)
    }

    /// There is no such path, member or change.
    pub(in crate::http) fn not_found(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "not_found", text)
    }

    pub(super) fn too_large(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", text)
    }

    pub(super) fn no_leader() -> ApiError {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_leader", "No leader is known now.")
    }

    pub(super) fn busy() -> ApiError {
        let text = "The server has too much to do: try again later.";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "busy", text)
    }

    pub(super) fn internal(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", text)
    }

    pub(super) fn not_yet(text: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::CONFLICT, "not_yet", text)
    }

    pub(super) fn timeout() -> ApiError {
        let text = "The cluster has not answered in time.";
        ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timeout", text)
    }

    pub(super) fn compacted(revision: u64) -> ApiError {
        let text = format!("Revision {revision} is the oldest that can be read.");
        let error = ApiError::new(StatusCode::GONE, "compacted", text);
        ApiError { number: Some(("compacted_revision", revision)), ..error }
    }

    pub(super) fn future(revision: u64) -> ApiError {
        let text = format!("The server is at revision {revision}.");
        let error = ApiError::new(StatusCode::CONFLICT, "future", text);
        ApiError { number: Some(("revision", revision)), ..error }
    }

    /// The same error of a write. Its outcome is not known after some errors.
    pub(super) fn of_write(self) -> ApiError {
        let may_have_executed = matches!(self.code, "timeout" | "internal");
        ApiError { may_have_executed, ..self }
    }
}

impl From<DoorError> for ApiError {
    fn from(error: DoorError) -> ApiError {
        match error {
            DoorError::Busy(_) => ApiError::busy(),
            DoorError::Stopped => ApiError::internal("This server stops."),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        match refusal {
            Refusal::NotLeader { leader: None } => ApiError::no_leader(),
            Refusal::NotLeader { leader: Some(leader) } => ApiError::not_yet(format!(
                "This server does not lead, and sends nothing on before format 4 of the cluster: \
                 the leader answers clients at {leader}."
            )),
            Refusal::Busy => ApiError::busy(),
            Refusal::LeadershipLost | Refusal::Timeout => ApiError::timeout(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut error = json!({
            "code": self.code,
            "text": self.text,
            "may_have_executed": self.may_have_executed,
        });
        if let Some((name, number)) = self.number {
            error[name] = number.into();
        }
        let mut response = typed("application/json", json!({ "error": error }).to_string());
        *response.status_mut() = self.status;
        response
    }
}
