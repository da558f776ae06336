//! `status`: asks every server directly, and prints one table.

use std::time::Duration;

use clap::Args;
use coracle::client::{Error, Status, status_of};
use coracle::types::NodeId;
use futures_util::future::join_all;

use super::cluster::{ConfigFile, block_on};
use super::failure::Failure;
use super::output::{print, table};

#[derive(Args, Debug)]
pub struct StatusCommand {
    #[command(flatten)]
    file: ConfigFile,
    /// Maximum time to wait for a server's answer
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    timeout_ms: u64,
}

/// A server, its address and its answer.
type Asked = (NodeId, String, Result<Status, Error>);

const HEADER: [&str; 8] =
    ["id", "role", "term", "commit", "applied", "lag", "client address", "reachable"];

impl StatusCommand {
    /// Prints the table. Fails when no server answered.
    pub fn run(self) -> Result<(), Failure> {
        let settings = self.file.load()?;
        let patience = Duration::from_millis(self.timeout_ms);
        let asked = settings.servers.values().map(async |server| {
            let address = server.client_address();
            let answer = status_of(&address, patience).await;
            (server.id, address, answer)
        });
        let asked: Vec<Asked> = block_on(join_all(asked))?;
        print(table(&rows(&asked)).as_bytes())?;
        if asked.iter().all(|(_, _, answer)| answer.is_err()) {
            return Err(Failure::Unavailable("no server answered".into()));
        }
        Ok(())
    }
}

fn rows(asked: &[Asked]) -> Vec<[String; 8]> {
    // A deposed leader may not know it yet, so the highest term counts.
    let leader_commit = asked
        .iter()
        .filter_map(|(_, _, answer)| answer.as_ref().ok())
        .filter(|status| status.get("role") == Some("leader"))
        .max_by_key(|status| status.number("term"))
        .and_then(|status| status.number("commit_index"));
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(asked.iter().map(|asked| row(asked, leader_commit)));
    rows
}

fn row((id, address, answer): &Asked, leader_commit: Option<u64>) -> [String; 8] {
    let Ok(status) = answer else {
        let none = || "-".to_owned();
        let (id, address) = (id.to_string(), address.clone());
        return [id, none(), none(), none(), none(), none(), address, "no".into()];
    };
    let shown = |name| status.get(name).unwrap_or("-").to_owned();
    let lag = leader_commit
        .zip(status.number("last_applied"))
        .map_or("-".into(), |(commit, applied)| commit.saturating_sub(applied).to_string());
    [
        id.to_string(),
        shown("role"),
        shown("term"),
        shown("commit_index"),
        shown("last_applied"),
        lag,
        address.clone(),
        "yes".into(),
    ]
}
