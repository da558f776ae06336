//! `member list`: the members in a table, and in JSON.

use std::time::Duration;

use anstyle::Style;
use coracle::client::status_of;
use coracle::protocol::{
    CanLose, ChangeReport, MemberKind, MemberReport, MemberState, MembersReport,
};
use coracle::types::NodeId;
use tokio::time::{Instant, sleep};

use super::super::cluster::block_on;
use super::super::failure::Failure;
use super::super::json::{Object, json_list};
use super::super::output::print;
use super::super::paint::{BAD, DOUBTFUL, GOOD, PLAIN, Paint};
use super::super::text::{grouped, plural, shown, time};
use super::session::{Answer, Session, View, no_answer};

/// The time between two looks at servers that catch up, which shows how fast they do.
const SECOND_LOOK: Duration = Duration::from_millis(500);

const HEADER: [&str; 8] =
    ["id", "counts as", "is", "servers address", "seen", "behind", "reads formats", "binary"];

/// An earlier report, by which the speed is known at which members catch up.
#[derive(Debug)]
pub struct Earlier {
    /// The report.
    pub report: MembersReport,
    /// The time from it to the later one.
    pub elapsed: Duration,
}

/// Prints the members as the leader knows them, or else as each server does that answers.
pub fn run(answer: &Answer) -> Result<(), Failure> {
    let text = block_on(async {
        let mut session = Session::new(answer)?;
        let view = session.view().await;
        if view.reports.is_empty() {
            return Err(view.silence.map_or_else(no_answer, Failure::from));
        }
        if answer.json {
            return Ok(json_views(&view));
        }
        let paint = Paint::of_stdout();
        let Some(report) = view.leading().cloned() else { return Ok(views(&view, paint)) };
        let (report, earlier) = second_look(&mut session, report).await;
        let waits_for = next_format_waits(&report).await;
        let mut text = paint.table(&rows(&report, earlier.as_ref()), style);
        text += &sentences(&report, waits_for.as_deref());
        Ok(text)
    })?;
    print(text?.as_bytes())
}

/// Asks the leader a second time when a member catches up.
async fn second_look(
    session: &mut Session,
    report: MembersReport,
) -> (MembersReport, Option<Earlier>) {
    let catches_up =
        |member: &MemberReport| member.state == MemberState::Catching || member.snapshot.is_some();
    if !report.members.iter().any(catches_up) {
        return (report, None);
    }
    let start = Instant::now();
    sleep(SECOND_LOOK).await;
    match session.leading().await {
        Some(later) => (later, Some(Earlier { report, elapsed: start.elapsed() })),
        None => (report, None),
    }
}

/// The clause that says what the leader's next raise of the format waits for.
async fn next_format_waits(report: &MembersReport) -> Option<String> {
    let leader = report.members.iter().find(|member| member.state == MemberState::Leader)?;
    let address = leader.client_address.as_ref()?.to_string();
    let status = status_of(&address, Duration::from_secs(1)).await.ok()?;
    status.get("upgrade_waits_for").filter(|clause| *clause != "none").map(str::to_owned)
}

/// The rows of the table, the header first.
fn rows(report: &MembersReport, earlier: Option<&Earlier>) -> Vec<[String; 8]> {
    let mut rows = vec![HEADER.map(str::to_owned)];
    let is_leading = report.not_leading.is_none();
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    rows.extend(report.members.iter().map(|member| {
        [
            member.id.to_string(),
            member.kind.to_string(),
            member.state.to_string(),
            or_dash(member.log_address.as_ref().map(ToString::to_string)),
            seen(member, is_leading),
            behind(member, earlier).unwrap_or_else(|| unknown(member, is_leading)),
            or_dash(member.formats.map(|formats| formats.to_string())),
            or_dash(member.version.clone()),
        ]
    }));
    rows
}

/// The style of a row.
fn style([_, _, state, ..]: &[String; 8]) -> Style {
    match state.as_str() {
        "leader" => GOOD,
        "unseen" => BAD,
        "catching" | "rejoining" | "draining" => DOUBTFUL,
        _ => PLAIN,
    }
}

/// The cell of a fact that nobody has told.
fn unknown(member: &MemberReport, is_leading: bool) -> String {
    let is_told = is_leading && member.state != MemberState::Leader;
    if is_told { "unknown" } else { "-" }.into()
}

fn seen(member: &MemberReport, is_leading: bool) -> String {
    match member.seen_ms {
        Some(ms) if member.state != MemberState::Leader => time(Duration::from_millis(ms)),
        _ => unknown(member, is_leading),
    }
}

/// The distance of a member: in entries, or in the per cent of its snapshot that it has; and the
/// time that is left, when an earlier report tells how fast it catches up.
pub fn behind(member: &MemberReport, earlier: Option<&Earlier>) -> Option<String> {
    if matches!(member.state, MemberState::Leader | MemberState::Unseen) {
        return None;
    }
    let before = earlier.and_then(|it| Some((member_of(&it.report, member.id)?, it.elapsed)));
    let left = |done: u64, left: u64, elapsed: Duration| {
        let seconds = left as f64 / (done as f64 / elapsed.as_secs_f64());
        let is_told = left > 0 && seconds.is_finite() && seconds < 1e6;
        if is_told {
            format!(", ~{}", time(Duration::from_secs_f64(seconds.ceil())))
        } else {
            String::new()
        }
    };
    if let Some((has, all)) = member.snapshot {
        let per_cent = 100 * u128::from(has.min(all)) / u128::from(all.max(1));
        let estimate = before.and_then(|(before, elapsed)| {
            let (had, same) = before.snapshot.filter(|(_, same)| *same == all)?;
            Some(left(has.saturating_sub(had), same.saturating_sub(has), elapsed))
        });
        return Some(format!("{per_cent} %{}", estimate.unwrap_or_default()));
    }
    let entries = member.behind?;
    let estimate = before.and_then(|(before, elapsed)| {
        Some(left(before.behind?.saturating_sub(entries), entries, elapsed))
    });
    Some(format!("{}{}", grouped(entries), estimate.unwrap_or_default()))
}

/// The member with this id.
pub fn member_of(report: &MembersReport, id: NodeId) -> Option<&MemberReport> {
    report.members.iter().find(|member| member.id == id)
}

/// The sentences below the table.
fn sentences(report: &MembersReport, waits_for: Option<&str>) -> String {
    let format = report.format;
    let next = waits_for.map_or(String::new(), |clause| {
        format!("; format {} waits: {}", format.next(), shown(clause))
    });
    let mut text = format!("{} Format {format}{next}.\n", tolerance(report));
    if let Some(ChangeReport { number, age_ms, what, waits_for }) = &report.change {
        text += &format!("change {number}: {}", shown(what));
        if let Some(ms) = age_ms {
            text += &format!("; running {}", time(Duration::from_millis(*ms)));
        }
        if let Some(clause) = waits_for {
            text += &format!("; waits for: {}", shown(clause));
        }
        text += ".\n";
    }
    if !report.removed.is_empty() {
        let removed = report.removed.iter().map(|(id, index)| format!("{id} (entry {index})"));
        text += &format!("removed: {}.\n", removed.collect::<Vec<_>>().join(", "));
    }
    text
}

/// A sentence on who counts, how many are needed and here, and how many can be lost.
pub fn tolerance(report: &MembersReport) -> String {
    let MembersReport { voters, needed, .. } = report;
    let is_joint = report.members.iter().any(is_between);
    let joint = if is_joint { " in the smaller of two halves" } else { "" };
    let counted = format!("{} {}, {needed} needed", voters, plural("voter", *voters));
    let Some(here) = report.here else {
        return format!("{counted}; who is here only a leader knows.");
    };
    let can_lose = match report.can_lose {
        CanLose::Voters(number) => format!("can lose {number}"),
        CanLose::NoQuorum => "too few: writes wait".into(),
        CanLose::Unknown => "how many can be lost is not known".into(),
    };
    format!("{counted}, {here} here{joint}: {can_lose}.")
}

/// True of a member while a change of voters is between its two halves.
pub fn is_between(member: &MemberReport) -> bool {
    matches!(member.kind, MemberKind::Incoming | MemberKind::Outgoing)
}

/// The tables of all servers that answered, when none of them leads. Servers that know the same
/// have one table.
fn views(view: &View, paint: Paint) -> String {
    let mut groups: Vec<(Vec<String>, MembersReport)> = Vec::new();
    for report in &view.reports {
        let id = report.not_leading.map_or("-".into(), |id| id.to_string());
        match groups.iter_mut().find(|(_, other)| is_same(other, report)) {
            Some((ids, known)) => {
                ids.push(id);
                add_programs(known, report);
            }
            None => groups.push((vec![id], report.clone())),
        }
    }
    let mut text = String::from("No leader answered.\n");
    for (ids, report) in &groups {
        let committed = if report.is_committed { "committed" } else { "perhaps not committed" };
        let servers = plural("server", ids.len() as u64);
        let knows = if ids.len() == 1 { "knows" } else { "know" };
        let ids = ids.join(", ");
        text += &format!("As {servers} {ids} {knows} it (entry {}, {committed}):\n", report.index);
        text += &paint.table(&rows(report, None), style);
        text += &sentences(report, None);
    }
    text
}

/// True when two servers know the same of the members. Each knows its own program only.
fn is_same(one: &MembersReport, other: &MembersReport) -> bool {
    let common = |report: &MembersReport| {
        let mut report = MembersReport { not_leading: None, ..report.clone() };
        for member in &mut report.members {
            (member.formats, member.version) = (None, None);
        }
        report
    };
    common(one) == common(other)
}

/// Adds what another report says about programs.
fn add_programs(known: &mut MembersReport, other: &MembersReport) {
    for (member, other) in known.members.iter_mut().zip(&other.members) {
        member.formats = member.formats.or(other.formats);
        member.version = member.version.take().or_else(|| other.version.clone());
    }
}

fn json_views(view: &View) -> String {
    match view.leading() {
        Some(report) => json(report).line(),
        None => view.reports.iter().map(|report| json(report).line()).collect(),
    }
}

/// A report as JSON.
pub fn json(report: &MembersReport) -> Object {
    let leader = report.members.iter().find(|member| member.state == MemberState::Leader);
    let change = report.change.as_ref().map(|change| {
        let object = Object::new().raw("number", change.number).text("what", &change.what);
        object
            .optional("age_ms", change.age_ms)
            .optional_text("waits_for", change.waits_for.as_deref())
    });
    let ended = report.ended.iter().map(|ended| {
        let object = Object::new().raw("number", ended.number).text("what", &ended.what);
        object.raw("done", ended.is_done)
    });
    let removed =
        report.removed.iter().map(|(id, index)| Object::new().raw("id", id).raw("entry", index));
    counts(Object::new(), report)
        .raw("format", report.format)
        .raw("is_leading", report.not_leading.is_none())
        .optional("answered_by", report.not_leading.or(leader.map(|member| member.id)))
        .optional("leader", leader.map(|member| member.id))
        .raw("entry", report.index)
        .raw("is_committed", report.is_committed)
        .raw("members", json_list(report.members.iter().map(member_json)))
        .optional("change", change)
        .raw("ended", json_list(ended))
        .raw("removed", json_list(removed))
}

/// Adds who counts, how many are needed and here, and how many can be lost; `null` for what is not
/// known, and `can_lose` is -1 when there are too few already.
pub fn counts(object: Object, report: &MembersReport) -> Object {
    let can_lose = match report.can_lose {
        CanLose::Voters(number) => Some(number.to_string()),
        CanLose::NoQuorum => Some("-1".into()),
        CanLose::Unknown => None,
    };
    object
        .raw("voters", report.voters)
        .raw("needed", report.needed)
        .optional("here", report.here)
        .optional("can_lose", can_lose)
}

fn member_json(member: &MemberReport) -> Object {
    let text = |address: &Option<_>| address.as_ref().map(ToString::to_string);
    Object::new()
        .raw("id", member.id)
        .text("counts_as", &member.kind.to_string())
        .text("is", &member.state.to_string())
        .optional_text("log_address", text(&member.log_address).as_deref())
        .optional_text("client_address", text(&member.client_address).as_deref())
        .optional("seen_ms", member.seen_ms)
        .optional("behind", member.behind)
        .optional("snapshot_acked_bytes", member.snapshot.map(|(acked, _)| acked))
        .optional("snapshot_bytes", member.snapshot.map(|(_, bytes)| bytes))
        .optional_text("formats", member.formats.map(|it| it.to_string()).as_deref())
        .optional_text("version", member.version.as_deref())
}

#[cfg(test)]
mod tests;
