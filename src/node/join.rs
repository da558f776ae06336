//! Joining: how a server that knows one address of a cluster gets its settings (docs/adr/0027).
//!
//! It asks the server at that address who the members are, each second until it is one of them.
//! What it learned is kept in its data directory before anything else is, so that a server that
//! has joined never asks again, and never takes itself for one of a new cluster.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use log::Level;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::codec::{Decoder, Encoder};

use super::environment::Environment;
use super::error::NodeError;
use crate::config::{JoinSettings, Settings};
use crate::logging::{BURST, LogLimit, ONCE};
use crate::net::{Network, Stream};
use crate::storage::{JoinedCluster, keep_joined, read_joined};
use crate::types::{Address, NodeId};
use crate::wire::{Frame, FrameCodec, JOINED_FRAME_BYTES_MAX, JoinAnswer, JoinRequest, WireError};

/// The pause between two questions.
const ASK_PAUSE: Duration = Duration::from_secs(1);
/// The time limit for a question and its answer.
const ASK_TIMEOUT: Duration = Duration::from_secs(3);

/// The start of a server that joins a cluster.
#[derive(Clone, Debug)]
pub struct JoinOptions {
    /// The address for other servers of any server of the cluster.
    pub address: Address,
    /// The id with which the server was added, or will be.
    pub id: NodeId,
    /// The settings that it has before it knows the cluster.
    pub settings: JoinSettings,
}

/// The settings of the server, once it is a member. Until then this waits.
///
/// # Errors
/// When its data directory cannot be used.
pub(super) async fn settings(
    options: &JoinOptions,
    environment: &Environment,
) -> Result<Settings, NodeError> {
    let JoinOptions { id, settings, .. } = options;
    let (network, disk) = (environment.network.as_ref(), environment.disk.as_ref());
    let dir = settings.directory(*id);
    let joined = match read_joined(disk, &dir)? {
        Some(joined) => joined,
        None => {
            let joined = wait_until_member(options, environment).await;
            keep_joined(disk, &dir, &joined)?;
            log::info!(
                node = id;
                "joins cluster {:?} of {} servers", joined.cluster, joined.members.len()
            );
            joined
        }
    };
    let mut full = settings.settings(*id, &joined.cluster, &joined.members, joined.promise);
    if let Some(own) = full.servers.get_mut(id) {
        if !settings.has_client_listen() {
            own.client_listen = listener(network, &own.client_listen, *id).await;
        }
        if !settings.has_log_listen() {
            own.log_listen = listener(network, &own.log_listen, *id).await;
        }
    }
    Ok(full)
}

/// Asks until the server is a member. It says what it waits for, when that changes and each ten
/// minutes.
async fn wait_until_member(options: &JoinOptions, environment: &Environment) -> JoinedCluster {
    let JoinOptions { address, id, settings } = options;
    let request = JoinRequest {
        id: *id,
        cluster: settings.cluster().map(str::to_owned),
        formats: environment.surroundings.formats,
        binary: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let mut lines = LogLimit::new(ONCE, BURST);
    loop {
        let reason = match ask(environment.network.as_ref(), address, &request).await {
            Ok(answer) if answer.membership.members.contains_key(id) => {
                return JoinedCluster {
                    id: *id,
                    cluster: answer.cluster,
                    cluster_id: answer.cluster_id,
                    promise: answer.promise,
                    members: answer.membership.members,
                    at: answer.at,
                };
            }
            Ok(_) => "its answer does not name this server".to_owned(),
            Err(error) => error.to_string(),
        };
        let (level, left_out) = lines.level(Level::Warn, reason.clone());
        log::log!(
            level, node = id, left_out;
            "waits to join the cluster of the server at {address}, asks again each second and goes \
             on by itself: {reason}"
        );
        tokio::time::sleep(ASK_PAUSE).await;
    }
}

/// The reason why a question got no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("it could not be dialled or broke the connection off: {0}")]
    Broken(#[from] io::Error),
    #[error("it did not answer within {} s", ASK_TIMEOUT.as_secs())]
    TimedOut,
    #[error("{0}")]
    Refused(String),
    #[error("it does not speak the language of servers ({0}): is this its address for clients?")]
    Wire(#[from] WireError),
    #[error(
        "it closed the connection without an answer: it may be a version that nobody can join, or \
         this may be its address for clients"
    )]
    Closed,
}

async fn ask(
    network: &dyn Network,
    address: &Address,
    request: &JoinRequest,
) -> Result<JoinAnswer, AskError> {
    let asked = async {
        let stream = network.connect(&address.host, address.port).await?;
        exchange(stream, request).await
    };
    tokio::time::timeout(ASK_TIMEOUT, asked).await.unwrap_or(Err(AskError::TimedOut))
}

/// Sends the question, and reads the answer.
async fn exchange(mut stream: Stream, request: &JoinRequest) -> Result<JoinAnswer, AskError> {
    let mut codec = FrameCodec::new(JOINED_FRAME_BYTES_MAX);
    let mut bytes = BytesMut::new();
    codec.encode(&Frame::Join(request.clone()), &mut bytes)?;
    stream.writer.write_all(&bytes).await?;
    bytes.clear();
    loop {
        match codec.decode(&mut bytes)? {
            Some(Frame::Joined(answer)) => return Ok(answer),
            Some(Frame::Refused { reason }) => return Err(AskError::Refused(reason)),
            Some(_) => return Err(AskError::Closed),
            None if stream.reader.read_buf(&mut bytes).await? == 0 => return Err(AskError::Closed),
            None => {}
        }
    }
}

/// The address to listen at for those who reach the server at `reached`: that one, or all addresses
/// of this machine when it is none of them, as in a container.
async fn listener(network: &dyn Network, reached: &Address, id: NodeId) -> Address {
    let error = match network.listen(&reached.host, reached.port).await {
        Ok(_) => return reached.clone(),
        Err(error) => error,
    };
    if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) {
        return reached.clone();
    }
    let host = if reached.host.contains(':') { "::" } else { "0.0.0.0" };
    let all = Address { host: host.to_owned(), port: reached.port };
    log::info!(
        node = id;
        "listens at {all}, because this machine cannot listen at {reached} ({error})"
    );
    all
}

#[cfg(test)]
mod tests;
