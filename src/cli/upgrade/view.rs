//! The cluster as the answers of its servers to `status` show it: a table, and sentences on the
//! format in force and the next one.

use coracle::client::{Error, Status};
use coracle::raft::RaiseWait;
use coracle::types::{Format, FormatRange, NodeId};

use super::super::json::{Object, json_list};
use super::super::paint::{BAD, GOOD, PLAIN, Paint};
use super::super::text::{named, shown};

/// The servers of a cluster, each with what it answered.
#[derive(Debug)]
pub struct View {
    /// All servers.
    pub servers: Vec<ServerView>,
}

/// A server and its answer.
#[derive(Debug)]
pub struct ServerView {
    /// The server.
    pub id: NodeId,
    /// The facts that it answered with; `None` when it did not answer.
    pub facts: Option<Facts>,
}

/// The facts about one server, as it tells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    role: String,
    term: u64,
    version: String,
    reads: FormatRange,
    format: Format,
    is_held: bool,
    waits_for: Option<String>,
}

const HEADER: [&str; 7] = ["id", "role", "version", "reads formats", "format", "held", "reachable"];

/// The version that is shown of a server from before format 2, which does not tell it.
const SILENT_VERSION: &str = "0.1.0?";

impl View {
    /// The view that these answers give.
    pub fn new(answers: impl IntoIterator<Item = (NodeId, Result<Status, Error>)>) -> View {
        let server = |(id, answer): (NodeId, Result<Status, Error>)| ServerView {
            id,
            facts: answer.ok().as_ref().map(Facts::of),
        };
        View { servers: answers.into_iter().map(server).collect() }
    }

    /// The format in force: the highest that a server knows to be.
    pub fn format(&self) -> Option<Format> {
        self.answered().map(|(_, facts)| facts.format).max()
    }

    /// The servers that hold the format.
    pub fn holders(&self) -> Vec<NodeId> {
        self.answered().filter(|(_, facts)| facts.is_held).map(|(id, _)| id).collect()
    }

    /// The servers that did not answer.
    pub fn unreachable(&self) -> Vec<NodeId> {
        self.servers.iter().filter(|s| s.facts.is_none()).map(|server| server.id).collect()
    }

    /// True when those that answered are a majority, or one of them leads: then no format is in
    /// force that none of them knows of, unless it was put in force this very moment.
    pub fn is_current(&self) -> bool {
        self.leader().is_some() || self.answered().count() > self.servers.len() / 2
    }

    /// True when the leader has begun a raise whose outcome is not known yet.
    pub fn is_raising(&self) -> bool {
        let clause = self.leader().and_then(|(_, leader)| leader.waits_for.as_deref());
        clause == Some(RaiseWait::UnderWay.to_string().as_str())
    }

    fn answered(&self) -> impl Iterator<Item = (NodeId, &Facts)> {
        self.servers.iter().filter_map(|server| Some((server.id, server.facts.as_ref()?)))
    }

    /// The leader. A deposed one may not know it yet, so the highest term counts.
    fn leader(&self) -> Option<(NodeId, &Facts)> {
        self.answered().filter(|(_, facts)| facts.role == "leader").max_by_key(|(_, f)| f.term)
    }

    /// The rows of the table, the header first.
    pub fn rows(&self) -> Vec<[String; 7]> {
        let mut rows = vec![HEADER.map(str::to_owned)];
        rows.extend(self.servers.iter().map(|server| match &server.facts {
            Some(facts) => [
                server.id.to_string(),
                facts.role.clone(),
                facts.version.clone(),
                facts.reads.to_string(),
                facts.format.to_string(),
                if facts.is_held { "yes" } else { "no" }.into(),
                "yes".into(),
            ],
            None => {
                let none = || "-".to_owned();
                [server.id.to_string(), none(), none(), none(), none(), none(), "no".into()]
            }
        }));
        rows
    }

    /// The table of the servers.
    pub fn table(&self, paint: Paint) -> String {
        paint.table(&self.rows(), |[_, role, .., is_reachable]| {
            match (role.as_str(), is_reachable.as_str()) {
                (_, "no") => BAD,
                ("leader", _) => GOOD,
                _ => PLAIN,
            }
        })
    }

    /// The view as JSON.
    pub fn json(&self) -> Object {
        let server = |ServerView { id, facts }: &ServerView| {
            let facts = facts.as_ref();
            Object::new()
                .raw("id", id)
                .optional_text("role", facts.map(|facts| facts.role.as_str()))
                .optional_text("version", facts.map(|facts| facts.version.as_str()))
                .optional_text("reads_formats", facts.map(|it| it.reads.to_string()).as_deref())
                .optional("format", facts.map(|facts| facts.format))
                .optional("is_held", facts.map(|facts| facts.is_held))
                .raw("is_reachable", facts.is_some())
        };
        let waits_for = self.leader().and_then(|(_, leader)| leader.waits_for.as_deref());
        Object::new()
            .optional("format", self.format())
            .optional_text("next_format_waits_for", waits_for)
            .raw("servers", json_list(self.servers.iter().map(server)))
    }

    /// The sentences below the table, each on a line of its own.
    pub fn sentences(&self) -> String {
        let Some(format) = self.format() else { return String::new() };
        let mut text = format!("Format {format} is in force{}\n", self.next_format(format));
        let holders = self.holders();
        if !holders.is_empty() {
            let holders = named(&holders);
            text += &format!("Held by {holders}; `coracle upgrade release` ends that.\n");
        }
        text
    }

    /// The rest of the sentence on the format in force.
    fn next_format(&self, format: Format) -> String {
        let highest = self.answered().map(|(_, facts)| facts.reads.highest).max();
        let has_next = highest.is_some_and(|highest| highest > format);
        let next = format.next();
        let Some((id, leader)) = self.leader() else {
            return ", as far as the servers know that answered. No leader answered, and only a \
                    leader raises it."
                .into();
        };
        match &leader.waits_for {
            Some(clause) => format!("; format {next} waits: {clause}."),
            None if has_next && leader.reads.highest <= format => format!(
                "; format {next} waits: server {id} ({}), which leads, reads formats {}.",
                leader.version, leader.reads
            ),
            None if has_next => format!("; format {next} is about to be."),
            None if self.unreachable().is_empty() => {
                ", which every server reads. Nothing to raise.".into()
            }
            None => ", the highest that the servers read which answered. Nothing to raise.".into(),
        }
    }
}

impl Facts {
    fn of(status: &Status) -> Facts {
        let told = |name| status.get(name).unwrap_or("-").to_owned();
        let format = status.number("format").and_then(|format| u32::try_from(format).ok());
        Facts {
            role: told("role"),
            term: status.number("term").unwrap_or_default(),
            version: shown(status.get("version").unwrap_or(SILENT_VERSION)),
            reads: status
                .get("reads_formats")
                .and_then(parse_range)
                .unwrap_or(FormatRange::FIRST_ONLY),
            format: format.map_or(Format::FIRST, Format),
            is_held: status.get("upgrade_held") == Some("yes"),
            waits_for: status
                .get("upgrade_waits_for")
                .filter(|clause| *clause != "none")
                .map(shown),
        }
    }
}

/// The formats in a text such as `1..2`.
pub fn parse_range(text: &str) -> Option<FormatRange> {
    let (lowest, highest) = text.split_once("..")?;
    let format = |text: &str| text.parse().ok().map(Format);
    let (lowest, highest) = (format(lowest)?, format(highest)?);
    (Format::FIRST <= lowest && lowest <= highest).then_some(FormatRange { lowest, highest })
}

#[cfg(test)]
pub(super) mod tests;
