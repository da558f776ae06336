//! The measurements of RaftActor.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::durations::Durations;
use super::measures::{self, KnownGauge, from_gauge, system_clock, to_gauge};
use super::moment::Moment;
use super::terms::TermHistory;
use crate::clock::Clock;
use crate::raft::{Event, Role};
use crate::types::{LogIndex, NodeId, Term, Tolerance};

/// All roles, each of which has a time series.
const ROLES: [Role; 7] = [
    Role::Follower,
    Role::PreCandidate,
    Role::Candidate,
    Role::Leader,
    Role::Rejoining,
    Role::Learner,
    Role::Removed,
];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabel {
    role: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// The reason why a write of a client of this node came to nothing, or to nothing that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProposalFailure {
    /// It was not committed in time.
    Timeout,
    /// The leadership ended before it was committed.
    LeadershipLost,
    /// Too many commands waited.
    Busy,
}

impl ProposalFailure {
    const ALL: [ProposalFailure; 3] =
        [ProposalFailure::Timeout, ProposalFailure::LeadershipLost, ProposalFailure::Busy];

    fn name(self) -> &'static str {
        match self {
            ProposalFailure::Timeout => "timeout",
            ProposalFailure::LeadershipLost => "leadership_lost",
            ProposalFailure::Busy => "busy",
        }
    }
}

/// The state of the core at one tick.
#[derive(Clone, Copy, Debug)]
pub struct RaftState {
    /// The role.
    pub role: Role,
    /// The current term.
    pub term: Term,
    /// The leader of that term, when it is known.
    pub leader_id: Option<NodeId>,
    /// The end of the log.
    pub last_log_index: LogIndex,
    /// The newest entry that is known to be committed.
    pub commit_index: LogIndex,
    /// The newest entry that the store has applied.
    pub last_applied: LogIndex,
    /// The last entry of the newest snapshot.
    pub snapshot_index: LogIndex,
    /// The format in force.
    pub format: u64,
    /// True while the server is drained.
    pub is_draining: bool,
    /// Number of writes that wait for their commit.
    pub proposals_pending: usize,
    /// Bytes of memory of the commands that wait.
    pub pending_bytes: u64,
}

/// The state of the core at the last tick.
#[derive(Clone, Default)]
pub(super) struct StateGauges {
    id: Gauge,
    term: Gauge,
    roles: Family<RoleLabel, Gauge>,
    pub(super) is_leader: Gauge,
    pub(super) is_learner: Gauge,
    pub(super) has_leader: Gauge,
    leader_id: Gauge,
    pub(super) commit_index: Gauge,
    last_applied: Gauge,
    pub(super) last_log_index: Gauge,
    snapshot_index: Gauge,
    format: Gauge,
    is_draining: Gauge,
    is_removed: Gauge,
}

/// The elections that the node has seen.
#[derive(Clone, Default)]
pub(super) struct ElectionCounters {
    pub(super) leader_changes: Counter,
    pre_votes: Counter,
    elections: Family<CauseLabel, Counter>,
    leaderships_lost: Family<ReasonLabel, Counter>,
    /// The term of the newest pre-vote: an election of another term was asked for by the leader.
    pre_vote_term: Arc<AtomicU64>,
}

/// The writes of clients, and what became of them.
#[derive(Clone)]
pub(super) struct ProposalMetrics {
    pub(super) pending: Gauge,
    pending_bytes: Gauge,
    pub(super) committed: Counter,
    pub(super) applied: Counter,
    failures: Family<ReasonLabel, Counter>,
    pub(super) failed: Counter,
    pub(super) commit_duration: Durations,
    pub(super) apply_duration: Durations,
}

/// The voters, as only the leader knows them.
#[derive(Clone, Default)]
struct VoterGauges {
    voters: KnownGauge,
    needed: KnownGauge,
    here: KnownGauge,
    can_lose: KnownGauge,
}

/// The time after which a main thread that has done nothing is taken for stuck.
pub const MAIN_THREAD_SILENCE_MAX: Duration = Duration::from_secs(5);

/// The measurements of RaftActor. Clones share the numbers.
#[derive(Clone)]
pub struct RaftMetrics {
    clock: Arc<dyn Clock>,
    /// When the last tick was handled.
    ticked_at: Moment,
    /// When the oldest entry was known to be committed that is not applied.
    unapplied_since: Moment,
    pub(super) state: StateGauges,
    pub(super) elections: ElectionCounters,
    pub(super) proposals: ProposalMetrics,
    voters: VoterGauges,
    terms: TermHistory,
    member_steps: Counter,
    append_rejections: Counter,
    snapshots_sent: Counter,
    tick_interval: Durations,
    batch_messages: Histogram,
}

impl RaftMetrics {
    pub(super) fn new(clock: Arc<dyn Clock>) -> RaftMetrics {
        let elections = ElectionCounters::default();
        let proposals = ProposalMetrics {
            pending: Gauge::default(),
            pending_bytes: Gauge::default(),
            committed: Counter::default(),
            applied: Counter::default(),
            failures: Family::default(),
            failed: Counter::default(),
            commit_duration: Durations::default(),
            apply_duration: Durations::default(),
        };
        // A series that is there from the start can be graphed before its first event.
        for cause in ["timeout", "transfer"] {
            drop(elections.elections.get_or_create(&CauseLabel { cause }));
        }
        for failure in ProposalFailure::ALL {
            drop(proposals.failures.get_or_create(&ReasonLabel { reason: failure.name() }));
        }
        RaftMetrics {
            clock,
            ticked_at: Moment::default(),
            unapplied_since: Moment::default(),
            state: StateGauges::default(),
            elections,
            proposals,
            voters: VoterGauges::default(),
            terms: TermHistory::default(),
            member_steps: Counter::default(),
            append_rejections: Counter::default(),
            snapshots_sent: Counter::default(),
            tick_interval: Durations::default(),
            batch_messages: measures::counts(),
        }
    }

    /// Says which node it is.
    pub fn set_id(&self, id: NodeId) {
        self.state.id.set(to_gauge(id.0));
    }

    /// Takes the state at a tick, which also proves that the main thread makes progress.
    pub fn on_tick(&self, state: &RaftState) {
        let now = self.now();
        self.terms.on_tick(state.role, state.term, state.leader_id, self.clock.wall_ms());
        if let Some(before) = self.ticked_at.get() {
            self.tick_interval.observe(now.saturating_sub(before));
        }
        self.ticked_at.set(Some(now));
        self.set_role(state.role);
        self.state.term.set(to_gauge(state.term.0));
        self.state.has_leader.set(i64::from(state.leader_id.is_some()));
        self.state.leader_id.set(state.leader_id.map_or(0, |id| to_gauge(id.0)));
        self.state.commit_index.set(to_gauge(state.commit_index.0));
        self.state.last_applied.set(to_gauge(state.last_applied.0));
        self.state.last_log_index.set(to_gauge(state.last_log_index.0));
        self.state.snapshot_index.set(to_gauge(state.snapshot_index.0));
        self.state.format.set(to_gauge(state.format));
        self.state.is_draining.set(i64::from(state.is_draining));
        self.proposals.pending.set(to_gauge(state.proposals_pending as u64));
        self.proposals.pending_bytes.set(to_gauge(state.pending_bytes));
        self.proposals.committed.inner().fetch_max(state.commit_index.0, Ordering::Relaxed);
        self.proposals.applied.inner().fetch_max(state.last_applied.0, Ordering::Relaxed);
    }

    fn set_role(&self, role: Role) {
        for of in ROLES {
            let gauge = self.state.roles.get_or_create_owned(&RoleLabel { role: of.to_string() });
            gauge.set(i64::from(of == role));
        }
        self.state.is_leader.set(i64::from(role == Role::Leader));
        self.state.is_learner.set(i64::from(role == Role::Learner));
        self.state.is_removed.set(i64::from(role == Role::Removed));
    }

    /// Takes what the leader knows of the voters; `None` on a node that does not lead.
    pub fn set_tolerance(&self, tolerance: Option<Tolerance>) {
        let known = |of: fn(&Tolerance) -> f64| tolerance.as_ref().map(of);
        self.voters.voters.set(known(|tolerance| tolerance.voters as f64));
        self.voters.needed.set(known(|tolerance| tolerance.needed as f64));
        self.voters.here.set(known(|tolerance| tolerance.here as f64));
        let can_lose =
            |tolerance: &Tolerance| tolerance.can_lose.map_or(-1.0, |voters| voters as f64);
        self.voters.can_lose.set(known(can_lose));
    }

    /// Counts an event of the core, if it is one of those that are counted.
    pub fn on_event(&self, event: &Event) {
        self.terms.on_event(event, self.id(), self.clock.wall_ms());
        match event {
            Event::BecameLeader { .. } | Event::FollowsLeader { .. } => {
                self.elections.leader_changes.inc();
            }
            Event::StartedPreVote { term } => {
                self.elections.pre_vote_term.store(term.0, Ordering::Relaxed);
                self.elections.pre_votes.inc();
            }
            Event::StartedElection { term } => {
                let is_asked_for = self.elections.pre_vote_term.load(Ordering::Relaxed) != term.0;
                let cause = if is_asked_for { "transfer" } else { "timeout" };
                self.elections.elections.get_or_create(&CauseLabel { cause }).inc();
            }
            Event::SteppedDown { reason, .. } => {
                self.elections.leaderships_lost.get_or_create(&ReasonLabel { reason }).inc();
            }
            Event::Members(_) => {
                self.member_steps.inc();
            }
            _ => {}
        }
    }

    /// The number of steps of changes of the members that the node has seen since its start.
    pub fn member_steps(&self) -> u64 {
        self.member_steps.get()
    }

    /// Counts writes of clients that have failed.
    pub fn on_failed(&self, failure: ProposalFailure, count: usize) {
        let count = count as u64;
        self.proposals.failed.inc_by(count);
        self.proposals
            .failures
            .get_or_create(&ReasonLabel { reason: failure.name() })
            .inc_by(count);
    }

    /// Takes the time from the proposal of an entry to its commit.
    pub fn on_committed(&self, duration: Duration) {
        self.proposals.commit_duration.observe(duration);
    }

    /// Takes the time from the moment at which this node knew that an entry is committed until the
    /// store has applied it.
    pub fn on_applied(&self, duration: Duration) {
        self.proposals.apply_duration.observe(duration);
    }

    /// Takes the time at which the oldest entry was known to be committed that is not applied.
    pub fn set_unapplied_since(&self, at: Option<Duration>) {
        self.unapplied_since.set(at);
    }

    /// The time for which the store has owed the application of a committed entry; zero without
    /// one.
    pub fn apply_wait(&self) -> Duration {
        let since = self.unapplied_since.get();
        since.map_or(Duration::ZERO, |since| self.now().saturating_sub(since))
    }

    /// Takes the number of messages of one mailbox drain.
    pub fn on_batch(&self, messages: u32) {
        self.batch_messages.observe(f64::from(messages));
    }

    /// Counts a follower that has refused entries.
    pub fn on_append_rejected(&self) {
        self.append_rejections.inc();
    }

    /// Counts a snapshot that a peer has got.
    pub fn on_snapshot_sent(&self) {
        self.snapshots_sent.inc();
    }

    /// The time since the main thread has handled a tick; `None` before the first.
    pub fn tick_age(&self) -> Option<Duration> {
        self.ticked_at.get().map(|at| self.now().saturating_sub(at))
    }

    /// The terms that the node has seen.
    pub fn terms(&self) -> &TermHistory {
        &self.terms
    }

    /// The wall clock, in milliseconds since the Unix epoch.
    pub fn wall_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// The time of the clock by which this is measured.
    pub fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The term of the last tick.
    pub fn term(&self) -> Term {
        Term(from_gauge(&self.state.term))
    }

    /// The leader that the node knows, as of the last tick.
    pub fn leader_id(&self) -> Option<NodeId> {
        match from_gauge(&self.state.leader_id) {
            0 => None,
            id => Some(NodeId(id)),
        }
    }

    /// The role of the last tick; `None` before the first.
    pub fn role(&self) -> Option<Role> {
        let is_it = |role: &Role| {
            let label = RoleLabel { role: role.to_string() };
            self.state.roles.get(&label).is_some_and(|gauge| gauge.get() != 0)
        };
        ROLES.into_iter().find(is_it)
    }

    /// The newest committed entry that the node knows, and the newest that it has applied.
    pub fn positions(&self) -> (LogIndex, LogIndex) {
        (
            LogIndex(from_gauge(&self.state.commit_index)),
            LogIndex(from_gauge(&self.state.last_applied)),
        )
    }

    /// The id of the node.
    pub fn id(&self) -> NodeId {
        NodeId(from_gauge(&self.state.id))
    }

    /// The format in force; 0 before the first tick.
    pub fn format(&self) -> u64 {
        from_gauge(&self.state.format)
    }

    /// True while the server is drained.
    pub fn is_draining(&self) -> bool {
        self.state.is_draining.get() != 0
    }

    /// True when the node knows that it was removed from the cluster.
    pub fn is_removed(&self) -> bool {
        self.state.is_removed.get() != 0
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        self.state.register(registry);
        self.elections.register(registry);
        self.proposals.register(registry);
        self.voters.register(registry);
        let counters = [
            ("raft_member_steps", "Steps of changes of the members seen", &self.member_steps),
            ("raft_append_rejections", "Requests that peers refused", &self.append_rejections),
            ("raft_snapshots_sent", "Snapshots that peers have got", &self.snapshots_sent),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        let help = "Time between two ticks";
        registry.register("raft_tick_interval_seconds", help, self.tick_interval.clone());
        let help = "Messages of one mailbox drain";
        registry.register("raft_batch_messages", help, self.batch_messages.clone());
    }
}

impl StateGauges {
    fn register(&self, registry: &mut Registry) {
        let gauges = [
            ("raft_node_id", "Id of the node", &self.id),
            ("raft_term", "Current term", &self.term),
            ("raft_is_leader", "1 when the node leads its term", &self.is_leader),
            ("raft_has_leader", "1 when the node knows a leader of its term", &self.has_leader),
            ("raft_leader_id", "Id of the leader that the node knows, 0 for none", &self.leader_id),
            ("raft_commit_index", "Newest entry that is known to be committed", &self.commit_index),
            ("raft_last_applied", "Newest entry that the store has applied", &self.last_applied),
            ("raft_last_log_index", "End of the log", &self.last_log_index),
            ("raft_snapshot_index", "Last entry of the newest snapshot", &self.snapshot_index),
            ("raft_format", "Format of the cluster that is in force", &self.format),
            ("raft_is_draining", "1 while the server is drained", &self.is_draining),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        registry.register("raft_role", "1 for the role of the node", self.roles.clone());
    }
}

impl VoterGauges {
    fn register(&self, registry: &mut Registry) {
        let gauges = [
            ("raft_voters", "Voters, NaN when this node does not lead", &self.voters),
            ("raft_voters_needed", "Voters that are needed to go on", &self.needed),
            ("raft_voters_here", "Voters that the leader hears", &self.here),
            ("raft_voters_can_lose", "Voters that can be lost, -1 for too few", &self.can_lose),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.printed().clone());
        }
    }
}

impl ElectionCounters {
    fn register(&self, registry: &mut Registry) {
        let help = "Leaders that the node has seen begin";
        registry.register("raft_leader_changes", help, self.leader_changes.clone());
        let help = "Rounds of pre-votes that the node began";
        registry.register("raft_pre_votes_started", help, self.pre_votes.clone());
        let help = "Elections that the node began, by their cause";
        registry.register("raft_elections_started", help, self.elections.clone());
        let help = "Leaderships of the node that ended, by the reason";
        registry.register("raft_leaderships_lost", help, self.leaderships_lost.clone());
    }
}

impl ProposalMetrics {
    fn register(&self, registry: &mut Registry) {
        let help = "Writes that wait for their commit";
        registry.register("raft_proposals_pending", help, self.pending.clone());
        let help = "Memory of the commands that wait";
        registry.register("raft_pending_bytes", help, self.pending_bytes.clone());
        let help = "Entries of the log that are committed";
        registry.register("raft_proposals_committed", help, self.committed.clone());
        let help = "Entries of the log that are applied";
        registry.register("raft_proposals_applied", help, self.applied.clone());
        let help = "Writes of clients that failed, or may have, by the reason";
        registry.register("raft_proposals_failed", help, self.failures.clone());
        let help = "Time from an entry's proposal to its commit, as the leader sees it";
        registry.register("raft_commit_duration_seconds", help, self.commit_duration.clone());
        let help = "Time from an entry's commit, as this node learns of it, to its application";
        registry.register("raft_apply_duration_seconds", help, self.apply_duration.clone());
    }
}

impl Default for RaftMetrics {
    fn default() -> RaftMetrics {
        RaftMetrics::new(system_clock())
    }
}
