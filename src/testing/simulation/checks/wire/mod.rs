//! Checks every message between nodes when it is sent: against what the sender's disk would
//! keep, against all earlier messages, and against the paper.
//!
//! A node can harm another one only through its messages, and all of them pass here. So this is
//! Figure 3 applied to the messages, and a violation is found before it does damage. The
//! checker trusts no node's memory: it reads the logs from the disks (`durable`) and from the
//! frames of leaders.

mod disks;
mod durable;
mod formats;
mod frames;
mod install;
mod members;
mod memories;
mod promise;
mod quorum;
mod replication;
mod text;
mod transfers;
mod votes;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use super::violation::{Check, Violation};
use crate::raft::{AppendEntries, Envelope, ForwardOutcome, Rpc};
use crate::testing::SimDisk;
use crate::testing::simulation::network::Tap;
use crate::testing::simulation::plan::Plan;
use crate::testing::simulation::trace::TracePrinter;
use crate::types::{Format, FormatRange, LogIndex, LogPosition, Membership, NodeId, Payload, Term};
use crate::wire::Frame;
use disks::{Disks, Finding, ensure};
use durable::Durable;
pub(crate) use durable::{SECTOR_BYTES, Written, entries as entries_of_segment, sector_tag};
use formats::{Formats, format_after};
use frames::Frames;
pub use install::InstallCounts;
use install::Installs;
use members::Members;
pub(crate) use members::check_step;
use memories::Memories;
pub(crate) use promise::Promise;
use quorum::is_quorum;
use replication::Replication;
use transfers::Transfers;
use votes::Votes;
use window::Windows;

/// The checker of all messages. Clones share their state: the network has one, the world the
/// other.
#[derive(Clone)]
pub(crate) struct WireChecker {
    printer: TracePrinter,
    state: Arc<Mutex<CheckerState>>,
    /// Notified when there is a violation to report, or a node to strike.
    news: Arc<Notify>,
}

/// Everything that was seen so far.
struct CheckerState {
    /// The frames that were sent.
    written: Frames,
    /// The frames that arrived; decoded only for a trace that is printed.
    read: Frames,
    disks: Disks,
    votes: Votes,
    replication: Replication,
    windows: Windows,
    installs: Installs,
    formats: Formats,
    memories: Memories,
    members: Members,
    transfers: Transfers,
    /// The next node that gives this promise is struck.
    target: Option<Promise>,
    /// A node that has given it, and has not been struck yet.
    struck: Option<NodeId>,
    violation: Option<Violation>,
    /// True after the first violation: what follows it is not informative.
    is_done: bool,
}

impl WireChecker {
    pub(crate) fn new(
        plan: &Plan,
        disks: BTreeMap<u64, SimDisk>,
        printer: TracePrinter,
    ) -> WireChecker {
        let limits = &plan.settings.limits;
        let state = CheckerState {
            written: Frames::new(limits.own_frame_bytes_max()),
            read: Frames::new(limits.own_frame_bytes_max()),
            disks: Disks::new(plan, disks),
            votes: Votes::default(),
            replication: Replication::default(),
            windows: Windows::new(limits),
            installs: Installs::default(),
            formats: Formats::default(),
            memories: Memories::default(),
            members: Members::default(),
            transfers: Transfers::default(),
            target: None,
            struck: None,
            violation: None,
            is_done: false,
        };
        WireChecker { printer, state: Arc::new(Mutex::new(state)), news: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, CheckerState> {
        self.state.lock().expect("the checker does not panic")
    }

    /// Waits until there may be a violation to take, or a node to strike.
    pub(crate) async fn has_news(&self) {
        self.news.notified().await;
    }

    /// Takes the violation that was found, unless it was taken already.
    pub(crate) fn take_violation(&self) -> Option<Violation> {
        self.state().violation.take()
    }

    /// Takes the node that is to lose its power, if there is one.
    pub(crate) fn take_struck(&self) -> Option<NodeId> {
        self.state().struck.take()
    }

    /// Chooses the next node that gives such a promise for a power loss, or none at all.
    pub(crate) fn strike(&self, promise: Option<Promise>) {
        self.state().target = promise;
    }

    /// A node starts: from now on its disk counts as it is.
    pub(crate) fn on_start(&self, node: u64) {
        let state = &mut *self.state();
        state.disks.of(NodeId(node)).hard_state();
        state.formats.on_start(NodeId(node));
        state.memories.on_start(NodeId(node));
        state.members.on_start(NodeId(node));
    }

    /// A node has opened its directory with a program that reads these formats.
    pub(crate) fn on_opened(&self, node: u64, reads: FormatRange) {
        self.check(|state| {
            state.formats.on_opened(NodeId(node), reads);
            state.check_readable(NodeId(node))
        });
    }

    /// A life of a node has ended.
    pub(crate) fn on_end(&self, node: u64) {
        self.check(|state| {
            state.check_readable(NodeId(node))?;
            state.formats.on_end(NodeId(node));
            Ok(())
        });
    }

    /// A number for a poll that is about to be sent.
    pub(crate) fn next_moment(&self) -> u64 {
        self.state().formats.next_moment()
    }

    /// A node's status says that it leads a term. The poll was sent at `asked`.
    pub(crate) fn on_leader(&self, node: u64, term: u64, asked: u64, last_log_index: u64) {
        self.check(|state| {
            state.formats.on_poll(Term(term), asked, LogIndex(last_log_index));
            state.replication.check_leader(NodeId(node), Term(term))
        });
    }

    /// A node has answered with its status. Its snapshots and its log have to fit together, and
    /// its program has to read them. A node without peers is exempt: it sends its log to no node,
    /// so that it is not known here.
    pub(crate) fn on_sample(&self, node: u64, term: u64, last_applied: u64, is_removed: bool) {
        let node = NodeId(node);
        self.check(|state| match state.disks.nodes.len() {
            1 => Ok(()),
            _ => {
                let CheckerState { disks, members, .. } = state;
                members.on_sample(node, Term(term), LogIndex(last_applied), is_removed, disks);
                state.disks.check_snapshots(node)?;
                state.check_readable(node)
            }
        });
    }

    /// The newest membership that is known to be committed, with the index of its entry.
    pub(crate) fn committed_members(&self) -> Option<(u64, Arc<Membership>)> {
        self.state().members.committed().map(|(at, membership)| (at.index.0, membership))
    }

    /// The membership in force at the end of a node's durable log.
    pub(crate) fn members_on_disk(&self, node: u64) -> Arc<Membership> {
        self.state().disks.in_force_on_disk(NodeId(node), usize::MAX)
    }

    /// The newest membership that is known to be committed, and those at the ends of logs that
    /// reach it.
    pub(crate) fn open_memberships(&self) -> Vec<Arc<Membership>> {
        let CheckerState { disks, members, .. } = &mut *self.state();
        let Some((at, membership)) = members.committed() else { return disks.all_in_force() };
        let mut open = disks.all_in_force_behind(at);
        open.push(membership);
        open
    }

    /// The newest membership that is known to be committed, and its entry.
    pub(crate) fn committed_membership(&self) -> Option<(LogPosition, Arc<Membership>)> {
        self.state().members.committed()
    }

    /// True when the nodes for which `is_there` holds are a quorum of a membership.
    pub(crate) fn is_quorum(membership: &Membership, is_there: impl Fn(u64) -> bool) -> bool {
        is_quorum(membership, |id| is_there(id.0))
    }

    /// The membership in force after the first entries on a node's disk, up to the index `last`.
    pub(crate) fn in_force_on_disk(&self, node: u64, last: usize) -> Arc<Membership> {
        self.state().disks.in_force_on_disk(NodeId(node), last)
    }

    /// The format in force after all that a node has on its disk, committed or not.
    pub(crate) fn format_on_disk(&self, node: u64) -> Format {
        format_after(self.state().disks.of(NodeId(node)).log())
    }

    /// True when a leader has sent an entry that puts a format after the first in force.
    pub(crate) fn is_raise_known(&self) -> bool {
        self.state().formats.is_raise_known()
    }

    /// The last entry that `node` knows to be acknowledged by `peer`, as far as the messages show
    /// it.
    pub(crate) fn remembers(&self, node: u64, peer: u64) -> LogPosition {
        self.state().memories.of(NodeId(node), NodeId(peer))
    }

    /// The disk of a node is about to be returned to an earlier image. Not all that it has
    /// promised is on a quorum of other disks.
    pub(crate) fn on_aged(&self, node: u64) {
        let CheckerState { disks, replication, .. } = &mut *self.state();
        replication.on_aged(NodeId(node), disks);
    }

    /// A disk that was lost is back, with all that it had.
    pub(crate) fn on_return(&self, node: u64) {
        let CheckerState { disks, replication, .. } = &mut *self.state();
        replication.on_return(NodeId(node), disks);
    }

    /// A snapshot of a node is damaged.
    pub(crate) fn on_snapshot_rot(&self, node: u64) {
        self.state().disks.of(NodeId(node)).on_rot();
    }

    /// The store of a node differs from that of all others from now on.
    pub(crate) fn on_divergence(&self, node: u64, may_differ: bool) {
        self.state().disks.of(NodeId(node)).on_divergence(may_differ);
    }

    /// The nodes that were sent a snapshot since the last call, by one whose store may differ.
    pub(crate) fn take_misled(&self) -> BTreeSet<NodeId> {
        std::mem::take(&mut self.state().installs.misled)
    }

    /// True when a format after the first is in force.
    pub(crate) fn is_raised(&self) -> bool {
        let state = &mut *self.state();
        state.check_in_force(NodeId(0), "nothing", Format(2)).is_ok()
    }

    /// Every snapshot that was ever seen, with the digest of the store in it.
    pub(crate) fn snapshots(&self) -> Vec<(LogPosition, u64)> {
        self.state().disks.archive().snapshots().collect()
    }

    /// True when a node's disk says that it may have lost something.
    pub(crate) fn is_rejoining(&self, node: u64) -> bool {
        let hard_state = self.state().disks.of(NodeId(node)).hard_state();
        hard_state.is_some_and(|hard_state| hard_state.is_rejoining)
    }

    /// The counts of snapshots that were sent.
    pub(crate) fn installs(&self) -> InstallCounts {
        self.state().installs.counts
    }

    /// The contents of a disk are about to be lost.
    pub(crate) fn on_wipe(&self, node: u64) {
        let CheckerState { disks, replication, .. } = &mut *self.state();
        replication.on_wipe(NodeId(node), disks);
    }

    /// The number of entries in a node's durable log, those before its base included.
    pub(crate) fn log_length(&self, node: u64) -> u64 {
        self.state().disks.of(NodeId(node)).log().len() as u64
    }

    /// True when a node among those for which `is_here` holds can be elected by them: it is a voter
    /// by its own log, and a quorum by that log has logs that are not later (§5.4.1).
    pub(crate) fn can_elect(&self, is_here: impl Fn(u64) -> bool) -> bool {
        let disks = &mut self.state().disks;
        let ends = disks.ends_in_force();
        ends.iter().any(|(node, (end, membership))| {
            let votes =
                |id: NodeId| is_here(id.0) && ends.get(&id).is_none_or(|(other, _)| other <= end);
            membership.is_voter(*node) && is_quorum(membership, votes) && is_here(node.0)
        })
    }

    /// True when a quorum of other nodes holds all entries of a node's durable log.
    pub(crate) fn is_log_held_by_others(&self, node: u64) -> bool {
        let disks = &mut self.state().disks;
        let log = disks.of(NodeId(node)).log().to_vec();
        let others = disks.nodes.iter_mut().filter(|(id, _)| id.0 != node);
        let holds = |disk: &mut Durable| disk.log().get(..log.len()) == Some(&log[..]);
        let holders: Vec<NodeId> =
            others.filter_map(|(id, disk)| holds(disk).then_some(*id)).collect();
        let is_held =
            |membership: Arc<Membership>| is_quorum(&membership, |id| holders.contains(&id));
        disks.all_in_force().into_iter().all(is_held)
    }

    /// True when an image of a node's disk has the term and the vote that the disk has now.
    pub(crate) fn may_return_to(&self, node: u64, image: &SimDisk) -> bool {
        let disks = &mut self.state().disks;
        let disk = disks.of(NodeId(node));
        disk.hard_state().is_some_and(|now| disk.hard_state_of(image) == Some(now))
    }

    /// The disk of a node is about to be returned to an earlier image. Everything that its
    /// acknowledgements have promised is checked anew.
    pub(crate) fn on_amnesia(&self, node: u64) {
        let CheckerState { disks, replication, .. } = &mut *self.state();
        replication.on_amnesia(NodeId(node), disks);
    }

    /// A node starts with a damaged disk: it may lose what is on it now.
    pub(crate) fn on_damaged_start(&self, node: u64) {
        let CheckerState { disks, replication, .. } = &mut *self.state();
        replication.on_damaged_start(NodeId(node), disks);
    }

    /// A node has started with a part of its log.
    pub(crate) fn on_repair(&self, node: u64) {
        let CheckerState { disks, replication, .. } = &mut *self.state();
        replication.on_repair(NodeId(node), disks);
    }

    /// A node has started with its whole log.
    pub(crate) fn on_whole_start(&self, node: u64) {
        self.state().replication.on_whole_start(NodeId(node));
    }

    fn check(&self, check: impl FnOnce(&mut CheckerState) -> Finding) {
        let state = &mut *self.state();
        if state.is_done {
            return;
        }
        if let Err(violation) = check(state) {
            state.violation = Some(violation);
            state.is_done = true;
        }
        if state.violation.is_some() || state.struck.is_some() {
            self.news.notify_one();
        }
    }
}

impl Tap for WireChecker {
    fn on_written(&mut self, pipe: u64, bytes: &[u8]) {
        let printer = self.printer;
        self.check(|state| {
            state.written.take(pipe, bytes);
            while let Some(frame) = state.written.next(pipe)? {
                if printer.is_on {
                    printer.print(&text::line(&frame));
                }
                state.on_sent(pipe, frame)?;
            }
            Ok(())
        });
    }

    fn on_read(&mut self, pipe: u64, bytes: &[u8]) {
        if !self.printer.is_on {
            return;
        }
        let state = &mut *self.state();
        state.read.take(pipe, bytes);
        // The frame was checked when it was written.
        while let Ok(Some(frame)) = state.read.next(pipe) {
            self.printer.print(&format_args!("    arrived: {}", text::line(&frame)));
        }
    }
}

impl CheckerState {
    fn on_sent(&mut self, pipe: u64, frame: Frame) -> Finding {
        let connection = pipe / 2;
        let envelope = match frame {
            Frame::Rpc(envelope) => envelope,
            Frame::Hello(hello) => {
                let is_dialler = pipe.is_multiple_of(2);
                return self.formats.on_hello(connection, is_dialler, &hello);
            }
            Frame::Removed { .. } => return self.check_word_of_removal(connection),
            Frame::Refused { .. }
            | Frame::Join(_)
            | Frame::Joined(_)
            | Frame::Probe
            | Frame::ProbeAnswer => return Ok(()),
        };
        self.formats.next_moment();
        if let Some((what, format)) = format_of(&envelope.rpc) {
            self.check_in_force(envelope.from, what, format)?;
        }
        if let Some(what) = participation(&envelope.rpc) {
            self.members.check_rest(envelope.from, envelope.term, what)?;
        }
        if self.target.is_some() && self.target == Promise::of(&envelope.rpc) {
            self.target = None;
            self.struck = Some(envelope.from);
        }
        self.on_rpc(connection, envelope)
    }

    fn on_rpc(&mut self, connection: u64, envelope: Envelope) -> Finding {
        let CheckerState { disks, votes, replication, windows, installs, memories, .. } = self;
        let Envelope { from, to, term, rpc } = envelope;
        disks.check_snapshots(from)?;
        match rpc {
            // A PreVote names a term that its sender has not taken. A RejoinRequest promises
            // nothing.
            Rpc::PreVote(_) | Rpc::RejoinRequest => Ok(()),
            Rpc::PreVoteResponse(response) if response.vote_granted => {
                votes.on_pre_vote_granted(from, to, term);
                Ok(())
            }
            Rpc::StateCheckResponse(response) => {
                memories.on_response(from, term, response);
                disks.check_term(from, term)
            }
            Rpc::PreVoteResponse(_) | Rpc::RejoinResponse(_) | Rpc::Remembered(_) => {
                disks.check_term(from, term)
            }
            Rpc::InstallSnapshot(chunk) => {
                votes.check_elected(from, term, disks)?;
                replication.on_snapshot(from, term, chunk.snapshot.last, disks)?;
                installs.on_chunk(from, to, &chunk, disks)
            }
            Rpc::InstallSnapshotResponse(response) => {
                disks.check_term(from, term)?;
                installs.on_response(to, from, response);
                match response.is_installed {
                    true => replication.on_installed(from, response.last, disks),
                    false => Ok(()),
                }
            }
            Rpc::RequestVote(request) => {
                replication.check_return(from, disks)?;
                votes.on_request_vote(from, term, request, disks)
            }
            Rpc::RequestVoteResponse(response) if response.vote_granted => {
                replication.check_return(from, disks)?;
                votes.on_granted(from, to, term, disks)
            }
            Rpc::RequestVoteResponse(_) => disks.check_term(from, term),
            Rpc::StateCheck(check) => {
                memories.on_state_check(from, to, term, &check);
                votes.check_elected(from, term, disks)
            }
            Rpc::TransferRefused => disks.check_term(from, term),
            Rpc::ReadIndex(_) | Rpc::ReadIndexResponse(_) | Rpc::Forward(_) | Rpc::Forwarded(_) => {
                self.on_any_server(from, term, &rpc)
            }
            Rpc::TimeoutNow(_) | Rpc::TransferVote(_) | Rpc::Admitted(_) => {
                self.on_word_about_office(from, to, term, rpc)
            }
            Rpc::Forgotten(_) | Rpc::StateDiverged(_) => votes.check_elected(from, term, disks),
            Rpc::AppendEntries(request) => {
                windows.on_request(connection, term, &request)?;
                votes.check_elected(from, term, disks)?;
                replication.on_request(from, term, &request, disks)?;
                self.check_entries(from, term, &request)
            }
            Rpc::AppendEntriesResponse(response) => {
                windows.on_response(connection, term, response);
                replication.on_response(from, term, response, disks)
            }
        }
    }
}

impl CheckerState {
    /// A node that does not lead asks its leader for something, or is answered. A question and a
    /// command promise nothing, and only a leader gives an index.
    fn on_any_server(&mut self, from: NodeId, term: Term, rpc: &Rpc) -> Finding {
        let CheckerState { disks, votes, .. } = self;
        let is_leaders = match rpc {
            Rpc::ReadIndexResponse(response) => response.index.is_some(),
            Rpc::Forwarded(word) => matches!(word.outcome, ForwardOutcome::Appended(_)),
            _ => return Ok(()),
        };
        if is_leaders {
            votes.check_elected(from, term, disks)
        } else {
            disks.check_term(from, term)
        }
    }

    /// A leader hands its office over, a node asks for it on its order, or a learner is admitted.
    fn on_word_about_office(&mut self, from: NodeId, to: NodeId, term: Term, rpc: Rpc) -> Finding {
        let CheckerState { disks, votes, replication, transfers, .. } = self;
        match rpc {
            Rpc::TimeoutNow(order) => {
                votes.check_elected(from, term, disks)?;
                transfers.on_order(from, to, term, order, replication, disks)
            }
            Rpc::TransferVote(request) => {
                replication.check_return(from, disks)?;
                transfers.check_vote(from, term, request)?;
                votes.on_transfer_vote(from, term, request, disks)
            }
            Rpc::Admitted(word) => {
                votes.check_elected(from, term, disks)?;
                replication.on_admitted(from, term, to, word.membership, disks)
            }
            _ => Ok(()),
        }
    }

    /// Checks the entries of a request that say something about the cluster.
    fn check_entries(&mut self, leader: NodeId, term: Term, request: &AppendEntries) -> Finding {
        for entry in &request.entries {
            let place = entry.index.0 as usize - 1;
            match &entry.payload {
                Payload::Format(_) => {
                    let CheckerState { formats, replication, disks, .. } = self;
                    let before = replication.log_of(term).and_then(|log| log.get(..place));
                    let log = before.unwrap_or_default();
                    let members = disks.in_force(leader, log).ids();
                    formats.on_entry(leader, term, entry, before, &members)?;
                }
                Payload::ClusterId(_) => {
                    self.check_in_force(leader, "the id of the cluster", Format(2))?;
                }
                Payload::Membership(membership) => {
                    if !membership.is_seed() {
                        self.check_in_force(leader, "members with addresses", Format(3))?;
                    }
                    let CheckerState { members, replication, disks, .. } = self;
                    let log = replication.log_of(term).and_then(|log| log.get(..place));
                    // The log of a leader that was deposed before its first message is not known.
                    if let Some(before) = log {
                        members.on_entry(leader, term, entry, before, replication, disks)?;
                    }
                }
                Payload::Noop | Payload::Command(_) => {}
            }
        }
        Ok(())
    }

    /// A server is told that it was removed only when that is committed: it will rest.
    fn check_word_of_removal(&mut self, connection: u64) -> Finding {
        let CheckerState { formats, members, replication, disks, .. } = self;
        let Some(dialler) = formats.dialler(connection) else { return Ok(()) };
        let is_known = members.is_removed(dialler) || replication.is_removed(dialler, disks);
        ensure(is_known, Check::Removed, || {
            format!("n{dialler} is told that it was removed, and that is not committed")
        })
    }

    fn check_in_force(&mut self, node: NodeId, what: &str, format: Format) -> Finding {
        let CheckerState { formats, replication, disks, .. } = self;
        // A leader without peers has sent none of its raises.
        if let Some(disk) = disks.nodes.get_mut(&node) {
            formats.learn(disk.log());
        }
        let is_held = |raise| replication.is_held_by_quorum(raise, disks);
        formats.check_in_force(node, what, format, is_held)
    }

    fn check_readable(&mut self, node: NodeId) -> Finding {
        self.formats.check_readable(node, self.disks.of(node).log())
    }
}

/// The name of a message that format 1 does not have, and the first format that has it.
fn format_of(rpc: &Rpc) -> Option<(&'static str, Format)> {
    let (name, format) = match rpc {
        Rpc::StateCheck(_) => ("StateCheck", 2),
        Rpc::StateCheckResponse(_) => ("StateCheckResponse", 2),
        Rpc::StateDiverged(_) => ("StateDiverged", 2),
        Rpc::Remembered(_) => ("Remembered", 2),
        Rpc::TimeoutNow(_) => ("TimeoutNow", 3),
        Rpc::TransferVote(_) => ("TransferVote", 3),
        Rpc::TransferRefused => ("TransferRefused", 3),
        Rpc::Admitted(_) => ("Admitted", 3),
        Rpc::ReadIndex(_) => ("ReadIndex", 4),
        Rpc::ReadIndexResponse(_) => ("ReadIndexResponse", 4),
        Rpc::Forward(_) => ("Forward", 4),
        Rpc::Forwarded(_) => ("Forwarded", 4),
        _ => return None,
    };
    Some((name, Format(format)))
}

/// The way in which the sender of a message takes part, if it does.
fn participation(rpc: &Rpc) -> Option<&'static str> {
    match rpc {
        Rpc::RequestVote(_) | Rpc::TransferVote(_) => Some("stands"),
        Rpc::RequestVoteResponse(response) if response.vote_granted => Some("votes"),
        Rpc::AppendEntries(_) | Rpc::InstallSnapshot(_) | Rpc::TimeoutNow(_) => Some("leads"),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
