//! The members of a cluster and their changes, as an operator sees them: by text.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Instant;

use super::PATIENCE;
use super::failure::Failure;
use super::process::LOOK;
use super::talk::{say, say_for_lines};

/// The members of a cluster, as one server lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    /// The words of the line of sums, without its name.
    pub sums: Vec<String>,
    /// The members by their ids.
    pub members: BTreeMap<u64, ListedMember>,
    /// The change that is under way: all words of its line, without the name.
    pub change: Option<String>,
    /// The changes that have ended, each with true when it was done, by their numbers.
    pub ended: BTreeMap<u64, bool>,
    /// The index of the removal of each member that is remembered as removed.
    pub removed: BTreeMap<u64, u64>,
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedMember {
    /// The part that it has in quorums: `voter`, `learner`, `incoming` or `outgoing`.
    pub counts_as: String,
    /// The state that it is in.
    pub is: String,
    /// Its address for other servers.
    pub log_address: String,
    /// Its address for clients.
    pub client_address: String,
    /// The further words of its line.
    pub more: Vec<String>,
}

impl Members {
    /// Reads the lines of a reply, without its end.
    fn parse(lines: &[String]) -> Option<Members> {
        let mut members = Members {
            sums: Vec::new(),
            members: BTreeMap::new(),
            change: None,
            ended: BTreeMap::new(),
            removed: BTreeMap::new(),
        };
        for line in lines {
            let (name, rest) = line.split_once(' ')?;
            let words: Vec<String> = rest.split(' ').map(str::to_owned).collect();
            match (name, words.as_slice()) {
                ("MEMBERS", words) => members.sums = words.to_vec(),
                ("MEMBER", [id, counts_as, is, log_address, client_address, more @ ..]) => {
                    let member = ListedMember {
                        counts_as: counts_as.clone(),
                        is: is.clone(),
                        log_address: log_address.clone(),
                        client_address: client_address.clone(),
                        more: more.to_vec(),
                    };
                    members.members.insert(id.parse().ok()?, member);
                }
                ("CHANGE", _) => members.change = Some(rest.to_owned()),
                ("ENDED", [number, how, ..]) => {
                    members.ended.insert(number.parse().ok()?, how == "done");
                }
                ("REMOVED", [id, index]) => {
                    members.removed.insert(id.parse().ok()?, index.parse().ok()?);
                }
                _ => return None,
            }
        }
        (members.sums.len() == 8).then_some(members)
    }

    /// The ids of the members that count as `counts_as`.
    pub fn ids(&self, counts_as: &str) -> Vec<u64> {
        let members = self.members.iter().filter(|(_, member)| member.counts_as == counts_as);
        members.map(|(id, _)| *id).collect()
    }

    /// The ids of all voters.
    pub fn voters(&self) -> Vec<u64> {
        self.ids("voter")
    }

    /// The ids of all learners.
    pub fn learners(&self) -> Vec<u64> {
        self.ids("learner")
    }

    /// True while old and new voters count at the same time.
    pub fn is_joint(&self) -> bool {
        !self.ids("incoming").is_empty() || !self.ids("outgoing").is_empty()
    }

    /// The members with what they count as and their addresses, and nothing else: equal on all
    /// servers that know the same entry.
    pub fn record(&self) -> Vec<(u64, String, String, String)> {
        let record = |(id, member): (&u64, &ListedMember)| {
            let ListedMember { counts_as, log_address, client_address, .. } = member.clone();
            (*id, counts_as, log_address, client_address)
        };
        self.members.iter().map(record).collect()
    }
}

/// The members as the server at `address` lists them; `None` if it does not answer.
pub fn members_of(address: &str) -> Option<Members> {
    Members::parse(&say_for_lines(address, "member list")?)
}

/// Sends a command that only the leader answers, to one of these servers after the other, until
/// one answers it; returns the reply. Redirects are followed.
///
/// # Errors
/// When none of them has answered after [`PATIENCE`].
pub fn say_to_leader(servers: &[String], command: &str) -> Result<String, Failure> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = "no reply".to_owned();
    let mut target = None;
    let mut next = 0;
    while Instant::now() < deadline {
        let address = target.take().unwrap_or_else(|| {
            next += 1;
            servers[next % servers.len()].clone()
        });
        match say(&address, command) {
            Some(reply) if reply.starts_with("ERR_REDIRECT ") => {
                target = reply.split(' ').nth(1).map(str::to_owned);
                last = reply;
            }
            Some(reply) if !is_passing(&reply) => return Ok(reply),
            reply => {
                last = reply.unwrap_or(last);
                sleep(LOOK);
            }
        }
    }
    Err(Failure::new(format!("{command} was not answered: {last}")))
}

/// True of a reply that says to try again: there is no leader, or it has just been elected.
fn is_passing(reply: &str) -> bool {
    reply.starts_with("ERR_NO_LEADER")
        || reply.starts_with("ERR_NOT_YET")
        || reply.contains("has committed nothing in its term yet")
        || reply.contains("was elected just now")
}

/// Begins a change of the members and waits until it has ended; returns the id of the member that
/// it is about.
///
/// # Errors
/// When it is refused, taken back, or has not ended after [`PATIENCE`].
pub fn change(servers: &[String], command: &str) -> Result<u64, Failure> {
    let reply = say_to_leader(servers, command)?;
    let (number, id) =
        begun(&reply).ok_or_else(|| Failure::new(format!("{command} was answered by: {reply}")))?;
    match wait_for_change(servers, number)? {
        true => Ok(id),
        false => Err(Failure::new(format!("{command}: change {number} was taken back"))),
    }
}

/// The number of the change that a reply says has begun, and the id of its member.
pub fn begun(reply: &str) -> Option<(u64, u64)> {
    let (number, id) = reply.strip_prefix("CHANGE ")?.split_once(' ')?;
    Some((number.parse().ok()?, id.parse().ok()?))
}

/// Waits until a change has ended; true when it was done.
///
/// # Errors
/// When no server says so within [`PATIENCE`].
pub fn wait_for_change(servers: &[String], number: u64) -> Result<bool, Failure> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = "no reply".to_owned();
    let command = format!("member wait {number}");
    for server in servers.iter().cycle() {
        if let Some(reply) = say(server, &command) {
            if let Some(how) = reply.strip_prefix(&format!("ENDED {number} ")) {
                return Ok(how == "done");
            }
            last = reply;
        }
        if Instant::now() >= deadline {
            break;
        }
        sleep(LOOK);
    }
    Err(Failure::new(format!("change {number} has not ended: {last}")))
}
