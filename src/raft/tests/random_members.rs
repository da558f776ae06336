//! Random walks in which members come and go, beside every fault that the cluster knows.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::cluster::{Cluster, ELECTION_TICKS_MAX, HEARTBEAT_TICKS};
use super::members::{add, add_learner, demote, promote, remove, replace};
use super::random::{Walk, any_rules};
use super::text;
use crate::raft::Role;
use crate::types::{MemberOperation, Membership, NodeId};

const SEEDS: u64 = 80;
const STEPS: u32 = 1200;

/// Maximum number of nodes that exist at a time.
const NODES_MAX: usize = 8;

struct MembersWalk {
    walk: Walk,
    /// The rate of requests to change members.
    changes: f64,
    /// The rate of disks that are lost.
    wipes: f64,
    /// The highest id that was asked for.
    last_id: u64,
}

impl MembersWalk {
    fn new(seed: u64, has_trace: bool) -> MembersWalk {
        let mut rng = StdRng::seed_from_u64(seed);
        let nodes = [1, 2, 3, 3, 4, 5][rng.random_range(0..6)];
        let rules = any_rules(&mut rng);
        let mut cluster = Cluster::with_members_and_snapshots(nodes, seed, rules);
        cluster.trace = has_trace.then(Vec::new);
        let changes = [0.01, 0.03, 0.1][rng.random_range(0..3)];
        let wipes = [0.0, 0.05, 0.3][rng.random_range(0..3)];
        let mut walk = Walk::over(cluster, rng);
        // These faults are weighed by the number of nodes, which is not that of the voters here.
        (walk.weather.repairs, walk.weather.amnesia) = (0.0, 0.0);
        MembersWalk { walk, changes, wipes, last_id: nodes }
    }

    fn step(&mut self) {
        self.walk.step();
        if self.walk.rng.random_bool(self.changes) {
            self.step_members();
        }
        if self.walk.rng.random_bool(0.05) {
            let id = self.walk.any_node();
            if !self.walk.cluster.is_up(id) && self.walk.rng.random_bool(self.wipes) {
                self.maybe_wipe(id);
            }
        }
    }

    /// The newest membership that anybody has.
    fn newest(&self) -> Membership {
        let up = self.walk.cluster.nodes.values().filter_map(|node| node.raft.as_ref());
        let newest = up.max_by_key(|raft| (raft.last_log(), raft.id()));
        newest.map(|raft| raft.members_status().membership).unwrap_or_default()
    }

    /// An operator asks some node for something, which is often refused.
    fn step_members(&mut self) {
        let at = match self.walk.cluster.leader() {
            Some(leader) if self.walk.rng.random_bool(0.9) => leader,
            _ => self.walk.any_node(),
        };
        if !self.walk.cluster.is_up(at) {
            return;
        }
        let membership = self.walk.cluster.raft(at).members_status().membership;
        let ids: Vec<NodeId> = membership.ids().into_iter().collect();
        let Some(id) = ids.get(self.walk.rng.random_range(0..ids.len().max(1))) else { return };
        let newcomer = self.last_id + 1;
        let has_room = self.walk.cluster.nodes.len() < NODES_MAX;
        let operation = match self.walk.rng.random_range(0..100) {
            0..25 if has_room => add(newcomer),
            25..40 if has_room => replace(id.0, newcomer),
            40..50 if has_room => add_learner(newcomer),
            50..70 => remove(id.0),
            70..80 => promote(id.0),
            80..90 => demote(id.0),
            90..100 => match &membership.change {
                Some(change) => MemberOperation::Cancel { number: change.number },
                None => return,
            },
            _ => return,
        };
        self.walk.cluster.say(|| format!("n{at} is asked for {operation:?}"));
        let has_begun = self.walk.cluster.change(at, operation).is_ok();
        let members = self.walk.cluster.raft(at).members_status().membership;
        if has_begun && members.is_member(NodeId(newcomer)) {
            self.last_id = newcomer;
            if self.walk.rng.random_bool(0.9) {
                self.walk.cluster.add_node(newcomer);
            }
        }
    }

    /// Loses the disk of a node that is down, if no other voter has forgotten anything: one at a
    /// time is what a cluster survives (docs/adr/0005).
    fn maybe_wipe(&mut self, id: NodeId) {
        let membership = self.newest();
        let has_forgotten = |other: &NodeId| {
            let node = self.walk.cluster.nodes.get(other);
            node.is_none_or(|node| node.disk.durable().hard_state.is_rejoining)
        };
        let mut others = membership.all_voters();
        others.remove(&id);
        // Each half of a joint membership needs a majority of its own without the node.
        let halves = [&membership.voters, &membership.outgoing];
        let is_needed = |half: &&BTreeSet<NodeId>| half.contains(&id) && half.len() < 3;
        if others.len() < 2 || halves.iter().any(is_needed) || others.iter().any(has_forgotten) {
            return;
        }
        self.walk.cluster.say(|| format!("n{id} loses its disk"));
        self.walk.cluster.wipe(id);
    }

    /// Ends all faults: the change under way ends, all members agree, and those that were removed
    /// rest.
    fn recover(&mut self) {
        self.walk.cluster.say(|| "all is well again".to_string());
        self.walk.cluster.heal();
        for id in self.walk.cluster.ids() {
            if !self.walk.cluster.is_up(id) {
                self.walk.cluster.restart(id);
            }
            self.walk.set_slow(id, false, false);
            self.walk.set_keeper_slow(id, false);
        }
        self.walk.cluster.deliver_all();
        for _ in 0..40 {
            self.start_newcomers();
            self.walk.run_calmly(ELECTION_TICKS_MAX);
            for id in self.walk.cluster.ids() {
                self.walk.cluster.connect(id);
            }
            self.walk.cluster.deliver_all();
            if self.is_settled() {
                break;
            }
        }
        if !self.is_settled() {
            panic!("it does not come to rest: {}", self.told());
        }
        self.check_end();
    }

    /// Starts the members that nobody has started yet.
    fn start_newcomers(&mut self) {
        for id in self.newest().ids() {
            if !self.walk.cluster.nodes.contains_key(&id) {
                self.walk.cluster.add_node(id.0);
            }
        }
    }

    fn is_settled(&self) -> bool {
        let Some(leader) = self.walk.cluster.leader() else { return false };
        let status = self.walk.cluster.status(leader);
        let members = status.membership.ids();
        let is_counted = |id: &NodeId| {
            let node = self.walk.cluster.nodes.get(id);
            node.is_some_and(|node| !node.disk.durable().hard_state.is_rejoining)
        };
        status.is_committed
            && status.membership.change.is_none()
            && members.contains(&leader)
            && members.iter().all(is_counted)
    }

    /// The members, as everybody knows them.
    fn told(&self) -> String {
        let nodes = self.walk.cluster.nodes.values();
        let lines = nodes.map(|node| format!("{}; {}", text::members(node), text::status(node)));
        let leader = self.walk.cluster.leader();
        let waits = leader.and_then(|leader| self.walk.cluster.status(leader).waits_for);
        format!("waits for {waits:?}\n{}", lines.collect::<Vec<_>>().join("\n"))
    }

    fn check_end(&mut self) {
        let cluster = &mut self.walk.cluster;
        let leader = cluster.leader().expect("a healthy cluster has a leader");
        let term = cluster.raft(leader).term();
        let proposed = cluster.propose(leader, "at last").expect("it leads");
        cluster.read(leader).expect("it leads");
        self.walk.run_calmly(4 * ELECTION_TICKS_MAX + 2 * HEARTBEAT_TICKS);
        let cluster = &self.walk.cluster;
        assert_eq!(cluster.leader(), Some(leader), "nobody disturbs it");
        assert_eq!(cluster.raft(leader).term(), term, "nobody moves its term");
        let log = cluster.node(leader).applied.clone();
        let membership = cluster.status(leader).membership;
        assert!(log.iter().any(|entry| entry.index == proposed), "it is committed");
        for node in cluster.nodes.values() {
            let raft = node.raft.as_ref().expect("it is up");
            if membership.is_member(node.id) {
                assert_eq!(node.applied, log, "node {} has applied the leader's log", node.id);
                assert_eq!(raft.members_status().membership, membership, "node {}", node.id);
            } else if membership.is_removed(node.id) {
                assert_eq!(raft.role(), Role::Removed, "node {} knows that it is out", node.id);
            }
            assert_eq!(node.waiting, BTreeSet::new(), "every client of {} is answered", node.id);
        }
        assert_eq!(cluster.oracle.pending_reads(), 0, "every read is answered");
        cluster.oracle.any_server.check(log.iter());
        let followers = cluster.node(leader).progress.keys().copied().collect::<BTreeSet<_>>();
        let mut members = membership.ids();
        members.remove(&leader);
        assert_eq!(followers, members, "nobody else is replicated to (docs/bugs.md B50)");
    }

    fn run(&mut self) {
        for _ in 0..STEPS {
            self.step();
        }
        self.recover();
    }
}

/// Runs one seed, and returns the number of changes that its members remember at the end.
fn run_safely(seed: u64) -> Option<u64> {
    let run = || {
        let mut walk = MembersWalk::new(seed, false);
        walk.run();
        walk.newest().ended.len() as u64
    };
    catch_unwind(run).ok()
}

#[test]
fn random_walks_with_changing_members_keep_every_promise_and_recover() {
    let walks: Vec<Option<u64>> = (0..SEEDS).map(run_safely).collect();
    let failed: Vec<u64> = (0..SEEDS).filter(|seed| walks[*seed as usize].is_none()).collect();
    let Some(seed) = failed.first() else {
        let ended: u64 = walks.into_iter().flatten().sum();
        assert!(ended > SEEDS, "{ended} changes ended");
        return;
    };
    // The walk is repeated, this time with a trace.
    let mut walk = MembersWalk::new(*seed, true);
    let _ = catch_unwind(AssertUnwindSafe(|| walk.run()));
    let trace = walk.walk.cluster.trace.unwrap_or_default();
    for line in &trace[trace.len().saturating_sub(80)..] {
        println!("{line}");
    }
    panic!("seed {seed} fails, its end is above; and {} others: {failed:?}", failed.len() - 1);
}
