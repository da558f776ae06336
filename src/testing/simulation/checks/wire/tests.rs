//! Messages between three nodes that break one promise each.

mod members;

use bytes::{Bytes, BytesMut};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio_util::codec::Encoder;

use super::*;
use crate::raft::{
    AppendEntries, AppendEntriesResponse, AppendResult, PreVoteResponse, RequestVote,
    RequestVoteResponse, StateCheck,
};
use crate::storage::{Storage, StorageOptions};
use crate::testing::simulation::checks::violation::Check;
use crate::testing::simulation::trace::Trace;
use crate::types::{
    ClusterId, Entry, FormatInForce, FormatRange, HardState, Incarnation, LogIndex, LogPosition,
    Payload,
};
use crate::wire::FrameCodec;

/// Three nodes that send the messages of a test, and perhaps more that may join them.
struct Fixture {
    checker: WireChecker,
    stores: BTreeMap<u64, Storage>,
    codec: FrameCodec,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::of(3)
    }

    fn of(machines: u64) -> Fixture {
        let mut rng = StdRng::seed_from_u64(1);
        let plan =
            std::iter::repeat_with(|| Plan::draw(&mut rng)).find(|plan| plan.nodes == 3).unwrap();
        let disks: BTreeMap<u64, SimDisk> = (1..=machines).map(|id| (id, SimDisk::new())).collect();
        let open = |(id, disk): (&u64, &SimDisk)| {
            let options = StorageOptions {
                cluster: plan.settings.cluster.clone(),
                node_id: NodeId(*id),
                segment_bytes: 4096,
                can_repair: false,
                has_majority_of_others: false,
                new_incarnation: Incarnation(*id as u128),
                formats: FormatRange::OWN,
            };
            let dir = plan.data_dir(*id);
            (*id, Storage::open(Box::new(disk.clone()), &dir, options).unwrap().0)
        };
        let stores = disks.iter().map(open).collect();
        let codec = FrameCodec::new(1 << 20);
        Fixture {
            checker: WireChecker::new(&plan, disks, Trace::new(false).printer()),
            stores,
            codec,
        }
    }

    fn save(&mut self, node: u64, term: u64, voted_for: u64) {
        let hard_state = HardState {
            current_term: Term(term),
            voted_for: Some(NodeId(voted_for)),
            ..HardState::default()
        };
        self.stores.get_mut(&node).unwrap().save_hard_state(hard_state).unwrap();
    }

    fn append(&mut self, node: u64, entries: &[Entry]) {
        self.stores.get_mut(&node).unwrap().append(entries).unwrap();
    }

    fn sync(&mut self, node: u64) {
        self.stores.get_mut(&node).unwrap().sync().unwrap();
    }

    /// Sends a frame. Returns the check that it violates, if any.
    fn send(&mut self, from: u64, to: u64, term: u64, rpc: Rpc) -> Option<Check> {
        let (from, to) = (NodeId(from), NodeId(to));
        let frame = Frame::Rpc(Envelope { from, to, term: Term(term), rpc });
        let mut bytes = BytesMut::new();
        self.codec.encode(&frame, &mut bytes).unwrap();
        // The network tears writes, too.
        let pipe = 100 * from.0 + to.0;
        let (head, tail) = bytes.split_at(5);
        self.checker.on_written(pipe, head);
        self.checker.on_written(pipe, tail);
        self.checker.state().violation.take().map(|violation| violation.check)
    }

    /// Elects n1 in term 1, and gives it its first entry.
    fn elect(&mut self) {
        self.save(1, 1, 1);
        self.save(2, 1, 1);
        let pre_vote = Rpc::PreVoteResponse(PreVoteResponse { vote_granted: true });
        assert_eq!(self.send(2, 1, 1, pre_vote), None);
        assert_eq!(self.send(1, 2, 1, request_vote(LogPosition::default())), None);
        assert_eq!(self.send(2, 1, 1, grant()), None);
        assert_eq!(self.send(1, 2, 1, append(0, 0, 0, vec![entry(1, 1)])), None);
    }
}

fn entry(index: u64, term: u64) -> Entry {
    let payload = Payload::Command(Bytes::from_static(b"what it says"));
    Entry { index: LogIndex(index), term: Term(term), stamp_ms: 7, payload }
}

fn request_vote(last: LogPosition) -> Rpc {
    Rpc::RequestVote(RequestVote { last })
}

fn grant() -> Rpc {
    Rpc::RequestVoteResponse(RequestVoteResponse { vote_granted: true })
}

fn append(index: u64, term: u64, commit: u64, entries: Vec<Entry>) -> Rpc {
    Rpc::AppendEntries(AppendEntries {
        request_seq: 1,
        prev: LogPosition { term: Term(term), index: LogIndex(index) },
        leader_commit: LogIndex(commit),
        read_seq: 0,
        entries,
    })
}

fn acknowledge(match_index: u64) -> Rpc {
    let result = AppendResult::Success { match_index: LogIndex(match_index) };
    let response =
        AppendEntriesResponse { request_seq: 1, read_seq: 0, is_rejoining: false, result };
    Rpc::AppendEntriesResponse(response)
}

#[test]
fn a_correct_run_has_no_violation() {
    let mut f = Fixture::new();
    f.elect();
    for node in [1, 2] {
        f.append(node, &[entry(1, 1)]);
        f.sync(node);
    }
    assert_eq!(f.send(2, 1, 1, acknowledge(1)), None);
    assert_eq!(f.send(1, 2, 1, append(1, 1, 1, vec![entry(2, 1)])), None);
}

#[test]
fn a_vote_is_on_disk_and_there_is_one_a_term() {
    let mut f = Fixture::new();
    f.elect();
    assert_eq!(f.send(3, 1, 1, grant()), Some(Check::DurableVote));

    let mut f = Fixture::new();
    f.elect();
    f.save(2, 1, 3);
    assert_eq!(f.send(2, 3, 1, grant()), Some(Check::DurableVote), "its disk took a vote back");
}

#[test]
fn a_leader_has_votes_and_a_candidate_has_pre_votes() {
    let mut f = Fixture::new();
    f.save(3, 1, 3);
    assert_eq!(f.send(3, 1, 1, append(0, 0, 0, vec![])), Some(Check::ElectionQuorum));

    let mut f = Fixture::new();
    f.save(3, 1, 3);
    let request = request_vote(LogPosition::default());
    assert_eq!(f.send(3, 1, 1, request), Some(Check::PreVote));
}

#[test]
fn a_vote_is_for_a_log_that_is_up_to_date() {
    let mut f = Fixture::new();
    f.elect();
    f.append(2, &[entry(1, 1)]);
    f.sync(2);
    let pre_vote = Rpc::PreVoteResponse(PreVoteResponse { vote_granted: true });
    f.send(2, 3, 2, pre_vote);
    f.save(3, 2, 3);
    assert_eq!(f.send(3, 2, 2, request_vote(LogPosition::default())), None);
    f.save(2, 2, 3);
    assert_eq!(f.send(2, 3, 2, grant()), Some(Check::ElectionRestriction));
}

#[test]
fn an_acknowledgement_and_a_commit_are_on_disk() {
    let mut f = Fixture::new();
    f.elect();
    f.append(2, &[entry(1, 1)]);
    assert_eq!(f.send(2, 1, 1, acknowledge(1)), Some(Check::DurableAcknowledgement));

    let mut f = Fixture::new();
    f.elect();
    f.append(2, &[entry(1, 1)]);
    f.sync(2);
    assert_eq!(f.send(2, 1, 1, acknowledge(1)), None);
    let commit = append(1, 1, 1, vec![]);
    assert_eq!(f.send(1, 2, 1, commit), Some(Check::DurableQuorum), "the leader's disk lacks it");
}

#[test]
fn a_leader_only_appends_and_knows_what_it_has() {
    let mut f = Fixture::new();
    f.elect();
    let other = Entry { stamp_ms: 8, ..entry(1, 1) };
    assert_eq!(f.send(1, 3, 1, append(0, 0, 0, vec![other])), Some(Check::LeaderAppendOnly));

    let mut f = Fixture::new();
    f.elect();
    let gap = append(2, 1, 0, vec![]);
    assert_eq!(f.send(1, 3, 1, gap), Some(Check::LeaderAppendOnly), "it never had entry 2");
}

#[test]
fn a_durable_log_is_read_over_segments_and_replaced_entries() {
    let mut f = Fixture::new();
    f.save(1, 3, 1);
    let entries: Vec<Entry> = (1..=200).map(|index| entry(index, 1)).collect();
    f.append(1, &entries);
    f.append(1, &[entry(150, 3)]);
    f.sync(1);
    f.append(1, &[entry(151, 3)]);
    let mut expected: Vec<_> = entries[..149].iter().map(durable::Slot::of).collect();
    expected.push(durable::Slot::of(&entry(150, 3)));
    let state = &mut *f.checker.state();
    assert_eq!(state.disks.of(NodeId(1)).log(), expected);
}

#[test]
fn nothing_of_format_2_is_sent_before_it_is_in_force() {
    let mut f = Fixture::new();
    f.elect();
    let check = StateCheck { index: LogIndex(1), digest: 7, acknowledged: Vec::new() };
    assert_eq!(f.send(1, 2, 1, Rpc::StateCheck(check)), Some(Check::FormatAhead));

    let mut f = Fixture::new();
    f.elect();
    let id = Entry { payload: Payload::ClusterId(ClusterId(7)), ..entry(2, 1) };
    assert_eq!(f.send(1, 2, 1, append(1, 1, 0, vec![id])), Some(Check::FormatAhead));
}

#[test]
fn a_disk_has_nothing_that_its_program_does_not_read() {
    for (formats, wrong) in
        [(FormatRange::OWN, None), (FormatRange::FIRST_ONLY, Some(Check::FormatAhead))]
    {
        let mut f = Fixture::new();
        f.elect();
        f.checker.on_opened(2, formats);
        let payload = Payload::Format(FormatInForce::of(Format(2)));
        f.append(2, &[entry(1, 1), Entry { payload, ..entry(2, 1) }]);
        f.sync(2);
        f.checker.on_sample(2, 1, 0, false);
        let found = f.checker.take_violation().map(|violation| violation.check);
        assert_eq!(found, wrong, "its program reads {formats}");
    }
}
