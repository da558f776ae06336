//! The ports of a server: whether they answer, or are free.

use std::io::ErrorKind;
use std::time::Duration;

use coracle::config::Server;
use coracle::types::Address;
use futures_util::future::join_all;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::super::super::survey::Heard;
use super::super::facts::{Port, PortState};

/// A port that is to be looked at.
struct Wanted {
    key: &'static str,
    /// The address at which it is reached.
    reached: Address,
    /// The address at which the server listens.
    listen: Address,
    /// The answer that was got there; `None` where nothing can be asked.
    answer: Option<Result<(), String>>,
}

/// Looks at the ports of a server that has been asked. `is_here` says that it runs on this machine,
/// so that a port at which nothing listens can be tried.
pub async fn look(server: &Server, heard: &Heard, is_here: bool, patience: Duration) -> Vec<Port> {
    let answer = |heard: Result<(), &String>| Some(heard.map_err(Clone::clone));
    let mut wanted = vec![
        Wanted {
            key: "client_port",
            reached: server.advertised.client.clone(),
            listen: server.client_listen.clone(),
            answer: answer(heard.status.as_ref().map(|_| ())),
        },
        Wanted {
            key: "log_port",
            reached: server.advertised.peer.clone(),
            listen: server.log_listen.clone(),
            answer: None,
        },
    ];
    let http = server.http_address().zip(server.http_listen.clone());
    wanted.extend(http.zip(heard.report.as_ref()).map(|((reached, listen), report)| Wanted {
        key: "http_port",
        reached,
        listen,
        answer: answer(report.as_ref().map(|_| ())),
    }));
    join_all(wanted.into_iter().map(|wanted| port(wanted, is_here, patience))).await
}

async fn port(wanted: Wanted, is_here: bool, patience: Duration) -> Port {
    let Wanted { key, reached, listen, answer } = wanted;
    let state = match answer {
        Some(Ok(())) => PortState::Answers,
        answer => match connect(&reached, patience).await {
            Ok(()) => match answer {
                Some(Err(reason)) => PortState::Strange(reason),
                _ => PortState::Answers,
            },
            Err(_) if is_here => match TcpListener::bind((listen.host.as_str(), listen.port)).await
            {
                Ok(_) => PortState::Free,
                Err(error) => PortState::Unusable(format!("{listen}: {error}")),
            },
            Err(reason) => PortState::Silent(reason),
        },
    };
    Port { key, address: reached, state }
}

/// Connects to an address. The error is a clause that says why not.
async fn connect(address: &Address, patience: Duration) -> Result<(), String> {
    let dial = TcpStream::connect((address.host.as_str(), address.port));
    match timeout(patience, dial).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            Err(format!("{address} refuses connections"))
        }
        Ok(Err(error)) => Err(format!("{address} cannot be reached: {error}")),
        Err(_) => Err(format!("{address} takes no connection within {} ms", patience.as_millis())),
    }
}

#[cfg(test)]
mod tests;
