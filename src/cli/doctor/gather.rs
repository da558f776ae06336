//! Gathers the facts: asks the servers and their ports, and looks at what is on this machine. Each
//! answer is waited for no longer than is said.

mod clock;
mod disk;
mod machine;
mod metrics;
mod ports;

use std::time::Duration;

use coracle::config::Server;
use coracle::types::NodeId;
use futures_util::future::join_all;

use super::super::roster::Roster;
use super::super::survey::{Heard, hear_all};
use super::facts::{Facts, Local, ServerFacts};

/// Gathers all facts. `id` is the server whose files are here; without it they are those whose
/// directory exists.
pub async fn gather(roster: Roster, id: Option<NodeId>, patience: Duration) -> Facts {
    let heard = hear_all(&roster.targets, patience).await;
    let settings = roster.settings.map(|settings| *settings);
    let of = heard.into_iter().map(async |heard| {
        let listed = settings.as_ref().and_then(|settings| settings.servers.get(&heard.target.id));
        server(heard, listed, id, patience).await
    });
    let mut servers = join_all(of).await;
    // One after the other: the disks would measure each other.
    for server in &mut servers {
        if let Some(local) = &mut server.local {
            local.fsync = disk::measure(&local.data_dir);
        }
    }
    Facts { settings, servers, machine: machine::look() }
}

async fn server(
    heard: Heard,
    listed: Option<&Server>,
    id: Option<NodeId>,
    patience: Duration,
) -> ServerFacts {
    let is_here = |server: &&Server| match id {
        Some(id) => server.id == id,
        None => server.data_dir.exists(),
    };
    let local: Option<Local> = listed.filter(is_here).map(|server| disk::look(&server.data_dir));
    let ports = async {
        match listed {
            Some(server) => ports::look(server, &heard, local.is_some(), patience).await,
            None => Vec::new(),
        }
    };
    let metrics = metrics::ask(heard.target.http.as_ref(), patience);
    let clock = clock::ask(&heard.target.client, patience);
    let (ports, metrics, clock) = tokio::join!(ports, metrics, clock);
    ServerFacts { heard, ports, clock, metrics, local }
}
