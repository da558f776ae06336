//! The rows and sentences of `top`, made of what the servers have answered.

use std::collections::BTreeMap;

use coracle::protocol::{MemberReport, MemberState, MembersReport};
use coracle::types::NodeId;
use serde_json::Value;

use super::super::member::list::{member_of, tolerance};
use super::super::roster::{Roster, WITHOUT_FILE};
use super::super::survey::{Heard, leading};
use super::super::text::{plural, shown};
use super::column::Column;

/// The role of a server that does not answer.
pub const DOWN: &str = "down";

/// One server.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub id: NodeId,
    /// Its address for clients.
    pub address: String,
    /// True when it answered nothing.
    pub is_down: bool,
    /// Its role in its own words, or that it is down.
    pub role: String,
    /// The word of the leader for its state; none when no leader tells.
    pub state: Option<String>,
    /// The numbers that are known.
    pub numbers: BTreeMap<Column, f64>,
}

/// The cluster at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The name of the cluster.
    pub cluster: String,
    /// The servers by id.
    pub rows: Vec<Row>,
    /// The members as the leader knows them.
    pub members: Option<MembersReport>,
    /// A sentence for each question that was not answered.
    pub notes: Vec<String>,
}

impl View {
    /// The view that these answers make, of servers that were found in this way.
    pub fn of(roster: &Roster, heard: &[Heard]) -> View {
        let mut view = View::new(&roster.name, heard);
        if roster.settings.is_none() {
            view.notes.push(WITHOUT_FILE.into());
        }
        view
    }

    /// The view that these answers make.
    pub fn new(cluster: &str, heard: &[Heard]) -> View {
        let members = leading(heard);
        View {
            cluster: cluster.to_owned(),
            rows: heard.iter().map(|heard| row(heard, members)).collect(),
            members: members.cloned(),
            notes: heard.iter().flat_map(notes).collect(),
        }
    }

    /// The server that leads, and its term.
    pub fn leader(&self) -> Option<(NodeId, u64)> {
        let members = self.members.as_ref()?;
        let leader = members.members.iter().find(|it| it.state == MemberState::Leader)?.id;
        let row = self.rows.iter().find(|row| row.id == leader)?;
        Some((leader, *row.numbers.get(&Column::Term)? as u64))
    }

    /// The sentence on who answers.
    pub fn answers(&self) -> String {
        let count = self.rows.len() as u64;
        let up = self.rows.iter().filter(|row| !row.is_down).count() as u64;
        let answer = if up == 1 { "answers" } else { "answer" };
        let servers = plural("server", count);
        format!("Cluster {}: {count} {servers}, {up} {answer}.", shown(&self.cluster))
    }

    /// The sentences on who leads and how many servers can be lost.
    pub fn tolerance(&self) -> String {
        let Some(members) = &self.members else {
            return "No leader answers: how many can be lost is not known.".into();
        };
        let leads = self.leader().map(|(id, term)| format!(" {id} leads (term {term})."));
        format!("{}{}", tolerance(members), leads.unwrap_or_default())
    }
}

fn row(heard: &Heard, members: Option<&MembersReport>) -> Row {
    let report = report(heard);
    let status = heard.status.as_ref().ok();
    let member = members.and_then(|members| member_of(members, heard.target.id));
    let is_down = status.is_none() && report.is_none();
    let own_role = report.and_then(|report| report["role"].as_str());
    let own_role = own_role.or_else(|| status.and_then(|status| status.get("role")));
    let mut numbers = own_numbers(heard);
    if let Some(member) = member {
        numbers.extend(of_member(member).into_iter().filter_map(known));
    }
    Row {
        id: heard.target.id,
        address: heard.target.client.clone(),
        is_down,
        role: if is_down { DOWN.into() } else { own_role.unwrap_or("unknown").into() },
        state: member.map(|member| member.state.to_string()),
        numbers,
    }
}

fn report(heard: &Heard) -> Option<&Value> {
    heard.report.as_ref()?.as_ref().ok()
}

/// The numbers that a server says of itself: those of its report, or else those of its status.
fn own_numbers(heard: &Heard) -> BTreeMap<Column, f64> {
    let number = |name: &str| {
        let reported = heard.reported(name);
        let status = || heard.status.as_ref().ok().and_then(|status| status.number(name));
        reported.or_else(|| status().map(|number| number as f64))
    };
    let unapplied = number("commit_index")
        .zip(number("last_applied"))
        .map(|(commit, applied)| (commit - applied).max(0.0));
    let named = Column::ALL
        .into_iter()
        .filter(|column| !matches!(column, Column::Lag | Column::Seen | Column::Unapplied));
    let named = named.map(|column| (column, number(column.json_name())));
    named.chain([(Column::Unapplied, unapplied)]).filter_map(known).collect()
}

/// The numbers that the leader knows of a member. One that it does not hear is behind by an unknown
/// number of entries, never by the last one that was known.
fn of_member(member: &MemberReport) -> [(Column, Option<f64>); 2] {
    let behind = match member.state {
        MemberState::Leader => Some(0),
        MemberState::Unseen | MemberState::Unknown => None,
        _ => member.behind,
    };
    let seen = member.seen_ms.filter(|_| member.state != MemberState::Leader);
    [(Column::Lag, behind), (Column::Seen, seen)]
        .map(|(column, number)| (column, number.map(|number| number as f64)))
}

fn known((column, number): (Column, Option<f64>)) -> Option<(Column, f64)> {
    Some((column, number?))
}

/// A sentence for each question that a server did not answer. One that answers nothing is told
/// once.
fn notes(heard: &Heard) -> Vec<String> {
    let id = heard.target.id;
    let sentence = |reason: &str| format!("{id}: {}.", shown(reason));
    match (&heard.status, &heard.report) {
        (Err(status), _) => vec![sentence(status)],
        (Ok(_), Some(Err(report))) => vec![sentence(report)],
        (Ok(_), Some(Ok(_)) | None) => Vec::new(),
    }
}

#[cfg(test)]
pub mod tests;
