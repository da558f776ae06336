//! Questions to the HTTP port of a server, from another server or from the command line.

use std::io;
use std::pin::pin;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use axum::http::header::HOST;
use bytes::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::types::Address;

/// The path of a server's report.
pub const REPORT_PATH: &str = "/console/v1/report";
/// Maximum size of a report in bytes.
pub const REPORT_BYTES_MAX: usize = 64 * 1024;

/// An answer, whatever its status is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The status of HTTP, such as 200.
    pub status: u16,
    /// The body.
    pub body: Bytes,
}

/// The reason why there is no answer. As a text it is the end of a sentence about the address.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Nothing listens there.
    #[error("refused the connection")]
    Refused,
    /// The host has no address, or no way leads there.
    #[error("cannot be reached: {0}")]
    Unreachable(io::Error),
    /// The path or the address cannot be asked for.
    #[error("cannot be asked: {0}")]
    Unaskable(axum::http::Error),
    /// The server does not speak HTTP, or the connection broke.
    #[error("broke the connection: {0}")]
    Broken(#[from] hyper::Error),
    /// The body is longer than the asker takes, or broke off.
    #[error("answered with more than {bytes_max} bytes, or broke off: {reason}")]
    TooLong {
        /// Maximum size of the body in bytes.
        bytes_max: usize,
        /// The words of the library.
        reason: axum::Error,
    },
}

/// Asks the HTTP port at an address for a path, over a connection of its own. A body has at most
/// `body_bytes_max` bytes. The time is not bounded: that is the caller's.
///
/// # Errors
/// [`FetchError`] when there is no whole answer.
pub async fn fetch(
    address: &Address,
    path: &str,
    body_bytes_max: usize,
) -> Result<Fetched, FetchError> {
    let connected = TcpStream::connect((address.host.as_str(), address.port)).await;
    let stream = connected.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => FetchError::Refused,
        _ => FetchError::Unreachable(error),
    })?;
    let (mut sender, connection) = http1::handshake::<_, Body>(TokioIo::new(stream)).await?;
    let exchange = async {
        let request = Request::get(path).header(HOST, address.to_string()).body(Body::empty());
        let response = sender.send_request(request.map_err(FetchError::Unaskable)?).await?;
        let status = response.status().as_u16();
        let body = to_bytes(Body::new(response.into_body()), body_bytes_max).await;
        let too_long = |reason| FetchError::TooLong { bytes_max: body_bytes_max, reason };
        Ok(Fetched { status, body: body.map_err(too_long)? })
    };
    let mut exchange = pin!(exchange);
    // The connection has to be driven while the answer is waited for. It may end before what it
    // has brought is read, and the exchange itself notices if something is missing.
    tokio::select! {
        answer = &mut exchange => answer,
        _ = connection => exchange.await,
    }
}

#[cfg(test)]
mod tests;
