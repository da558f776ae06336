//! `member wait --all-in-step`: waits until every member is here and in step, between the steps of
//! a rolling restart.

use std::time::Duration;

use coracle::protocol::{MemberState, MembersReport};
use tokio::time::{Instant, sleep, sleep_until};

use super::super::cluster::block_on;
use super::super::failure::Failure;
use super::super::json::Object;
use super::super::output::{print, status_line};
use super::super::text::{grouped, time};
use super::list::{behind, counts, tolerance};
use super::session::{Answer, LEADER_PATIENCE, PAUSE, Session};

/// Maximum number of entries that a member in step lacks: under load it never lacks none. The
/// leadership is handed to no server that lacks more (docs/adr/0028).
const BEHIND_MAX: u64 = 1_000;

/// Waits until all members are in step.
///
/// # Errors
/// When they are not in time, with those that are missing.
pub fn run(answer: &Answer) -> Result<(), Failure> {
    block_on(async {
        let mut session = Session::new(answer)?;
        let deadline = session.deadline();
        let timed_out = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let bar = status_line("waiting for a leader".into());
        let mut missing = "no leader has answered".to_owned();
        let reached = {
            let wait = async {
                let start = Instant::now();
                let mut heard = start;
                loop {
                    if let Some(report) = session.leading().await {
                        heard = Instant::now();
                        missing = out_of_step(&report, start.elapsed()).join(", ");
                        bar.set_message(format!("waiting: {missing}"));
                        if missing.is_empty() {
                            return Some(report);
                        }
                    } else {
                        missing = "no leader has answered".into();
                        if deadline.is_none() && heard.elapsed() > LEADER_PATIENCE {
                            return None;
                        }
                    }
                    sleep(PAUSE).await;
                }
            };
            tokio::select! {
                biased;
                report = wait => report,
                () = timed_out => None,
            }
        };
        bar.finish_and_clear();
        let Some(report) = reached else {
            return Err(Failure::Unavailable(format!("not in step: {missing}")));
        };
        let text = match answer.json {
            true => counts(Object::new().text("outcome", "done"), &report).line(),
            false => format!("all are in step. {}\n", tolerance(&report)),
        };
        print(text.as_bytes())
    })?
}

/// The reasons why the members are not all in step, each a clause. A member counts as heard only
/// if that was after the command began: a server that was stopped just before is still taken for
/// living by its leader.
fn out_of_step(report: &MembersReport, since_start: Duration) -> Vec<String> {
    let mut clauses = Vec::new();
    if let Some(change) = &report.change {
        clauses.push(format!("change {} is under way", change.number));
    }
    if !report.members.iter().any(|member| member.state == MemberState::Leader) {
        clauses.push("the leader is leaving".into());
    }
    for member in &report.members {
        let id = member.id;
        let was_heard = member.seen_ms.is_some_and(|ms| u128::from(ms) < since_start.as_millis());
        let clause = match member.state {
            MemberState::Leader => continue,
            MemberState::Follower | MemberState::Draining if !was_heard => {
                let seen = member.seen_ms.map(|ms| time(Duration::from_millis(ms)));
                format!("{id} was heard {} ago", seen.unwrap_or_else(|| "long".into()))
            }
            MemberState::Follower | MemberState::Draining => match member.behind {
                Some(entries) if entries > BEHIND_MAX => {
                    format!("{id} is {} entries behind", grouped(entries))
                }
                _ => continue,
            },
            MemberState::Catching => match behind(member, None) {
                Some(behind) => format!("{id} catches up ({behind})"),
                None => format!("{id} catches up"),
            },
            MemberState::Unseen => format!("{id} is not here"),
            MemberState::Rejoining => format!("{id} is rejoining"),
            MemberState::Unknown => format!("{id} is in a state that this program does not know"),
        };
        clauses.push(clause);
    }
    clauses
}
