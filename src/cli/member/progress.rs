//! The wait for the end of a change, and the stages that are shown meanwhile.
//!
//! The leader is asked again and again for the members. A change that is waited for goes on
//! whatever becomes of the waiting.

use std::io::{self, IsTerminal};
use std::time::Duration;

use coracle::protocol::{MemberKind, MemberState, MembersReport};
use coracle::types::{ChangeKind, LogIndex, NodeId};
use indicatif::ProgressBar;
use tokio::time::{Instant, sleep, sleep_until};

use super::super::cluster::block_on;
use super::super::failure::Failure;
use super::super::json::Object;
use super::super::output::{print, status_line};
use super::super::text::{plural, shown, time};
use super::list::{Earlier, behind, counts, is_between, member_of, tolerance};
use super::session::{Answer, LEADER_PATIENCE, PAUSE, Session};

/// A change that is waited for.
#[derive(Debug)]
pub struct Followed {
    /// Its number.
    pub number: LogIndex,
    /// Its effect; `None` when this program does not know.
    pub what: Option<ChangeKind>,
    /// True when it has just begun. Of one that began before, the stages that were over by then
    /// are not shown: nobody knows how long they took.
    pub is_new: bool,
}

/// The end of the waiting.
enum End {
    /// The change was done; the leader's answer.
    Done(MembersReport),
    /// A person has taken it back.
    Cancelled(MembersReport),
    /// The leader knows no such change.
    Unknown,
    /// It goes on, and is waited for no longer, for this reason.
    Running(&'static str),
}

/// `member wait`: waits for the end of a change that was begun before.
pub fn run(number: LogIndex, answer: &Answer) -> Result<(), Failure> {
    block_on(async {
        let mut session = Session::new(answer)?;
        let what = what_is(&session.any().await?, number);
        follow(&Followed { number, what, is_new: false }, &mut session).await
    })?
}

/// The kind of a change that a report knows.
fn what_is(report: &MembersReport, number: LogIndex) -> Option<ChangeKind> {
    let under_way = report.change.iter().map(|change| (change.number, &change.what));
    let ended = report.ended.iter().map(|change| (change.number, &change.what));
    let found = under_way.chain(ended).find(|(other, _)| *other == number);
    found.and_then(|(_, clause)| kind_of(clause))
}

/// The kind of change that a clause describes.
pub fn kind_of(clause: &str) -> Option<ChangeKind> {
    let words: Vec<&str> = clause.split(' ').collect();
    let id = |word: &str| word.parse().ok().map(NodeId);
    Some(match words.as_slice() {
        ["add", new, "as", "a", "voter"] => ChangeKind::Add { id: id(new)? },
        ["add", new, "as", "a", "learner"] => ChangeKind::AddLearner { id: id(new)? },
        ["remove", old] => ChangeKind::Remove { id: id(old)? },
        ["replace", old, "by", new] => ChangeKind::Replace { old: id(old)?, new: id(new)? },
        ["promote", learner] => ChangeKind::Promote { id: id(learner)? },
        ["demote", voter] => ChangeKind::Demote { id: id(voter)? },
        ["update", member] => ChangeKind::Update { id: id(member)? },
        _ => return None,
    })
}

/// Waits for the end of a change, and shows its stages.
///
/// # Errors
/// When it was taken back, and when it is not waited for any longer.
pub async fn follow(change: &Followed, session: &mut Session) -> Result<(), Failure> {
    let mut show = Show::new(session.is_json);
    let end = wait(change, session, &mut show).await;
    show.end();
    let number = change.number;
    let json = |outcome: &str| Object::new().text("outcome", outcome).raw("change", number);
    let (json, text) = match &end {
        End::Done(report) => {
            let is_even = report.voters.is_multiple_of(2) && change.what.is_some_and(adds_voter);
            let even = if is_even { " (An even number tolerates no more.)" } else { "" };
            let done = change.what.map_or_else(|| format!("change {number} is done"), done_clause);
            let text = format!("{done}. {}{even}", tolerance(report));
            (counts(json("done"), report), text)
        }
        End::Cancelled(report) => (counts(json("cancelled"), report), String::new()),
        End::Unknown => (json("unknown"), String::new()),
        End::Running(_) => (json("running"), String::new()),
    };
    if session.is_json {
        print(json.line().as_bytes())?;
    } else {
        print(show.last_line(&text).as_bytes())?;
    }
    match end {
        End::Done(_) => Ok(()),
        End::Cancelled(_) => Err(Failure::No(format!("change {number} was taken back"))),
        End::Unknown => Err(Failure::No(format!(
            "the leader knows no change {number}: it ended long ago, or there never was one; \
             `coracle member list` prints the members"
        ))),
        End::Running(reason) => Err(Failure::Unavailable(still_running(number, reason))),
    }
}

/// The sentence on a change that is not waited for any longer.
fn still_running(number: LogIndex, reason: &str) -> String {
    format!(
        "{reason}: change {number} goes on; `coracle member wait {number}` waits for it, and \
         `coracle member cancel {number}` takes it back while it has replaced no voter"
    )
}

async fn wait(change: &Followed, session: &mut Session, show: &mut Show) -> End {
    let deadline = session.deadline();
    let timed_out = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        end = wait_for_end(change, session, show) => end,
        () = timed_out => End::Running("not waited for any longer"),
        Ok(()) = tokio::signal::ctrl_c() => End::Running("interrupted"),
    }
}

async fn wait_for_end(change: &Followed, session: &mut Session, show: &mut Show) -> End {
    let mut stages = Stages::new(change.what);
    let start = Instant::now();
    let mut heard = Instant::now();
    let mut looks = 0;
    loop {
        if let Some(report) = session.leading().await {
            heard = Instant::now();
            let ended = report.ended.iter().find(|ended| ended.number == change.number);
            let is_running = report.change.as_ref().is_some_and(|it| it.number == change.number);
            let over = stages.observe(start.elapsed(), &report);
            if change.is_new || looks > 0 {
                over.into_iter().for_each(|stage| show.stage(stage));
            }
            looks += 1;
            match ended {
                Some(ended) if report.is_committed => {
                    if !ended.is_done {
                        return End::Cancelled(report);
                    }
                    if is_served_by_the_new(change, &report, session).await {
                        return End::Done(report);
                    }
                }
                None if report.is_committed && !is_running => return End::Unknown,
                _ => {}
            }
            show.doing(stages.doing(start.elapsed(), &report, change.number));
        } else if heard.elapsed() > LEADER_PATIENCE {
            return End::Running("no leader has answered for 10 seconds");
        }
        sleep(PAUSE).await;
    }
}

/// True when a member of the new set leads. After a removal it must have committed in its own
/// term: until then the removed server may be the only one that serves (docs/adr/0026).
async fn is_served_by_the_new(
    change: &Followed,
    report: &MembersReport,
    session: &mut Session,
) -> bool {
    let has_leaver = change.what.is_some_and(|what| what.leaver().is_some());
    let is_led = report.members.iter().any(|member| member.state == MemberState::Leader);
    !has_leaver || (is_led && session.is_served().await)
}

fn adds_voter(what: ChangeKind) -> bool {
    matches!(what, ChangeKind::Add { .. } | ChangeKind::Promote { .. })
}

/// A clause that says that a change was done.
fn done_clause(what: ChangeKind) -> String {
    match what {
        ChangeKind::Add { .. } | ChangeKind::Promote { .. } => "voter".into(),
        ChangeKind::AddLearner { id } => format!("{id} stays a learner"),
        ChangeKind::Demote { id } => format!("{id} is a learner"),
        ChangeKind::Remove { id } => format!("{id} is removed"),
        ChangeKind::Replace { old, new } => format!("{new} is a voter, and {old} is removed"),
        ChangeKind::Update { id } => format!("{id} has its new address"),
    }
}

/// The stages of a server that becomes a voter.
struct Stages {
    candidate: Option<NodeId>,
    is_connected: bool,
    /// The time at which a snapshot for it was first seen.
    snapshot_since: Option<Duration>,
    has_snapshot: bool,
    /// The highest round of catching up that was seen.
    round: u64,
    is_joint: bool,
    /// The last report, and its time, by which speeds are known.
    last: Option<(Duration, MembersReport)>,
}

/// The time between two reports by which a speed is known.
const SPEED_PAUSE: Duration = Duration::from_secs(1);

impl Stages {
    fn new(what: Option<ChangeKind>) -> Stages {
        Stages {
            candidate: what.and_then(ChangeKind::candidate),
            is_connected: false,
            snapshot_since: None,
            has_snapshot: false,
            round: 1,
            is_joint: false,
            last: None,
        }
    }

    /// The stages that are over, as the report shows, which was made at this time.
    fn observe(&mut self, at: Duration, report: &MembersReport) -> Vec<String> {
        let mut over = Vec::new();
        let Some(member) = self.candidate.and_then(|id| member_of(report, id)) else { return over };
        let is_here = !matches!(member.state, MemberState::Unseen | MemberState::Unknown);
        if is_here && !self.is_connected {
            self.is_connected = true;
            over.push(format!("connected after {}", time(at)));
        }
        match (member.snapshot, self.snapshot_since) {
            (Some(_), None) => self.snapshot_since = Some(at),
            (None, Some(since)) if !self.has_snapshot && is_here => {
                self.has_snapshot = true;
                over.push(format!("snapshot {}", time(at - since)));
            }
            _ => {}
        }
        self.round = self.round.max(round_of(report).unwrap_or_default());
        let is_counted = matches!(member.kind, MemberKind::Incoming | MemberKind::Voter);
        if is_counted && !self.is_joint {
            self.is_joint = true;
            over.push(format!("{} {}", self.round, plural("round", self.round)));
        }
        over
    }

    /// A clause that says what is waited for now.
    fn doing(&mut self, at: Duration, report: &MembersReport, number: LogIndex) -> String {
        let earlier = self
            .last
            .as_ref()
            .map(|(then, report)| Earlier { report: report.clone(), elapsed: at - *then });
        if earlier.as_ref().is_none_or(|earlier| earlier.elapsed >= SPEED_PAUSE) {
            self.last = Some((at, report.clone()));
        }
        let clause = report.change.as_ref().filter(|change| change.number == number);
        let clause = clause.and_then(|change| change.waits_for.as_deref()).map(shown);
        let member = self.candidate.and_then(|id| member_of(report, id));
        let behind = member.and_then(|member| behind(member, earlier.as_ref()));
        let is_sent_a_snapshot = member.is_some_and(|member| member.snapshot.is_some());
        match (clause, behind.filter(|_| !report.members.iter().any(is_between))) {
            (_, Some(behind)) if is_sent_a_snapshot => format!("snapshot {behind}"),
            (Some(clause), Some(behind)) => match round_of(report) {
                Some(round) => format!("round {round}, behind {behind}"),
                None => format!("{clause}; behind {behind}"),
            },
            (Some(clause), None) => clause,
            (None, Some(behind)) => format!("behind {behind}"),
            (None, None) => "waiting".into(),
        }
    }
}

/// The round in which a server catches up, when the clause on the change under way says it.
fn round_of(report: &MembersReport) -> Option<u64> {
    let clause = report.change.as_ref()?.waits_for.as_deref()?;
    let (_, rest) = clause.split_once("round ")?;
    rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

/// The place where stages are shown: a line that moves on a terminal, else a line each.
struct Show {
    /// The line on standard error while the change is waited for.
    bar: ProgressBar,
    /// True when each stage is printed as soon as it is over.
    is_plain: bool,
    /// The stages that are over and not printed.
    over: Vec<String>,
}

impl Show {
    fn new(is_json: bool) -> Show {
        let is_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
        Show {
            bar: status_line(String::new()),
            is_plain: !is_terminal && !is_json,
            over: Vec::new(),
        }
    }

    fn stage(&mut self, stage: String) {
        if self.is_plain {
            // A reader that is gone is noticed with the last line.
            let _ = self.bar.suspend(|| print(format!("{stage}\n").as_bytes()));
        } else {
            self.over.push(stage);
        }
    }

    fn doing(&self, clause: String) {
        let line = self.over.iter().map(String::as_str).chain([clause.as_str()]);
        self.bar.set_message(line.collect::<Vec<_>>().join(" | "));
    }

    /// Takes the line that moves away.
    fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// The last line: the stages that are not printed yet, and the outcome, if there is one.
    fn last_line(&self, text: &str) -> String {
        let line = self.over.iter().map(String::as_str).chain([text]);
        let line: Vec<&str> = line.filter(|part| !part.is_empty()).collect();
        if line.is_empty() { String::new() } else { line.join(" | ") + "\n" }
    }
}

#[cfg(test)]
mod tests;
