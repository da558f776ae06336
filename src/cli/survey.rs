//! Questions to every server at once: `status` and `member list` over its port for clients, and
//! its report over its HTTP port, where it has one (docs/adr/0035).
//!
//! Each server is asked for itself, because a cluster that is sick is sick in the eyes of some
//! servers only, and no question may need another server than the one that it is about.

use std::time::Duration;

use coracle::client::{Error, Status, members_of, status_of};
use coracle::config::{Server, Settings};
use coracle::http::{Fetched, REPORT_BYTES_MAX, REPORT_PATH, fetch};
use coracle::protocol::MembersReport;
use coracle::types::{Address, NodeId};
use futures_util::future::join_all;
use serde_json::Value;
use tokio::time::timeout;

/// A server and the addresses at which it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub id: NodeId,
    /// Its address for clients.
    pub client: String,
    /// The address of its HTTP port, when it is known to have one.
    pub http: Option<Address>,
}

impl Heard {
    /// A number of the server's report; `None` without a report.
    pub fn reported(&self, name: &str) -> Option<f64> {
        let report = self.report.as_ref()?.as_ref().ok()?;
        report[name].as_f64()
    }
}

impl Target {
    /// A server of servers.toml.
    pub fn listed(server: &Server) -> Target {
        Target { id: server.id, client: server.client_address(), http: server.http_address() }
    }
}

/// The answers of one server. An error is a sentence without its full stop.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    pub target: Target,
    pub status: Result<Status, String>,
    /// The members as it knows them; `None` when it did not tell.
    pub members: Option<MembersReport>,
    /// Its report; `None` when it has no HTTP port that we know.
    pub report: Option<Result<Value, String>>,
}

/// All servers of servers.toml.
pub fn listed(settings: &Settings) -> Vec<Target> {
    settings.servers.values().map(Target::listed).collect()
}

/// Asks a server everything at the same time, and waits for no answer longer than this.
pub async fn hear(target: Target, patience: Duration) -> Heard {
    let report = async {
        let address = target.http.as_ref()?;
        Some(report_of(target.id, address, patience).await)
    };
    let (status, members, report) = tokio::join!(
        status_of(&target.client, patience),
        members_of(&target.client, patience),
        report,
    );
    let status = status.map_err(|error| reason(&error)).and_then(|status| own(&target, status));
    let members = members.ok().filter(|_| status.is_ok());
    Heard { target, status, members, report }
}

/// Asks all these servers, and then the members that these name and that are not among them.
pub async fn hear_all(targets: &[Target], patience: Duration) -> Vec<Heard> {
    let ask =
        |targets: Vec<Target>| join_all(targets.into_iter().map(|target| hear(target, patience)));
    let mut heard = ask(targets.to_vec()).await;
    let more = unlisted(&heard);
    heard.extend(ask(more).await);
    heard.sort_by_key(|heard| heard.target.id);
    heard
}

/// The members that the leader names and that were not asked. They can be asked for what their
/// port for clients gives.
pub fn unlisted(heard: &[Heard]) -> Vec<Target> {
    let members = leading(heard).map(|report| report.members.as_slice()).unwrap_or_default();
    let is_asked = |id: NodeId| heard.iter().any(|heard| heard.target.id == id);
    let more = members.iter().filter(|member| !is_asked(member.id)).filter_map(|member| {
        let client = member.client_address.as_ref()?.to_string();
        Some(Target { id: member.id, client, http: None })
    });
    more.collect()
}

/// The members as the leader knows them; of several servers that take themselves for the leader,
/// the one of the highest term.
pub fn leading(heard: &[Heard]) -> Option<&MembersReport> {
    let leads = |heard: &&Heard| {
        heard.members.as_ref().is_some_and(|members| members.not_leading.is_none())
    };
    let term = |heard: &&Heard| heard.status.as_ref().ok().and_then(|it| it.number("term"));
    heard.iter().filter(leads).max_by_key(term)?.members.as_ref()
}

/// The answer, unless it is that of another server.
fn own(target: &Target, status: Status) -> Result<Status, String> {
    match status.number("id") {
        Some(id) if id != target.id.0 => {
            Err(format!("{} answers as server {id} and not as {}", target.client, target.id))
        }
        _ => Ok(status),
    }
}

/// Asks a server for its report.
async fn report_of(id: NodeId, address: &Address, patience: Duration) -> Result<Value, String> {
    let body = fetch_text(address, REPORT_PATH, REPORT_BYTES_MAX, patience).await?;
    match serde_json::from_str::<Value>(&body) {
        Ok(report) if report["id"] == id.0 => Ok(report),
        Ok(_) | Err(_) => Err(format!("{address} did not answer as server {id} of Coracle")),
    }
}

/// Asks an HTTP port for a path whose answer is a text of at most this many bytes, with the status
/// 200.
pub async fn fetch_text(
    address: &Address,
    path: &str,
    bytes_max: usize,
    patience: Duration,
) -> Result<String, String> {
    match fetch_within(address, path, bytes_max, patience).await? {
        Fetched { status: 200, body } => String::from_utf8(body.into())
            .map_err(|_| format!("{address} answered with what is no text")),
        Fetched { status, .. } => Err(format!("{address} answered with the status {status}")),
    }
}

/// Asks an HTTP port for a path, whatever the status of its answer is.
pub async fn fetch_within(
    address: &Address,
    path: &str,
    bytes_max: usize,
    patience: Duration,
) -> Result<Fetched, String> {
    match timeout(patience, fetch(address, path, bytes_max)).await {
        Ok(Ok(fetched)) => Ok(fetched),
        Ok(Err(error)) => Err(format!("{address} {error}")),
        Err(_) => Err(format!("{address} has not answered within {} ms", patience.as_millis())),
    }
}

/// The reason why one server did not answer, without the words about the whole cluster.
pub fn reason(error: &Error) -> String {
    match error {
        Error::Unavailable { last } => last.clone(),
        error => error.to_string(),
    }
}

#[cfg(test)]
pub mod tests;
