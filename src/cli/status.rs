//! `status`: asks every server directly, and prints one table.

use clap::Args;
use coracle::client::{Error, Status, status_of};
use coracle::types::NodeId;
use futures_util::future::join_all;

use super::cluster::{Cluster, block_on};
use super::failure::Failure;
use super::output::{print, table};
use super::survey::Target;

#[derive(Args, Debug)]
pub struct StatusCommand {
    #[command(flatten)]
    cluster: Cluster<1_000, 1_000>,
}

/// A server, its address and its answer.
type Asked = (NodeId, String, Result<Status, Error>);

const HEADER: [&str; 8] =
    ["id", "role", "term", "commit", "applied", "lag", "client address", "reachable"];

impl StatusCommand {
    /// Prints the table. Fails when no server answered.
    pub fn run(self) -> Result<(), Failure> {
        let asked = block_on(self.ask())??;
        print(table(&rows(&asked)).as_bytes())?;
        if asked.iter().all(|(_, _, answer)| answer.is_err()) {
            return Err(Failure::Unavailable("no server answered".into()));
        }
        Ok(())
    }

    async fn ask(&self) -> Result<Vec<Asked>, Failure> {
        let roster = self.cluster.roster().await?;
        let ask = roster.targets.into_iter().map(async |Target { id, client, .. }| {
            let answer = status_of(&client, self.cluster.patience()).await;
            (id, client, answer)
        });
        Ok(join_all(ask).await)
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
