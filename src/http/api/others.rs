//! The other servers: what each says of itself, asked for at its HTTP address.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::HOST;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::types::{Address, NodeId};

/// The time in which another server answers.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Maximum size of a report in bytes.
const REPORT_BYTES_MAX: usize = 64 * 1024;

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
    match timeout(TIMEOUT, fetch(address)).await {
        Err(_) => Err(format!("{address} has not answered within {} ms.", TIMEOUT.as_millis())),
        Ok(Err(reason)) => Err(format!("{address} {reason}.")),
        Ok(Ok(report)) if report["id"] == id.0 => Ok(report),
        Ok(Ok(_)) => Err(format!("{address} did not answer as server {id} of Coracle.")),
    }
}

/// Fetches a report. The error is the end of a sentence about the address.
async fn fetch(address: &Address) -> Result<Value, String> {
    let connected = TcpStream::connect((address.host.as_str(), address.port)).await;
    let stream = connected.map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "refused the connection".to_owned(),
        _ => format!("cannot be reached: {error}"),
    })?;
    let broken = |error: hyper::Error| format!("broke the connection: {error}");
    let (mut sender, connection) =
        http1::handshake::<_, Body>(TokioIo::new(stream)).await.map_err(broken)?;
    let exchange = async {
        let request = Request::get("/console/v1/report").header(HOST, address.to_string());
        let request =
            request.body(Body::empty()).map_err(|error| format!("has no name: {error}"))?;
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        if status != 200 {
            return Err(format!("answered with the status {status}"));
        }
        let body = axum::body::to_bytes(Body::new(response.into_body()), REPORT_BYTES_MAX).await;
        let body = body.map_err(|error| format!("answered too much, or broke off: {error}"))?;
        let report = serde_json::from_slice(&body);
        report.map_err(|_| "did not answer as a Coracle server".to_owned())
    };
    // The connection has to be driven while the answer is waited for, and ends with it.
    tokio::select! {
        answer = exchange => answer,
        _ = connection => Err("closed the connection".to_owned()),
    }
}
