//! The other servers: what each says of itself, asked for at its HTTP address.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::http::{Fetched, REPORT_BYTES_MAX, REPORT_PATH, fetch};
use crate::types::{Address, NodeId};

/// The time in which another server answers.
const TIMEOUT: Duration = Duration::from_millis(500);

/// The last report of another server, and the outcome of the last try to get one.
#[derive(Clone, Debug, Default)]
pub(super) struct OtherReport {
    pub(super) report: Option<(Value, Instant)>,
    pub(super) error: Option<String>,
}

impl OtherReport {
    /// Takes the outcome of a try.
    pub(super) fn take(&mut self, outcome: Result<Value, String>) {
        match outcome {
            Ok(report) => {
                *self = OtherReport { report: Some((report, Instant::now())), error: None }
            }
            Err(sentence) => self.error = Some(sentence),
        }
    }
}

/// Asks a server for its report.
///
/// # Errors
/// A sentence that says which address did what.
pub(super) async fn ask(id: NodeId, address: &Address) -> Result<Value, String> {
    match timeout(TIMEOUT, report(address)).await {
        Err(_) => Err(format!("{address} has not answered within {} ms.", TIMEOUT.as_millis())),
        Ok(Err(reason)) => Err(format!("{address} {reason}.")),
        Ok(Ok(report)) if report["id"] == id.0 => Ok(report),
        Ok(Ok(_)) => Err(format!("{address} did not answer as server {id} of Coracle.")),
    }
}

/// Fetches a report. The error is the end of a sentence about the address.
async fn report(address: &Address) -> Result<Value, String> {
    let fetched = fetch(address, REPORT_PATH, REPORT_BYTES_MAX).await;
    let Fetched { status, body } = fetched.map_err(|error| error.to_string())?;
    if status != 200 {
        return Err(format!("answered with the status {status}"));
    }
    serde_json::from_slice(&body).map_err(|_| "did not answer as a Coracle server".to_owned())
}
