//! Gathers the facts: asks the servers and their ports, and looks at what is on this machine. Each
//! answer is waited for no longer than [`PATIENCE`].

mod clock;
mod disk;
mod machine;
mod metrics;
mod ports;

use std::time::Duration;

use coracle::config::{Server, Settings};
use coracle::types::NodeId;
use futures_util::future::join_all;

use super::super::survey::{Heard, hear_all, listed};
use super::facts::{Facts, Local, ServerFacts};

/// Maximum time to wait for one answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Gathers all facts. `id` is the server whose files are here; without it they are those whose
/// directory exists.
pub async fn gather(settings: Settings, id: Option<NodeId>) -> Facts {
    let heard = hear_all(&listed(&settings), PATIENCE).await;
    let of = heard.into_iter().map(async |heard| {
        let listed = settings.servers.get(&heard.target.id);
        server(heard, listed, id).await
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

async fn server(heard: Heard, listed: Option<&Server>, id: Option<NodeId>) -> ServerFacts {
    let is_here = |server: &&Server| match id {
        Some(id) => server.id == id,
        None => server.data_dir.exists(),
    };
    let local: Option<Local> = listed.filter(is_here).map(|server| disk::look(&server.data_dir));
    let ports = async {
        match listed {
            Some(server) => ports::look(server, &heard, local.is_some(), PATIENCE).await,
            None => Vec::new(),
        }
    };
    let metrics = metrics::ask(heard.target.http.as_ref(), PATIENCE);
    let clock = clock::ask(&heard.target.client, PATIENCE);
    let (ports, metrics, clock) = tokio::join!(ports, metrics, clock);
    ServerFacts { heard, ports, clock, metrics, local }
}
