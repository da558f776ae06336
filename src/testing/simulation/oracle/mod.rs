//! Hears every word between nodes, as it is sent, and holds it against what the
//! sender's disk would keep, against all that was said before, and against the
//! paper.
//!
//! What a node says only to itself cannot be wrong for anybody else; what it says
//! to others is here in its own frames. So this is Figure 3 over what was said:
//! no violation has to do damage first. The oracle believes no node's memory: what
//! a log holds it reads from the disk (`durable`) and from the leader's frames.

mod durable;
mod replication;
mod text;
mod transfer;
mod votes;
mod window;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::BytesMut;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::sync::Notify;
use tokio_util::codec::Decoder;

use super::check::{Check, Violation};
use super::network::Tap;
use super::plan::Plan;
use super::trace::Teller;
use super::world::World;
use crate::raft::{Envelope, Rpc};
use crate::testing::SimDisk;
use crate::types::{LogPosition, NodeId, Term};
use crate::wire::{Frame, FrameCodec};
use durable::{Archive, Durable};
pub(super) use durable::{SECTOR_BYTES, entries as entries_of_segment, mark as mark_of_sector};
use replication::Replication;
pub use transfer::TransferCounts;
use transfer::Transfers;
use votes::Votes;
use window::Windows;

/// Where the nodes of a plan listen for each other.
const PEER_PORT: u16 = 9001;

/// What may not be: the first that was found.
type Finding = Result<(), Violation>;

/// See the module. Clones are the same oracle; the network has one, the world the
/// other.
#[derive(Clone)]
pub(super) struct Oracle {
    teller: Teller,
    mind: Arc<Mutex<Mind>>,
    found: Arc<Notify>,
}

/// All that was heard.
struct Mind {
    /// What was written.
    written: Frames,
    /// What was read; only when somebody wants to know.
    read: Frames,
    disks: Disks,
    votes: Votes,
    replication: Replication,
    windows: Windows,
    transfers: Transfers,
    /// What is to be struck.
    target: Option<Promise>,
    /// Who has been.
    struck: Option<NodeId>,
    finding: Option<Violation>,
    /// What comes behind the first violation says nothing more.
    is_done: bool,
}

/// What a node must not forget once it has said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// Its vote for itself.
    Candidacy,
    /// Its vote.
    Vote,
    /// That it has entries.
    Acknowledgement,
    /// Entries of its own.
    Entries,
    /// A piece of its snapshot.
    Piece,
    /// That it has a piece of one.
    Receipt,
    /// That it has all of it.
    Installation,
}

impl Promise {
    pub(super) fn draw(rng: &mut StdRng) -> Promise {
        let all = [
            Promise::Candidacy,
            Promise::Vote,
            Promise::Acknowledgement,
            Promise::Entries,
            Promise::Piece,
            Promise::Receipt,
            Promise::Installation,
        ];
        all[rng.random_range(0..all.len())]
    }

    fn of(rpc: &Rpc) -> Option<Promise> {
        match rpc {
            Rpc::RequestVote(_) => Some(Promise::Candidacy),
            Rpc::RequestVoteResponse(response) if response.vote_granted => Some(Promise::Vote),
            Rpc::AppendEntriesResponse(_) => Some(Promise::Acknowledgement),
            Rpc::AppendEntries(request) if !request.entries.is_empty() => Some(Promise::Entries),
            Rpc::InstallSnapshot(piece) if !piece.bytes.is_empty() => Some(Promise::Piece),
            Rpc::InstallSnapshotResponse(response) => Some(match response.is_installed {
                true => Promise::Installation,
                false => Promise::Receipt,
            }),
            _ => None,
        }
    }
}

/// What everybody's disk would keep.
struct Disks {
    nodes: BTreeMap<NodeId, Durable>,
    archive: Arc<Mutex<Archive>>,
}

impl Disks {
    fn of(&mut self, node: NodeId) -> &mut Durable {
        self.nodes.get_mut(&node).expect("whoever speaks has a machine")
    }

    fn archive(&self) -> MutexGuard<'_, Archive> {
        self.archive.lock().expect("the oracle does not panic")
    }

    /// A snapshot is whole when it has its name, is the same on all nodes, and what it
    /// does not stand for is in the log (§7).
    fn check_snapshots(&mut self, node: NodeId) -> Finding {
        let complaint = self.of(node).complaint().map(str::to_owned);
        ensure(complaint.is_none(), Check::Snapshot, || {
            format!("n{node}'s disk: {}", complaint.unwrap_or_default())
        })
    }

    /// "Updated on stable storage before responding to RPCs" (Figure 2): whoever
    /// shows a term can never again be in an earlier one.
    fn check_term(&mut self, node: NodeId, term: Term) -> Finding {
        let hard_state = self.of(node).hard_state();
        let is_durable = hard_state.is_some_and(|hard_state| hard_state.current_term >= term);
        ensure(is_durable, Check::DurableVote, || {
            format!("n{node} shows term {term}, and its disk has {hard_state:?}")
        })?;
        let regress = self.of(node).regress();
        ensure(regress.is_none(), Check::DurableVote, || {
            format!("n{node} has forgotten a term or a vote: {regress:?}")
        })
    }

    fn quorum_size(&self) -> usize {
        self.nodes.len() / 2 + 1
    }

    /// Whoever asks for votes, leads, or votes has a durable vote to show for it,
    /// unless its term is over: then it can give none any more.
    fn check_vote(&mut self, node: NodeId, term: Term, candidate: NodeId) -> Finding {
        self.check_term(node, term)?;
        let hard_state = self.of(node).hard_state().unwrap_or_default();
        let is_over = hard_state.current_term > term;
        ensure(is_over || hard_state.voted_for == Some(candidate), Check::DurableVote, || {
            format!(
                "n{node} has voted for n{candidate} in term {term}, and its disk has \
                     {hard_state:?}"
            )
        })?;
        ensure(!hard_state.is_rejoining, Check::Rejoining, || {
            format!("n{node} takes part in term {term}, and its disk says that it may not")
        })
    }
}

fn ensure(is_kept: bool, check: Check, what: impl FnOnce() -> String) -> Finding {
    if is_kept { Ok(()) } else { Err(Violation { check, what: what() }) }
}

impl Oracle {
    pub(super) fn new(plan: &Plan, disks: BTreeMap<u64, SimDisk>, teller: Teller) -> Oracle {
        let settings = &plan.settings;
        let archive = Arc::<Mutex<Archive>>::default();
        let durable = |(id, disk)| {
            let id = NodeId(id);
            let dir = settings.servers[&id].data_dir.clone();
            (id, Durable::new(disk, dir, Arc::clone(&archive)))
        };
        let nodes = disks.into_iter().map(durable).collect();
        let mind = Mind {
            written: Frames::new(settings.limits.frame_bytes_max()),
            read: Frames::new(settings.limits.frame_bytes_max()),
            disks: Disks { nodes, archive },
            votes: Votes::default(),
            replication: Replication::default(),
            windows: Windows::new(&settings.limits),
            transfers: Transfers::default(),
            target: None,
            struck: None,
            finding: None,
            is_done: false,
        };
        Oracle { teller, mind: Arc::new(Mutex::new(mind)), found: Arc::default() }
    }

    fn mind(&self) -> MutexGuard<'_, Mind> {
        self.mind.lock().expect("the oracle does not panic")
    }

    /// Listens from now on, and tells the world what it finds.
    pub(super) fn attend(world: &Rc<World>) {
        world.network.set_tap(PEER_PORT, Box::new(world.oracle.clone()));
        let world = Rc::clone(world);
        actix::spawn(async move {
            loop {
                world.oracle.found.notified().await;
                world.oracle.tell(&world);
                let struck = world.oracle.mind().struck.take();
                if let Some(NodeId(id)) = struck {
                    world.crash(id, true);
                }
            }
        });
    }

    /// Tells what was found and not yet told.
    pub(super) fn tell(&self, world: &World) {
        let finding = self.mind().finding.take();
        if let Some(Violation { check, what }) = finding {
            world.violate(check, what);
        }
    }

    /// Whoever next makes such a promise loses power; nobody does with `None`.
    pub(super) fn strike(&self, promise: Option<Promise>) {
        self.mind().target = promise;
    }

    /// A node starts, and is to be held to what its disk says.
    pub(super) fn on_start(&self, node: u64) {
        self.mind().disks.of(NodeId(node)).hard_state();
    }

    /// A node says that it leads a term.
    pub(super) fn on_leader(&self, node: u64, term: u64) {
        self.note(|mind| mind.replication.check_leader(NodeId(node), Term(term)));
    }

    /// A node runs, and its snapshots and its log go together. A node without peers has
    /// nobody to tell of its log, so that nobody knows what was in it.
    pub(super) fn on_sample(&self, node: u64) {
        self.note(|mind| match mind.disks.nodes.len() {
            1 => Ok(()),
            _ => mind.disks.check_snapshots(NodeId(node)),
        });
    }

    /// A snapshot of a node rots.
    pub(super) fn on_snapshot_rot(&self, node: u64) {
        self.mind().disks.of(NodeId(node)).on_rot();
    }

    /// Every snapshot that was seen, and the digest of the store in it.
    pub(super) fn snapshots(&self) -> Vec<(LogPosition, u64)> {
        self.mind().disks.archive().snapshots().collect()
    }

    /// What was seen of transfers.
    pub(super) fn transfers(&self) -> TransferCounts {
        self.mind().transfers.counts
    }

    /// What a disk has is about to be lost.
    pub(super) fn on_wipe(&self, node: u64) {
        let Mind { disks, replication, .. } = &mut *self.mind();
        replication.on_wipe(NodeId(node), disks);
    }

    /// A node starts, and its disk is damaged: it may forget what is on it now.
    pub(super) fn on_damaged_start(&self, node: u64) {
        let Mind { disks, replication, .. } = &mut *self.mind();
        replication.on_damaged_start(NodeId(node), disks);
    }

    /// It has started with a part of its log.
    pub(super) fn on_repair(&self, node: u64) {
        let Mind { disks, replication, .. } = &mut *self.mind();
        replication.on_repair(NodeId(node), disks);
    }

    /// It has started with everything.
    pub(super) fn on_whole_start(&self, node: u64) {
        self.mind().replication.on_whole_start(NodeId(node));
    }

    fn note(&self, check: impl FnOnce(&mut Mind) -> Finding) {
        let mind = &mut *self.mind();
        if mind.is_done {
            return;
        }
        if let Err(violation) = check(mind) {
            mind.finding = Some(violation);
            mind.is_done = true;
        }
        if mind.finding.is_some() || mind.struck.is_some() {
            self.found.notify_one();
        }
    }
}

impl Tap for Oracle {
    fn on_written(&mut self, pipe: u64, bytes: &[u8]) {
        let teller = self.teller;
        self.note(|mind| {
            mind.written.take(pipe, bytes);
            while let Some(frame) = mind.written.next(pipe)? {
                if teller.is_told {
                    teller.tell(&text::line(&frame));
                }
                mind.on_sent(pipe / 2, frame)?;
            }
            Ok(())
        });
    }

    fn on_read(&mut self, pipe: u64, bytes: &[u8]) {
        if !self.teller.is_told {
            return;
        }
        let mind = &mut *self.mind();
        mind.read.take(pipe, bytes);
        // What was written was looked at already.
        while let Ok(Some(frame)) = mind.read.next(pipe) {
            self.teller.tell(&format_args!("    arrived: {}", text::line(&frame)));
        }
    }
}

/// Frames out of the bytes of many pipes.
struct Frames {
    codec: FrameCodec,
    /// What of its next frame has come.
    pipes: BTreeMap<u64, BytesMut>,
}

impl Frames {
    fn new(frame_bytes_max: u64) -> Frames {
        let frame_bytes_max = usize::try_from(frame_bytes_max).unwrap_or(usize::MAX);
        Frames { codec: FrameCodec::new(frame_bytes_max), pipes: BTreeMap::new() }
    }

    fn take(&mut self, pipe: u64, bytes: &[u8]) {
        self.pipes.entry(pipe).or_default().extend_from_slice(bytes);
    }

    fn next(&mut self, pipe: u64) -> Result<Option<Frame>, Violation> {
        let Some(buffer) = self.pipes.get_mut(&pipe) else { return Ok(None) };
        self.codec.decode(buffer).map_err(|error| Violation {
            check: Check::Protocol,
            what: format!("what was written is no frame: {error}"),
        })
    }
}

impl Mind {
    fn on_sent(&mut self, connection: u64, frame: Frame) -> Finding {
        let Frame::Rpc(envelope) = frame else { return Ok(()) };
        if self.target.is_some() && self.target == Promise::of(&envelope.rpc) {
            self.target = None;
            self.struck = Some(envelope.from);
        }
        let Mind { disks, votes, replication, windows, transfers, .. } = self;
        let Envelope { from, to, term, rpc } = envelope;
        disks.check_snapshots(from)?;
        match rpc {
            // These speak of a term that nobody has taken, or promise nothing.
            Rpc::PreVote(_) | Rpc::RejoinRequest => Ok(()),
            Rpc::PreVoteResponse(response) if response.vote_granted => {
                votes.on_pre_vote_granted(from, to, term);
                Ok(())
            }
            Rpc::PreVoteResponse(_) | Rpc::RejoinResponse(_) => disks.check_term(from, term),
            Rpc::InstallSnapshot(piece) => {
                votes.check_elected(from, term, disks)?;
                replication.on_snapshot(from, term, piece.snapshot.last, disks)?;
                transfers.on_piece(from, to, &piece, disks)
            }
            Rpc::InstallSnapshotResponse(response) => {
                disks.check_term(from, term)?;
                transfers.on_response(to, from, response);
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
            Rpc::AppendEntries(request) => {
                windows.on_request(connection, term, &request)?;
                votes.check_elected(from, term, disks)?;
                replication.on_request(from, term, &request, disks)
            }
            Rpc::AppendEntriesResponse(response) => {
                windows.on_response(connection, term, response);
                replication.on_response(from, term, response, disks)
            }
        }
    }
}

#[cfg(test)]
mod tests;
