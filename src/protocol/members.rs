//! The reply to `member list`: the members as one server knows them, printed and parsed; and the
//! plan of a change.

use std::fmt;

use super::text::{Sink, fields, number, printable, put_line, put_text};
use crate::types::{Address, Format, FormatRange, LogIndex, NodeId, Tolerance};

/// The members of the cluster as one server knows them. The lines are in docs/protocol.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersReport {
    /// The number of voters.
    pub voters: u64,
    /// The number of voters that are needed to go on. In a joint membership that of the half that
    /// can spare fewer.
    pub needed: u64,
    /// The number of voters that the leader hears. `None` from any other server.
    pub here: Option<u64>,
    /// The number of voters that can be lost.
    pub can_lose: CanLose,
    /// The format of the cluster that is in force.
    pub format: Format,
    /// The server that answers when it does not lead; `None` when it leads.
    pub not_leading: Option<NodeId>,
    /// The log entry that the membership comes from; 0 when it comes from servers.toml.
    pub index: LogIndex,
    /// True when the server knows that this entry is committed.
    pub is_committed: bool,
    /// The members, by id.
    pub members: Vec<MemberReport>,
    /// The change that is under way.
    pub change: Option<ChangeReport>,
    /// The changes that ended last, the newest last.
    pub ended: Vec<EndedReport>,
    /// The members that were removed last, each with the log entry that removed it, by id.
    pub removed: Vec<(NodeId, LogIndex)>,
}

/// The number of voters that can be lost before no quorum is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CanLose {
    /// Only the leader knows.
    Unknown,
    /// There are too few already.
    NoQuorum,
    /// This many.
    Voters(u64),
}

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberReport {
    /// The member.
    pub id: NodeId,
    /// Its part in quorums.
    pub kind: MemberKind,
    /// Its state, as far as the server that answers knows.
    pub state: MemberState,
    /// Its address for other servers, when it is known.
    pub log_address: Option<Address>,
    /// Its address for clients, when it is known.
    pub client_address: Option<Address>,
    /// Milliseconds since the leader heard it last.
    pub seen_ms: Option<u64>,
    /// The number of log entries that it lacks.
    pub behind: Option<u64>,
    /// The snapshot that it is being sent: the bytes that it has, and all.
    pub snapshot: Option<(u64, u64)>,
    /// The formats that it reads.
    pub formats: Option<FormatRange>,
    /// The version of its program: a word of printable ASCII.
    pub version: Option<String>,
}

/// The part of a member in quorums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// It has a vote.
    Voter,
    /// It has none.
    Learner,
    /// A change of voters is between its halves, and it will have a vote.
    Incoming,
    /// A change of voters is between its halves, and it will have no vote.
    Outgoing,
}

/// The state of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberState {
    /// It leads.
    Leader,
    /// It follows, in step.
    Follower,
    /// It follows, and lacks too much to be in step.
    Catching,
    /// The leader does not hear it.
    Unseen,
    /// It has lost what it had, or has just got its directory, and is not counted.
    Rejoining,
    /// It follows, and is drained: nobody's choice for a leader.
    Draining,
    /// The server that answers does not know.
    Unknown,
}

/// A change that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeReport {
    /// Its number.
    pub number: LogIndex,
    /// Milliseconds for which it has been under way in this leader's term.
    pub age_ms: Option<u64>,
    /// A clause that says what it does.
    pub what: String,
    /// A clause that says what it waits for.
    pub waits_for: Option<String>,
}

/// A change that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedReport {
    /// Its number.
    pub number: LogIndex,
    /// True when it was done, false when a person took it back.
    pub is_done: bool,
    /// A clause that says what it did, or was to do.
    pub what: String,
}

/// The reply to a change with `dry-run`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The cluster as it is.
    pub before: Tolerance,
    /// The cluster as it would be.
    pub after: Tolerance,
}

/// Maximum number of lines that a client takes.
const LINES_MAX: usize = 1_000;

/// Stands between what a change does and what it waits for.
const WAITS_FOR: &str = "; waits for: ";

/// The words of a value that is not known, and of a number that there is none of.
const UNKNOWN: &str = "unknown";
const NONE: &str = "none";

impl MembersReport {
    /// Prints all lines and the last one, `END`.
    pub(super) fn print(&self, sink: &mut impl Sink) {
        let MembersReport { voters, needed, format, index, .. } = self;
        let here = OrUnknown(self.here);
        put_text(sink, format_args!("MEMBERS {voters} {needed} {here} "));
        match self.can_lose {
            CanLose::Unknown => sink.put_slice(UNKNOWN.as_bytes()),
            CanLose::NoQuorum => sink.put_slice(NONE.as_bytes()),
            CanLose::Voters(number) => put_text(sink, format_args!("{number}")),
        }
        put_text(sink, format_args!(" {format} "));
        match self.not_leading {
            None => sink.put_slice(b"leader"),
            Some(id) => put_text(sink, format_args!("{id}")),
        }
        let is_committed = if self.is_committed { "yes" } else { "no" };
        put_line(sink, format_args!(" {index} {is_committed}"));
        for member in &self.members {
            member.print(sink);
        }
        if let Some(ChangeReport { number, age_ms, what, waits_for }) = &self.change {
            let what = printable(what);
            put_text(sink, format_args!("CHANGE {number} {} {what}", OrUnknown(*age_ms)));
            if let Some(clause) = waits_for {
                put_text(sink, format_args!("{WAITS_FOR}{}", printable(clause)));
            }
            sink.put_slice(b"\r\n");
        }
        for EndedReport { number, is_done, what } in &self.ended {
            let (word, what) = (ended_word(*is_done), printable(what));
            put_line(sink, format_args!("ENDED {number} {word} {what}"));
        }
        for (id, index) in &self.removed {
            put_line(sink, format_args!("REMOVED {id} {index}"));
        }
        sink.put_slice(b"END\r\n");
    }

    /// Notes the version of the program of the server that answers.
    pub fn set_own_version(&mut self, version: &str) {
        let not_leading = self.not_leading;
        let is_own = |member: &&mut MemberReport| match not_leading {
            Some(id) => member.id == id,
            None => member.state == MemberState::Leader,
        };
        if let Some(own) = self.members.iter_mut().find(is_own) {
            own.version = Some(version.to_owned());
        }
    }

    /// The memory that the report keeps, in bytes: a round figure for budgets.
    pub(super) fn weight_bytes(&self) -> usize {
        let lines = self.members.len() + self.ended.len() + self.removed.len();
        let host = |address: &Option<Address>| address.as_ref().map_or(0, |it| it.host.len());
        let hosts = self.members.iter().map(|m| host(&m.log_address) + host(&m.client_address));
        (lines + 1) * size_of::<MemberReport>() + hosts.sum::<usize>()
    }

    /// The first line of a report, without its line end.
    fn head(line: &[u8]) -> Option<MembersReport> {
        let rest = line.strip_prefix(b"MEMBERS ")?;
        let [voters, needed, here, can_lose, format, answered_by, index, committed] = fields(rest)?;
        Some(MembersReport {
            voters: number(voters)?,
            needed: number(needed)?,
            here: or_unknown(here, number)?,
            can_lose: match can_lose {
                b"unknown" => CanLose::Unknown,
                b"none" => CanLose::NoQuorum,
                _ => CanLose::Voters(number(can_lose)?),
            },
            format: self::format(format)?,
            not_leading: match answered_by {
                b"leader" => None,
                _ => Some(NodeId(number(answered_by)?)),
            },
            index: LogIndex(number(index)?),
            is_committed: match committed {
                b"yes" => true,
                b"no" => false,
                _ => return None,
            },
            members: Vec::new(),
            change: None,
            ended: Vec::new(),
            removed: Vec::new(),
        })
    }

    /// Adds a further line, without its line end. A line of a kind that this program does not know
    /// is one of a newer server. False when it is no line of a report, or one too many.
    fn push(&mut self, line: &[u8]) -> Option<()> {
        let [word, rest] = first_word(line)?;
        match word {
            b"MEMBER" => self.members.push(MemberReport::parse(rest)?),
            b"CHANGE" => self.change = Some(ChangeReport::parse(rest)?),
            b"ENDED" => {
                let [number, rest] = first_word(rest)?;
                let [word, what] = first_word(rest)?;
                let is_done = is_done(word)?;
                let (number, what) = (LogIndex(self::number(number)?), text(what));
                self.ended.push(EndedReport { number, is_done, what });
            }
            b"REMOVED" => {
                let [id, index] = fields(rest)?;
                self.removed.push((NodeId(number(id)?), LogIndex(number(index)?)));
            }
            _ => {}
        }
        Some(())
    }
}

/// Takes the lines of a report.
#[derive(Debug, Default)]
pub(super) struct MembersParser {
    report: Option<MembersReport>,
    lines: usize,
}

impl MembersParser {
    /// True before the first line.
    pub(super) fn is_empty(&self) -> bool {
        self.report.is_none()
    }

    /// Takes a line, without its line end. Returns the report when it was the last one.
    ///
    /// # Errors
    /// When it is no line of a report, or one too many.
    pub(super) fn take(&mut self, line: &[u8]) -> Result<Option<MembersReport>, ()> {
        self.lines += 1;
        if self.lines > LINES_MAX {
            return Err(());
        }
        let Some(report) = &mut self.report else {
            self.report = Some(MembersReport::head(line).ok_or(())?);
            return Ok(None);
        };
        if line == b"END" {
            return Ok(self.report.take());
        }
        report.push(line).map(|()| None).ok_or(())
    }
}

impl MemberReport {
    fn print(&self, sink: &mut impl Sink) {
        let MemberReport { id, kind, state, .. } = self;
        let (log, client) = (OrUnknown(self.log_address.as_ref()), &self.client_address);
        let client = OrUnknown(client.as_ref());
        put_text(sink, format_args!("MEMBER {id} {kind} {state} {log} {client}"));
        let mut put = |text: fmt::Arguments<'_>| put_text(sink, text);
        self.seen_ms.iter().for_each(|ms| put(format_args!(" seen_ms={ms}")));
        self.behind.iter().for_each(|entries| put(format_args!(" behind={entries}")));
        if let Some((acked_bytes, bytes)) = &self.snapshot {
            put(format_args!(" snapshot={acked_bytes}/{bytes}"));
        }
        self.formats.iter().for_each(|formats| put(format_args!(" formats={formats}")));
        if let Some(version) = &self.version {
            put(format_args!(" version={}", printable(version).replace(' ', "?")));
        }
        sink.put_slice(b"\r\n");
    }

    /// Parses a line behind its first word. Facts that this program does not know are passed over:
    /// a newer server has them.
    fn parse(rest: &[u8]) -> Option<MemberReport> {
        let mut fields = rest.split(|byte| *byte == b' ');
        let mut member = MemberReport {
            id: NodeId(number(fields.next()?)?),
            kind: MemberKind::parse(fields.next()?)?,
            state: MemberState::parse(fields.next()?),
            log_address: or_unknown(fields.next()?, address)?,
            client_address: or_unknown(fields.next()?, address)?,
            seen_ms: None,
            behind: None,
            snapshot: None,
            formats: None,
            version: None,
        };
        for field in fields {
            let [name, value] = split(field, b"=")?;
            match name {
                b"seen_ms" => member.seen_ms = Some(number(value)?),
                b"behind" => member.behind = Some(number(value)?),
                b"snapshot" => {
                    let [acked_bytes, bytes] = split(value, b"/")?;
                    member.snapshot = Some((number(acked_bytes)?, number(bytes)?));
                }
                b"formats" => {
                    let [lowest, highest] = split(value, b"..")?;
                    let (lowest, highest) = (format(lowest)?, format(highest)?);
                    member.formats = Some(FormatRange { lowest, highest });
                }
                b"version" => member.version = Some(text(value)),
                _ => {}
            }
        }
        Some(member)
    }
}

impl ChangeReport {
    /// Parses a line behind its first word.
    fn parse(rest: &[u8]) -> Option<ChangeReport> {
        let [number, rest] = first_word(rest)?;
        let [age_ms, clause] = first_word(rest)?;
        let (what, waits_for) = match split(clause, WAITS_FOR.as_bytes()) {
            Some([what, waits_for]) => (what, Some(text(waits_for))),
            None => (clause, None),
        };
        let number = LogIndex(self::number(number)?);
        let age_ms = or_unknown(age_ms, self::number)?;
        Some(ChangeReport { number, age_ms, what: text(what), waits_for })
    }
}

impl MemberKind {
    const ALL: [MemberKind; 4] =
        [MemberKind::Voter, MemberKind::Learner, MemberKind::Incoming, MemberKind::Outgoing];

    fn word(self) -> &'static str {
        match self {
            MemberKind::Voter => "voter",
            MemberKind::Learner => "learner",
            MemberKind::Incoming => "incoming",
            MemberKind::Outgoing => "outgoing",
        }
    }

    fn parse(word: &[u8]) -> Option<MemberKind> {
        MemberKind::ALL.into_iter().find(|kind| kind.word().as_bytes() == word)
    }
}

impl fmt::Display for MemberKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl MemberState {
    const ALL: [MemberState; 7] = [
        MemberState::Leader,
        MemberState::Follower,
        MemberState::Catching,
        MemberState::Unseen,
        MemberState::Rejoining,
        MemberState::Draining,
        MemberState::Unknown,
    ];

    fn word(self) -> &'static str {
        match self {
            MemberState::Leader => "leader",
            MemberState::Follower => "follower",
            MemberState::Catching => "catching",
            MemberState::Unseen => "unseen",
            MemberState::Rejoining => "rejoining",
            MemberState::Draining => "draining",
            MemberState::Unknown => UNKNOWN,
        }
    }

    /// The state of this word. A newer server may have others, which are unknown here.
    fn parse(word: &[u8]) -> MemberState {
        let found = MemberState::ALL.into_iter().find(|state| state.word().as_bytes() == word);
        found.unwrap_or(MemberState::Unknown)
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Plan {
    /// Prints the line of a plan.
    pub(super) fn print(&self, sink: &mut impl Sink) {
        let Plan { before, after } = self;
        sink.put_slice(b"PLAN");
        put_text(sink, format_args!(" voters={},{}", before.voters, after.voters));
        put_text(sink, format_args!(" needed={},{}", before.needed, after.needed));
        put_text(sink, format_args!(" here={},{}", before.here, after.here));
        let can_lose = |it: Option<usize>| it.map_or(NONE.to_owned(), |number| number.to_string());
        let (before, after) = (can_lose(before.can_lose), can_lose(after.can_lose));
        put_line(sink, format_args!(" can_lose={before},{after}"));
    }

    /// Parses the line of a plan behind its first word.
    pub(super) fn parse(rest: &[u8]) -> Option<Plan> {
        let [voters, needed, here, can_lose] = fields(rest)?;
        let pair = |field: &[u8], name: &[u8], parse: fn(&[u8]) -> Option<Option<usize>>| {
            let [before, after] = split(field.strip_prefix(name)?, b",")?;
            Some([parse(before)?, parse(after)?])
        };
        let size = |field: &[u8]| Some(usize::try_from(number(field)?).ok());
        let size_or_none = |field: &[u8]| match field {
            b"none" => Some(None),
            _ => Some(Some(usize::try_from(number(field)?).ok()?)),
        };
        let voters = pair(voters, b"voters=", size)?;
        let needed = pair(needed, b"needed=", size)?;
        let here = pair(here, b"here=", size)?;
        let can_lose = pair(can_lose, b"can_lose=", size_or_none)?;
        let tolerance = |at: usize| {
            let (voters, needed, here) = (voters[at]?, needed[at]?, here[at]?);
            Some(Tolerance { voters, needed, here, can_lose: can_lose[at] })
        };
        Some(Plan { before: tolerance(0)?, after: tolerance(1)? })
    }
}

/// The word of a change that has ended.
pub(super) fn ended_word(is_done: bool) -> &'static str {
    if is_done { "done" } else { "cancelled" }
}

/// The end that a word names.
pub(super) fn is_done(word: &[u8]) -> Option<bool> {
    [true, false].into_iter().find(|is_done| ended_word(*is_done).as_bytes() == word)
}

/// A value, or the word for one that is not known.
struct OrUnknown<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrUnknown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str(UNKNOWN),
        }
    }
}

/// Parses a field that may be the word for a value that is not known.
fn or_unknown<T>(field: &[u8], parse: impl Fn(&[u8]) -> Option<T>) -> Option<Option<T>> {
    if field == UNKNOWN.as_bytes() { Some(None) } else { parse(field).map(Some) }
}

fn address(field: &[u8]) -> Option<Address> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

fn format(field: &[u8]) -> Option<Format> {
    Some(Format(u32::try_from(number(field)?).ok()?))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The parts before and after the first `separator`.
fn split<'a>(field: &'a [u8], separator: &[u8]) -> Option<[&'a [u8]; 2]> {
    let at = field.windows(separator.len()).position(|window| window == separator)?;
    Some([&field[..at], &field[at + separator.len()..]])
}

/// The first word, and what stands behind the space after it.
fn first_word(line: &[u8]) -> Option<[&[u8]; 2]> {
    split(line, b" ")
}

#[cfg(test)]
mod tests;
