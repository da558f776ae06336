//! `status`: asks every server directly, and prints one table.

use anstyle::Style;
use clap::Args;
use coracle::client::{Error, Status, status_of};
use coracle::types::NodeId;
use futures_util::future::join_all;

use super::cluster::{Cluster, block_on};
use super::failure::Failure;
use super::json::{AsJson, Object, json_list};
use super::paint::{BAD, GOOD, PLAIN, Paint};
use super::survey::Target;

#[derive(Args, Debug)]
pub struct StatusCommand {
    #[command(flatten)]
    json: AsJson,
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
        let table = || Paint::of_stdout().table(&rows(&asked), style);
        self.json.print(|| object(&asked), table)?;
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

/// The commit index of the leader. A deposed one may not know it yet, so the highest term counts.
fn leader_commit(asked: &[Asked]) -> Option<u64> {
    let statuses = asked.iter().filter_map(|(_, _, answer)| answer.as_ref().ok());
    let leaders = statuses.filter(|status| status.get("role") == Some("leader"));
    leaders.max_by_key(|status| status.number("term"))?.number("commit_index")
}

/// The number of entries that a server has not applied yet, and the leader knows to be committed.
fn lag(status: &Status, leader_commit: Option<u64>) -> Option<u64> {
    Some(leader_commit?.saturating_sub(status.number("last_applied")?))
}

fn object(asked: &[Asked]) -> Object {
    let leader_commit = leader_commit(asked);
    let servers = asked.iter().map(|(id, address, answer)| {
        let status = answer.as_ref().ok();
        let number = |name| status.and_then(|status| status.number(name));
        Object::new()
            .raw("id", id)
            .optional_text("role", status.and_then(|status| status.get("role")))
            .optional("term", number("term"))
            .optional("commit_index", number("commit_index"))
            .optional("last_applied", number("last_applied"))
            .optional("lag", status.and_then(|status| lag(status, leader_commit)))
            .text("client_address", address)
            .raw("is_reachable", status.is_some())
    });
    Object::new().raw("servers", json_list(servers))
}

fn rows(asked: &[Asked]) -> Vec<[String; 8]> {
    let leader_commit = leader_commit(asked);
    let mut rows = vec![HEADER.map(str::to_owned)];
    rows.extend(asked.iter().map(|asked| row(asked, leader_commit)));
    rows
}

/// The style of a row.
fn style([_, role, .., is_reachable]: &[String; 8]) -> Style {
    match (role.as_str(), is_reachable.as_str()) {
        (_, "no") => BAD,
        ("leader", _) => GOOD,
        _ => PLAIN,
    }
}

fn row((id, address, answer): &Asked, leader_commit: Option<u64>) -> [String; 8] {
    let Ok(status) = answer else {
        let none = || "-".to_owned();
        let (id, address) = (id.to_string(), address.clone());
        return [id, none(), none(), none(), none(), none(), address, "no".into()];
    };
    let shown = |name| status.get(name).unwrap_or("-").to_owned();
    let lag = lag(status, leader_commit).map_or("-".into(), |lag| lag.to_string());
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
