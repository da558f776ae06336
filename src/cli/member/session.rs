//! The requests to the servers about members and leadership, and how long is waited for them.

use std::time::Duration;

use clap::Args;
use coracle::client::{Changed, Client, Error, Options, Transferred, members_of, set_draining_of};
use coracle::protocol::{MemberRequest, MembersReport, TransferTarget};
use coracle::types::NodeId;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep, timeout};

use super::super::cluster::{Entrance, Target};
use super::super::endpoints::HEADING;
use super::super::failure::Failure;

/// Maximum time to look for a leader, unless the command line says another.
pub const LEADER_PATIENCE: Duration = Duration::from_secs(10);
/// Time for which a leader is asked again that needs a moment, because it is new, say.
const MOMENT: Duration = Duration::from_secs(1);
/// Time that the others have to answer, after a leader has.
const GRACE: Duration = Duration::from_millis(100);
/// The pause between two questions.
pub const PAUSE: Duration = Duration::from_millis(100);

/// The options of all commands that wait for an answer.
#[derive(Args, Debug)]
pub struct Answer {
    #[command(flatten)]
    pub entrance: Entrance,
    /// Wait no longer than this; a change goes on all the same. Without this option a change is
    /// waited for until it ends, a leader for 10 seconds, and any other answer for 2
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = HEADING)]
    timeout: Option<Duration>,
    /// The same in milliseconds, as other commands have it
    #[arg(long, value_name = "MS", conflicts_with = "timeout", help_heading = HEADING)]
    timeout_ms: Option<u64>,
    /// Maximum time to wait for one server; then another one is tried, or the same one again
    #[arg(long, value_name = "MS", default_value_t = 2_000, help_heading = HEADING)]
    try_timeout_ms: u64,
    /// Print JSON for programs: one object on a line. `member list` prints one for each server that
    /// answered when no leader did
    #[arg(long)]
    pub json: bool,
}

/// The servers that are asked, and what they have said so far.
pub struct Session {
    /// The addresses for clients: those that the person has named, and those of all members.
    addresses: Vec<String>,
    /// The address at which the leader answered last.
    leader: Option<String>,
    /// Maximum time to wait, when the person has said one.
    timeout: Option<Duration>,
    /// Maximum time to wait for one server.
    try_timeout: Duration,
    /// True when the answer is wanted as JSON.
    pub is_json: bool,
}

/// The answers of the servers that were asked.
#[derive(Debug)]
pub struct View {
    /// The answer of each server that gave one.
    pub reports: Vec<MembersReport>,
    /// The reason of the last that did not answer.
    pub silence: Option<Error>,
}

impl Session {
    pub fn new(answer: &Answer) -> Result<Session, Failure> {
        let addresses = answer.entrance.addresses()?;
        let timeout = answer.timeout.or(answer.timeout_ms.map(Duration::from_millis));
        let try_timeout = Duration::from_millis(answer.try_timeout_ms);
        Ok(Session { addresses, leader: None, timeout, try_timeout, is_json: answer.json })
    }

    /// Maximum time to wait for the answer of one server.
    fn answer_patience(&self) -> Duration {
        self.timeout.map_or(self.try_timeout, |timeout| timeout.min(self.try_timeout))
    }

    /// Maximum time to look for a leader.
    pub fn patience(&self) -> Duration {
        self.timeout.map_or(LEADER_PATIENCE, |timeout| timeout.min(LEADER_PATIENCE))
    }

    /// The time when to wait no longer, if there is one.
    pub fn deadline(&self) -> Option<Instant> {
        self.timeout.map(|timeout| Instant::now() + timeout)
    }

    /// Asks all servers that are known, and those that become known by their answers when no
    /// leader is among them. When a leader has answered, the others have a moment more.
    pub async fn view(&mut self) -> View {
        let patience = self.answer_patience();
        let mut view = View { reports: Vec::new(), silence: None };
        let mut asked = 0;
        while view.leading().is_none() && asked < self.addresses.len() {
            let addresses = self.addresses[asked..].to_vec();
            asked = self.addresses.len();
            let ask = addresses.iter().map(async |it| (it, members_of(it, patience).await));
            let mut answers: FuturesUnordered<_> = ask.collect();
            loop {
                let wait = if view.leading().is_none() { patience } else { GRACE };
                match timeout(wait, answers.next()).await {
                    Ok(Some((address, Ok(report)))) => {
                        self.learn(address, &report);
                        view.reports.push(report);
                    }
                    Ok(Some((_, Err(error)))) => view.silence = Some(error),
                    Ok(None) | Err(_) => break,
                }
            }
        }
        view
    }

    /// The answer of the leader. The server that led last is asked first.
    pub async fn leading(&mut self) -> Option<MembersReport> {
        if let Some(address) = self.leader.take()
            && let Ok(report) = members_of(&address, self.answer_patience()).await
        {
            self.learn(&address, &report);
            if report.not_leading.is_none() {
                return Some(report);
            }
        }
        self.view().await.into_leading()
    }

    /// The answer of the leader, or else the newest of another server. Waits for one.
    ///
    /// # Errors
    /// When no server answers in time.
    pub async fn any(&mut self) -> Result<MembersReport, Failure> {
        let deadline = Instant::now() + self.patience();
        loop {
            let view = self.view().await;
            let silence = view.silence.clone();
            if let Some(report) = view.into_best() {
                return Ok(report);
            }
            if Instant::now() + PAUSE >= deadline {
                return Err(silence.map_or_else(no_answer, Failure::from));
            }
            sleep(PAUSE).await;
        }
    }

    /// The id of a member that a person has named.
    ///
    /// # Errors
    /// When no member has the address, and when no server answers.
    pub async fn id_of(&mut self, target: &Target) -> Result<NodeId, Failure> {
        let address = match target {
            Target::Id(id) => return Ok(*id),
            Target::Address(address) => address,
        };
        let report = self.any().await?;
        let is_at = [Some(address)];
        let found = report.members.iter().find(|member| {
            is_at.contains(&member.log_address.as_ref())
                || is_at.contains(&member.client_address.as_ref())
        });
        found.map(|member| member.id).ok_or_else(|| {
            let reason = "no member has that address: `coracle member list` prints all of them";
            Failure::No(format!("refused: {address}: {reason}"))
        })
    }

    /// Has the leader begin a change, or plan it. When an answer is lost because the leadership
    /// was, the same is asked for again: a change that has begun is not begun twice. When it is
    /// lost because no quorum is here, that has taken all the time of a command, and the members
    /// show it.
    pub async fn change(&mut self, request: &MemberRequest) -> Result<Changed, Error> {
        let start = Instant::now();
        let mut is_lost = false;
        loop {
            let answer = match self.client().await {
                Ok(mut client) => client.member(request.clone()).await,
                Err(error) => Err(error),
            };
            match answer {
                Err(error) if self.may_try_again(&error, start.elapsed()) => {
                    is_lost |= matches!(error, Error::Unknown { .. });
                    sleep(PAUSE).await;
                }
                Err(Error::Unavailable { last }) if is_lost => return Err(Error::Unknown { last }),
                answer => return answer,
            }
        }
    }

    /// Has the leader hand over.
    pub async fn transfer(&mut self, target: &TransferTarget) -> Result<Transferred, Error> {
        let start = Instant::now();
        loop {
            match self.client().await?.transfer(target.clone()).await {
                Err(error) if is_of_a_moment(&error) && start.elapsed() < MOMENT => {
                    sleep(PAUSE).await;
                }
                answer => return answer,
            }
        }
    }

    /// Drains one server, or ends that.
    pub async fn set_draining(&self, address: &str, is_draining: bool) -> Result<(), Failure> {
        Ok(set_draining_of(address, is_draining, self.patience()).await?)
    }

    /// True when a leader has committed in its own term: it answers a linearizable read.
    pub async fn is_served(&mut self) -> bool {
        let Ok(mut client) = self.client().await else { return false };
        matches!(client.get(ANY_KEY).await, Ok(_) | Err(Error::NotFound))
    }

    /// A client that asks the leader first, if one is found: a server that is first in a list may
    /// be one that hears and does not answer.
    async fn client(&mut self) -> Result<Client, Error> {
        if self.leader.is_none() {
            self.view().await;
        }
        let (deadline, try_timeout) = (self.patience(), self.try_timeout);
        let options = Options { deadline, try_timeout, ..Options::default() };
        let leader = self.leader.iter().cloned();
        Client::connect(leader.chain(self.addresses.iter().cloned()), options).await
    }

    /// True when a change is to be asked for again, after so much time.
    fn may_try_again(&self, error: &Error, elapsed: Duration) -> bool {
        match error {
            Error::Unknown { .. } => elapsed < self.try_timeout,
            error => is_of_a_moment(error) && elapsed < MOMENT,
        }
    }

    fn learn(&mut self, address: &str, report: &MembersReport) {
        if report.not_leading.is_none() {
            self.leader = Some(address.to_owned());
        }
        for member in &report.members {
            let Some(address) = member.client_address.as_ref().map(ToString::to_string) else {
                continue;
            };
            if !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
    }
}

/// Parts of the refusals of a leader that needs a moment: it is new, or has just written
/// something about the members.
const OF_A_MOMENT: [&str; 3] = [
    "this leader has committed nothing in its term yet",
    "has not answered this leader yet",
    "try again in a second",
];

/// True of a refusal that is probably over in a moment.
fn is_of_a_moment(error: &Error) -> bool {
    match error {
        Error::NotSafe { sentence } | Error::NotYet { sentence } => {
            OF_A_MOMENT.iter().any(|part| sentence.contains(part))
        }
        _ => false,
    }
}

/// A key that is read to see whether a leader answers. It need not be there.
const ANY_KEY: &str = "coracle";

impl View {
    /// The leader's answer. A server that led before may not know yet that it does no more, so the
    /// newest membership counts.
    pub fn leading(&self) -> Option<&MembersReport> {
        let leading = self.reports.iter().filter(|report| report.not_leading.is_none());
        leading.max_by_key(|report| (report.index, report.here))
    }

    pub fn into_leading(self) -> Option<MembersReport> {
        let leading = self.reports.into_iter().filter(|report| report.not_leading.is_none());
        leading.max_by_key(|report| (report.index, report.here))
    }

    /// The leader's answer, else the one with the newest membership.
    pub fn into_best(self) -> Option<MembersReport> {
        let is_leading = |report: &MembersReport| report.not_leading.is_none();
        self.reports.into_iter().max_by_key(|report| (is_leading(report), report.index))
    }
}

/// Parses a time in seconds, such as 1.5.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "a number of seconds is expected, such as 1.5")?;
    let duration = Duration::try_from_secs_f64(seconds);
    let in_range = duration.ok().filter(|time| *time <= Duration::from_secs(SECONDS_MAX));
    in_range.ok_or_else(|| format!("0 to {SECONDS_MAX} seconds are expected"))
}

/// Maximum of a time that a person says: ten years.
const SECONDS_MAX: u64 = 10 * 365 * 24 * 3600;

pub fn no_answer() -> Failure {
    Failure::Unavailable("no server answered".into())
}

#[cfg(test)]
mod tests;
