//! Everything that the servers say of themselves. All questions are asked at the same time, and
//! each answer has a bound on its time and on its size.

use std::time::Duration;

use coracle::client::{members_of, status_of};
use coracle::http::Fetched;
use coracle::types::{Address, NodeId};
use futures_util::future::join_all;

use super::super::member::list::json;
use super::super::survey::{Target, fetch_within, reason};
use super::manifest::Part;

/// Maximum size of an answer over HTTP in bytes.
const BYTES_MAX: usize = 4 << 20;

/// The paths that are asked for at an HTTP port, each with the name of its file. The answer of a
/// health check is taken whatever it is.
const PATHS: [(&str, &str, &[u16]); 5] = [
    ("report.json", "/console/v1/report", &[200]),
    ("metrics.txt", "/metrics", &[200]),
    ("livez.txt", "/livez?verbose", &[200, 503]),
    ("readyz.txt", "/readyz?verbose", &[200, 503]),
    ("version.json", "/version", &[200]),
];

/// Asks all these servers, and waits for no answer longer than this.
pub async fn collect(targets: &[Target], patience: Duration) -> Vec<Part> {
    let of_each = targets.iter().map(|target| of_server(target, patience));
    join_all(of_each).await.into_iter().flatten().collect()
}

async fn of_server(target: &Target, patience: Duration) -> Vec<Part> {
    let id = target.id;
    let http = join_all(PATHS.iter().map(async |(name, path, statuses)| {
        let content = match &target.http {
            Some(address) => get(address, path, statuses, patience).await,
            None => {
                Err(format!("no HTTP port of server {id} is known: only servers.toml names it"))
            }
        };
        part(id, name, content)
    }));
    let (status, members, http) =
        tokio::join!(status(target, patience), members(target, patience), http);
    let mut parts = vec![part(id, "status.txt", status), part(id, "members.json", members)];
    parts.extend(http);
    parts
}

fn part(id: NodeId, name: &str, content: Result<Vec<u8>, String>) -> Part {
    Part { name: format!("n{id}/{name}"), content }
}

async fn status(target: &Target, patience: Duration) -> Result<Vec<u8>, String> {
    let status = status_of(&target.client, patience).await.map_err(|error| reason(&error))?;
    let lines = status.iter().map(|(name, value)| format!("{name} {value}\n"));
    Ok(lines.collect::<String>().into_bytes())
}

async fn members(target: &Target, patience: Duration) -> Result<Vec<u8>, String> {
    let report = members_of(&target.client, patience).await.map_err(|error| reason(&error))?;
    Ok(json(&report).line().into_bytes())
}

async fn get(
    address: &Address,
    path: &str,
    statuses: &[u16],
    patience: Duration,
) -> Result<Vec<u8>, String> {
    match fetch_within(address, path, BYTES_MAX, patience).await? {
        Fetched { status, body } if statuses.contains(&status) => Ok(body.into()),
        Fetched { status, .. } => Err(format!("{address} answered with the status {status}")),
    }
}

#[cfg(test)]
mod tests;
