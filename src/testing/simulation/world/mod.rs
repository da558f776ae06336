//! The data of a run. Nothing here acts on the cluster; `cluster` does.

mod machine;
mod membership;
mod memory;
mod operators;
mod place;
mod sample;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::checks::panics;
use super::checks::violation::{Check, Violation};
use super::checks::wire::WireChecker;
use super::clock::SimClock;
use super::history::{Action, Answer, Operation, Server, StaleRead, WatchStream};
use super::network::SimNetwork;
use super::plan::{Fault, Plan};
use super::trace::Trace;
use crate::clock::Clock;
use crate::types::NodeId;
pub(crate) use machine::{Machine, ProcessEnd, Tasks, host};
pub(crate) use operators::{Accepted, Operators};
pub(crate) use place::{CLIENT_PORT, PEER_PORT, Place};
pub(crate) use sample::Sample;

/// The largest deviation of a monotonic clock, in millionths. Two clocks then differ by nearly
/// as much as leases allow (docs/adr/0012).
const RATE_PPM_MAX: i32 = 140_000;

/// The largest errors of a time of day, in milliseconds: up to a wrong time zone, a battery that
/// was empty for years, and a year that was entered wrongly.
pub(crate) const CLOCK_ERRORS_MS: [i64; 5] =
    [50, 5_000, 1_200_000, 12 * HOUR_MS, 20 * 365 * 24 * HOUR_MS];
const HOUR_MS: i64 = 3_600_000;

/// The client number of writes whose answers are not looked at.
const UNHEARD: u64 = 999;

/// Each machine had run for this time longer than the one before it when the simulation began.
const UPTIME_STEP: Duration = Duration::from_secs(50 * 24 * 3600);

/// Everything that a seed creates.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) trace: Trace,
    pub(crate) network: SimNetwork,
    pub(crate) wire: WireChecker,
    pub(crate) machines: BTreeMap<u64, Rc<Machine>>,
    pub(crate) history: RefCell<Vec<Operation>>,
    /// All statuses of all nodes, in the order of their arrival.
    pub(crate) samples: RefCell<Vec<Sample>>,
    /// The number of faults of each kind that were inflicted.
    pub(crate) faults: RefCell<BTreeMap<Fault, u64>>,
    pub(crate) phase: Phase,
    pub(crate) operators: Operators,
    pub(crate) data: Data,
    pub(crate) seen: Seen,
    violations: RefCell<Vec<Violation>>,
    /// The simulated time at each point of the logical clock, in milliseconds.
    times_ms: RefCell<Vec<u64>>,
    rng: RefCell<StdRng>,
}

/// The machines that have the data of the cluster, or have lost it.
#[derive(Default)]
pub(crate) struct Data {
    /// The machines that may have lost durable data, each with the life that ended with the loss.
    /// Their nodes are not counted until they have caught up. The life is `u64::MAX` while it is
    /// not known whether the damage matters.
    pub(crate) losses: RefCell<BTreeMap<u64, u64>>,
    /// The nodes that have had a vote and entries since the beginning. A member that has a vote
    /// and has never used it looks as new as one that has lost its disk.
    pub(crate) participants: RefCell<BTreeSet<u64>>,
}

/// The answers of the store beside those of the history. They are checked at the end, against the
/// committed log.
#[derive(Default)]
pub(crate) struct Seen {
    /// The streams of all watchers.
    pub(crate) streams: RefCell<Vec<WatchStream>>,
    /// The reads of what a server has applied, those of a connection in their order.
    pub(crate) stale_reads: RefCell<Vec<StaleRead>>,
    /// The index that all nodes had applied when they were first equal at the end; 0 before.
    pub(crate) agreed_index: Cell<u64>,
}

/// The phases of a run. Each flag is set once, in this order, but for `is_quiesced` and
/// `is_election_due`.
#[derive(Default)]
pub(crate) struct Phase {
    /// True once the fault-free phase has begun: no more faults come by chance.
    pub(crate) is_fault_free: Cell<bool>,
    /// True while a fault waits for a leader: no machine is upgraded meanwhile.
    pub(crate) is_election_due: Cell<bool>,
    /// True while the clients send nothing.
    pub(crate) is_quiesced: Cell<bool>,
    /// True once a write has succeeded in the fault-free phase.
    pub(crate) has_recovered: Cell<bool>,
    /// True once the clients have to finish.
    pub(crate) is_over: Cell<bool>,
    /// True once all nodes are equal. Statuses and restarts during the shutdown are not checked.
    pub(crate) is_agreed: Cell<bool>,
    /// True when the search for an order of the history was given up.
    pub(crate) is_given_up: Cell<bool>,
}

impl World {
    pub(crate) fn new(plan: Plan, network: SimNetwork, trace: Trace, mut rng: StdRng) -> World {
        let skew_ms = [0, 100, 100_000, 12 * HOUR_MS, CLOCK_ERRORS_MS[4]][rng.random_range(0..5)];
        let drift_ppm = [0, 20, 1_000][rng.random_range(0..3)];
        let rate_ppm = [0, RATE_PPM_MAX][rng.random_range(0..2)];
        let machine = |id| {
            let clock = SimClock::new(rng.random_range(-skew_ms..=skew_ms))
                .drifting(rng.random_range(-drift_ppm..=drift_ppm))
                .running_at(rng.random_range(-rate_ppm..=rate_ppm))
                .booted(UPTIME_STEP * id as u32);
            let program = plan.upgrade.program_at_first(id);
            let machine = Machine::new(id, plan.data_dir(id), clock, program);
            (id, Rc::new(if id > plan.nodes { machine.spare() } else { machine }))
        };
        let machines: BTreeMap<_, _> = (1..=plan.machines()).map(machine).collect();
        let disks = machines.values().map(|machine| (machine.id, machine.disk.clone()));
        World {
            wire: WireChecker::new(&plan, disks.collect(), trace.printer()),
            machines,
            plan,
            trace,
            network,
            history: RefCell::default(),
            samples: RefCell::default(),
            faults: RefCell::default(),
            phase: Phase::default(),
            operators: Operators::default(),
            data: Data::default(),
            seen: Seen::default(),
            violations: RefCell::default(),
            times_ms: RefCell::default(),
            rng: RefCell::new(StdRng::seed_from_u64(rng.random())),
        }
    }

    /// The next point in time on the logical clock that all clients share.
    pub(crate) fn next_time(&self) -> u64 {
        let mut times_ms = self.times_ms.borrow_mut();
        times_ms.push(self.trace.now_ms());
        times_ms.len() as u64
    }

    /// The simulated time at a point of the logical clock, in milliseconds. No node knows it.
    pub(crate) fn true_ms(&self, time: u64) -> u64 {
        let time = usize::try_from(time).unwrap_or(usize::MAX);
        let times_ms = self.times_ms.borrow();
        time.checked_sub(1).and_then(|place| times_ms.get(place)).copied().unwrap_or(u64::MAX)
    }

    /// The time on a node's monotonic clock, in milliseconds.
    pub(crate) fn clock_ms(&self, of: &str) -> u64 {
        let found = self.machines.values().find(|machine| host(machine.id) == of);
        found.map_or(0, |machine| machine.clock.monotonic().as_millis() as u64)
    }

    /// The latest time that the store's clock can show now, in milliseconds: the time that has
    /// passed since the beginning, on the fastest clock.
    pub(crate) fn latest_clock_ms(&self) -> u64 {
        let elapsed_ms = self.trace.now_ms() + 1;
        elapsed_ms + elapsed_ms * RATE_PPM_MAX as u64 / 1_000_000
    }

    pub(crate) fn violate(&self, check: Check, what: String) {
        self.trace.say(&format_args!("VIOLATION of {check}: {what}"));
        self.violations.borrow_mut().push(Violation { check, what });
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.violations.borrow().clone()
    }

    /// Takes over the violation that the wire checker has found, if there is a new one.
    pub(crate) fn report_wire_violation(&self) {
        if let Some(Violation { check, what }) = self.wire.take_violation() {
            self.violate(check, what);
        }
    }

    /// True when the seed has failed already. What follows the first violation is not
    /// informative.
    pub(crate) fn has_failed(&self) -> bool {
        self.report_wire_violation();
        for panic in panics::take() {
            self.violate(Check::Assertion, panic);
        }
        !self.violations.borrow().is_empty()
    }

    /// The life of a node that is there now, or comes next.
    pub(crate) fn server(&self, id: u64) -> Server {
        Server { id, life: self.machines[&id].lives.get() }
    }

    /// True when the store of a node may be another one than the log leads to: what it says of its
    /// own store is not checked.
    pub(crate) fn may_differ(&self, server: Server) -> bool {
        self.machines[&server.id].memory.may_differ_in(server.life)
    }

    /// Adds a client's command to the history. A read without an answer is left out: it has
    /// nothing to check.
    pub(crate) fn record(&self, operation: Operation) {
        let Operation { client, key, action, answer, .. } = &operation;
        let key = String::from_utf8_lossy(key);
        match answer {
            Answer::Unknown | Answer::Refused if action.is_read() => return,
            _ => self.trace.say(&format_args!("c{client} {key} {action:?}: {answer:?}")),
        }
        self.history.borrow_mut().push(operation);
    }

    /// Records a write whose answer is not looked at: it may have been executed or not.
    pub(crate) fn record_unanswered_write(&self, key: &'static str, value: Bytes) {
        let (invoked, latest_clock_ms) = (self.next_time(), self.latest_clock_ms());
        self.record(Operation {
            client: UNHEARD,
            key: Bytes::from_static(key.as_bytes()),
            action: Action::Set(value),
            invoked,
            returned: invoked,
            answer: Answer::Unknown,
            clock_ms: latest_clock_ms,
            latest_clock_ms,
        });
    }

    pub(crate) fn count(&self, fault: Fault) {
        *self.faults.borrow_mut().entry(fault).or_default() += 1;
    }

    pub(crate) fn random<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.rng.borrow_mut())
    }

    /// The nodes that run.
    pub(crate) fn up(&self) -> Vec<u64> {
        self.machines.values().filter(|machine| machine.is_up()).map(|m| m.id).collect()
    }

    pub(crate) fn data_dir(&self, id: u64) -> &Path {
        &self.machines[&id].site.dir
    }

    /// True when a start may say that the cluster is new: nobody has any data yet. A node
    /// without peers has nobody to ask.
    pub(crate) fn is_new_cluster(&self) -> bool {
        let has_data = !self.data.participants.borrow().is_empty();
        match self.plan.nodes {
            1 => self.plan.members.is_none() || !has_data,
            _ => self.plan.upgrade.is_new_cluster && !has_data,
        }
    }

    /// A machine may have lost durable data, in a life that ended or that is not known.
    pub(crate) fn note_data_loss(&self, id: u64, life: u64) {
        self.data.losses.borrow_mut().insert(id, life);
    }

    /// Notes whose stores may differ because a node with such a store has sent them a snapshot. The
    /// stores are compared later, and each of those nodes has to begin anew.
    pub(crate) fn note_misled(&self) {
        for NodeId(id) in self.wire.take_misled() {
            let machine = &self.machines[&id];
            self.trace.say(&format_args!("n{id} may have the store of a node that differs"));
            machine.memory.on_misled(machine.lives.get());
            self.note_data_loss(id, u64::MAX);
        }
    }

    /// True when machines may lose durable data now: no other has, and all have taken part
    /// (docs/adr/0005).
    pub(crate) fn may_lose_data(&self) -> bool {
        let (participants, losses) = (self.data.participants.borrow(), self.data.losses.borrow());
        if self.plan.members.is_none() {
            let have_all_taken_part = participants.len() as u64 == self.plan.nodes;
            return self.plan.nodes > 1 && losses.is_empty() && have_all_taken_part;
        }
        // Two voters have no quorum without one of them, and a server that has lost its data waits
        // for all others. A leader that has not heard yet of the loss would take another voter
        // away.
        let membership = self.membership();
        let has_taken_part = |id: &NodeId| {
            participants.contains(&id.0)
                && !losses.contains_key(&id.0)
                && self.machines.get(&id.0).is_some_and(|m| m.site.place.get() == Place::Serving)
        };
        membership.voters.len() > 2
            && self.operators.leaving.get() == 0
            && membership.ids().iter().all(has_taken_part)
            && self.are_members_settled()
    }

    /// True when a learner may lose its disk now: its loss is no loss for the others, unless it is
    /// about to become a voter.
    pub(crate) fn may_lose_learner(&self, id: u64) -> bool {
        let is_learner = |membership: &std::sync::Arc<crate::types::Membership>| {
            let candidate = membership.change.as_ref().and_then(|change| change.what.candidate());
            membership.is_learner(NodeId(id)) && candidate != Some(NodeId(id))
        };
        self.open_memberships().iter().all(is_learner)
    }
}
