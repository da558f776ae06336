//! The data that a seed draws: the number of nodes, their settings, the faults and their weights,
//! the scenario. Each seed draws a new selection ("swarm testing"): a run with all faults at once
//! makes no progress, and a run with few faults goes deep.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::members::MembersPlan;
use super::model_plan::ModelPlan;
use super::network::NetworkConditions;
use super::upgrade::UpgradePlan;
use crate::actors::clients::session_io::SESSION_BYTES;
use crate::config::Settings;

/// The plan of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The number of nodes. They are numbered from 1.
    pub nodes: u64,
    /// The settings of all nodes.
    pub settings: Settings,
    /// The duration of the phase with faults, in milliseconds.
    pub trouble_ms: u64,
    /// The conditions of the network in that phase.
    pub network: NetworkConditions,
    /// All faults with their weights; 0 for those that this seed does not have.
    pub faults: Vec<(Fault, u32)>,
    /// The longest pause between two faults, in milliseconds.
    pub fault_pause_ms_max: u64,
    /// The longest time for which a crashed node stays down, in milliseconds.
    pub down_ms_max: u64,
    /// The longest time that a sync takes on a disk without faults, in milliseconds.
    pub sync_ms_max: u64,
    /// The clients.
    pub clients: ClientPlan,
    /// The programs of the machines.
    pub upgrade: UpgradePlan,
    /// The plan of the members; `None` when they stay as they are.
    pub members: Option<MembersPlan>,
    /// The scenario that is played after the faults.
    pub scenario: Option<Scenario>,
    /// The time for which the scenario is observed.
    pub scenario_duration: Duration,
}

/// The clients of a run.
#[derive(Clone, Copy, Debug)]
pub struct ClientPlan {
    /// The number of clients that move from node to node.
    pub moving: u64,
    /// The number of clients that stay at one node.
    pub pinned: u64,
    /// True when there are also clients that read slowly or send incomplete commands.
    pub are_some_slow: bool,
    /// The number of keys that all clients share.
    pub keys: u64,
    /// The longest pause between two commands of a client, in milliseconds.
    pub think_ms_max: u64,
    /// The commands on more than a single key.
    pub model: ModelPlan,
}

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process is killed; the machine lives.
    Kill,
    /// The machine loses power, and some of the data that is not synced.
    PowerLoss,
    /// All machines lose power at once.
    Blackout,
    /// The next node that gives a promise of a certain kind loses power just after it.
    Strike,
    /// The process is asked to stop.
    Stop,
    /// The process is paused, as with SIGSTOP.
    Pause,
    /// The disk is slow, or completes nothing for a while.
    SlowDisk,
    /// Some hosts cannot reach the others.
    Partition,
    /// Some lines are dead in one direction.
    OneWay,
    /// Each host reaches its two neighbours only.
    Chain,
    /// All hosts reach one host only.
    Star,
    /// All lines are mended.
    Heal,
    /// Some connections break.
    Break,
    /// The time of day of a machine jumps.
    Clock,
    /// A write fails.
    WriteError,
    /// A sync fails.
    SyncError,
    /// The disk is full, for a while.
    DiskFull,
    /// A read fails.
    ReadError,
    /// The power fails between two operations of the disk.
    DiskCut,
    /// Bits of a file flip, or writes are lost or misdirected.
    Rot,
    /// The data directory is lost.
    Wipe,
    /// The leader cannot reach a majority.
    IsolateLeader,
    /// The leader crashes while it has entries that are not committed.
    KillLeader,
    /// The leader's disk is slow.
    SlowLeader,
    /// The leader's disk is stalled until the leader has been replaced.
    Overthrow,
    /// The leader is cut off, and messages to it arrive when another node leads.
    Withhold,
    /// Leaders are cut off one after the other, each soon after its election.
    Revolve,
    /// Two majorities in turn share one node, which loses power in between.
    Hinge,
    /// A follower that has just answered the leader restarts among nodes that have lost touch
    /// with it, and they elect another leader.
    ElectUnnoticed,
    /// The leader is paused until another node has committed something.
    PauseLeader,
    /// The leader's connections break while disks of its followers are stalled.
    Reconnect,
    /// All nodes are restarted, one soon after the other.
    RestartAll,
    /// A minority is down for a long time.
    Absence,
    /// A follower needs a snapshot, and its install is interrupted.
    Interrupt,
    /// A connection carries nothing any more, without an error.
    Silence,
    /// The network is slow for a while.
    Storm,
    /// A follower needs a snapshot, answers, and never finishes: its disk has no room for
    /// snapshots, or completes nothing.
    StuckFollower,
    /// The disks of all followers are stalled, but they answer heartbeats.
    StalledQuorum,
    /// A client uses a new name for each of hundreds of commands, with keys that expire together.
    ManyNames,
    /// A follower loses entries that it has acknowledged, and nothing on its disk shows it.
    Amnesia,
    /// All nodes are killed, and a majority of the logs are damaged, in different places.
    ScatteredDamage,
    /// A follower loses entries that it has acknowledged, and the leader restarts as well.
    AgedDisk,
    /// A bit of a record in a node's memory flips.
    FlippedBit,
    /// A record of one node is another one than on all others.
    Divergence,
    /// A majority of the data directories is lost, and comes back.
    WipeMajority,
    /// A machine gets the new program.
    Upgrade,
    /// A machine gets the old program.
    Downgrade,
    /// A machine is told to hold the format, or to hold it no longer.
    Hold,
}

/// All faults with their usual weights. The steps of an upgrade have a plan of their own.
const FAULTS: &[(Fault, u32)] = &[
    (Fault::Kill, 10),
    (Fault::PowerLoss, 10),
    (Fault::Blackout, 2),
    (Fault::Strike, 10),
    (Fault::Stop, 5),
    (Fault::Pause, 10),
    (Fault::SlowDisk, 10),
    (Fault::Partition, 10),
    (Fault::OneWay, 6),
    (Fault::Chain, 4),
    (Fault::Star, 4),
    (Fault::Heal, 25),
    (Fault::Break, 15),
    (Fault::Clock, 6),
    (Fault::WriteError, 4),
    (Fault::SyncError, 4),
    (Fault::DiskFull, 3),
    (Fault::ReadError, 2),
    (Fault::DiskCut, 6),
    (Fault::Rot, 8),
    (Fault::Wipe, 3),
    (Fault::IsolateLeader, 6),
    (Fault::KillLeader, 6),
    (Fault::SlowLeader, 4),
    (Fault::Overthrow, 5),
    (Fault::Withhold, 5),
    (Fault::Revolve, 8),
    (Fault::Hinge, 5),
    (Fault::ElectUnnoticed, 5),
    (Fault::PauseLeader, 5),
    (Fault::Reconnect, 5),
    (Fault::RestartAll, 3),
    (Fault::Absence, 3),
    (Fault::Interrupt, 10),
    (Fault::Silence, 4),
    (Fault::Storm, 4),
    (Fault::StuckFollower, 5),
    (Fault::StalledQuorum, 3),
    (Fault::ManyNames, 3),
    (Fault::Amnesia, 4),
    (Fault::ScatteredDamage, 4),
    (Fault::AgedDisk, 5),
    (Fault::FlippedBit, 3),
    (Fault::Divergence, 4),
    (Fault::WipeMajority, 3),
];

impl Fault {
    /// True when it makes sense for a node without peers.
    fn is_for_one_node(self) -> bool {
        !matches!(
            self,
            Fault::Wipe
                | Fault::IsolateLeader
                | Fault::Overthrow
                | Fault::Withhold
                | Fault::Revolve
                | Fault::Hinge
                | Fault::ElectUnnoticed
                | Fault::PauseLeader
                | Fault::Reconnect
                | Fault::Absence
                | Fault::Interrupt
                | Fault::StuckFollower
                | Fault::StalledQuorum
                | Fault::Amnesia
                | Fault::ScatteredDamage
                | Fault::AgedDisk
                | Fault::FlippedBit
                | Fault::Divergence
                | Fault::WipeMajority
        )
    }

    /// True when it is aimed at a chosen node at a chosen time.
    pub(crate) fn is_targeted(self) -> bool {
        matches!(
            self,
            Fault::IsolateLeader
                | Fault::KillLeader
                | Fault::SlowLeader
                | Fault::Overthrow
                | Fault::Withhold
                | Fault::Revolve
                | Fault::Hinge
                | Fault::ElectUnnoticed
                | Fault::PauseLeader
                | Fault::Reconnect
                | Fault::RestartAll
                | Fault::Absence
                | Fault::Interrupt
                | Fault::StuckFollower
                | Fault::StalledQuorum
                | Fault::Amnesia
                | Fault::ScatteredDamage
                | Fault::AgedDisk
                | Fault::FlippedBit
                | Fault::Divergence
                | Fault::WipeMajority
        )
    }

    /// True when it is made for members that stay as they are.
    fn is_of_fixed_members(self) -> bool {
        matches!(self, Fault::WipeMajority | Fault::ScatteredDamage | Fault::AgedDisk)
    }

    /// True when it changes lines or connections, and no node.
    pub(crate) fn is_of_network(self) -> bool {
        matches!(
            self,
            Fault::Partition
                | Fault::OneWay
                | Fault::Chain
                | Fault::Star
                | Fault::Heal
                | Fault::Break
                | Fault::Silence
                | Fault::Storm
        )
    }
}

/// A script of faults. `L` is the leader at its beginning, and `T` the longest election timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// All nodes reach one hub only, which is not `L`. So `L` has lost its quorum, and the hub,
    /// the only node with a quorum, still receives its messages (Cloudflare 2020; "quorum-loss"
    /// of the Omni-Paxos paper).
    QuorumLoss,
    /// `L` is isolated and only the hub has a quorum. A node that reaches only the hub has
    /// entries that the hub lacks ("constrained election"). They are not committed: otherwise
    /// no Raft can elect a leader ([`Scenario::HubBehindCommit`]).
    ConstrainedElection,
    /// The same, but the entries that the hub lacks are committed: no node can be elected
    /// (§5.4.1), and none must be, until another node has a quorum.
    HubBehindCommit,
    /// All nodes form a line with `L` at one end ("chained").
    Chain,
    /// Three nodes form a line with `L` at one end: it has its quorum, and stays the leader.
    ChainOfThree,
    /// `L` can send, but nothing reaches it.
    DeafLeader,
    /// `L` can receive, but nothing that it sends arrives.
    MuteLeader,
    /// The line between `L` and one follower is cut and mended repeatedly.
    FlakyLine,
    /// A follower that was isolated for a long time returns. Without PreVote its term would have
    /// risen with each of its elections.
    FollowerReturns,
    /// `L` was isolated for a long time, and returns with a lower term and entries of its own.
    LeaderReturns,
    /// The disk of `L` completes nothing any more.
    StalledLeader,
    /// The connections between all others have become silent while they were idle, as behind a
    /// firewall that forgets them; then the disk of `L` completes nothing any more.
    SilentPaths,
    /// Each sync of `L` takes a sixth to a third of `T`.
    SlowLeader,
    /// Each sync of `L` takes two thirds to five thirds of `T`.
    SlowerLeader,
    /// Each sync of any node takes two thirds to five thirds of `T`.
    SlowEverywhere,
    /// One sync of `L` takes five thirds of `T`.
    OneStall,
    /// The disk of a follower completes nothing; then `L` is isolated as well.
    StalledFollower,
    /// The process of `L` is paused, and resumed later (SIGSTOP, SIGCONT).
    PausedLeader,
    /// All processes are paused, and resumed together.
    PausedCluster,
}

/// The time for which a scenario is observed after its fault, at least.
const SCENARIO_DURATION: Duration = Duration::from_secs(10);

impl Scenario {
    /// All scenarios.
    pub const ALL: [Scenario; 19] = [
        Scenario::QuorumLoss,
        Scenario::ConstrainedElection,
        Scenario::HubBehindCommit,
        Scenario::Chain,
        Scenario::ChainOfThree,
        Scenario::DeafLeader,
        Scenario::MuteLeader,
        Scenario::FlakyLine,
        Scenario::FollowerReturns,
        Scenario::LeaderReturns,
        Scenario::StalledLeader,
        Scenario::SilentPaths,
        Scenario::SlowLeader,
        Scenario::SlowerLeader,
        Scenario::SlowEverywhere,
        Scenario::OneStall,
        Scenario::StalledFollower,
        Scenario::PausedLeader,
        Scenario::PausedCluster,
    ];

    /// True when it can be played with this number of nodes and these settings.
    fn fits(self, nodes: u64, settings: &Settings) -> bool {
        // A node that waits for a snapshot with limited bandwidth does not return in time.
        let has_slow_snapshots = settings.snapshot.bytes_per_second_max > 0;
        match self {
            _ if has_slow_snapshots => false,
            Scenario::ChainOfThree => nodes == 3,
            // A node and its two neighbours are a quorum of five nodes, and not of seven.
            Scenario::Chain => nodes == 5,
            Scenario::QuorumLoss | Scenario::HubBehindCommit => nodes >= 5,
            // A follower is lost, and then the leader.
            Scenario::StalledFollower => nodes >= 5,
            Scenario::SlowLeader | Scenario::SlowerLeader | Scenario::SlowEverywhere => {
                nodes >= 3 && has_room_for_slow_disks(settings)
            }
            _ => nodes >= 3,
        }
    }

    /// The number of nodes with which it is rehearsed.
    fn nodes(self) -> u64 {
        if self == Scenario::ChainOfThree { 3 } else { 5 }
    }

    /// The time for which it is observed in a rehearsal. A slow disk may need more time to do
    /// harm.
    fn duration(self) -> Duration {
        match self {
            Scenario::SlowLeader | Scenario::SlowerLeader | Scenario::SlowEverywhere => {
                6 * SCENARIO_DURATION
            }
            _ => SCENARIO_DURATION,
        }
    }
}

/// True when writes are answered in time although each takes one or two slow syncs: the window
/// has room for all of them, and their timeout is long enough.
fn has_room_for_slow_disks(settings: &Settings) -> bool {
    settings.limits.peer_inflight_entries_max >= 16
        && settings.limits.request_timeout_ms >= 5 * settings.raft.election_timeout_ms_max
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(rng: &mut StdRng) -> Plan {
        let nodes = [1, 3, 3, 3, 3, 5, 5, 5, 7][rng.random_range(0..9)];
        let network = match rng.random_range(0..4) {
            0 => NetworkConditions { delay_ms_max: 1, ..draw_network(rng) },
            1 => NetworkConditions { spike_probability: 0.0, ..draw_network(rng) },
            _ => draw_network(rng),
        };
        let (trouble_ms, fault_pause_ms_max) = match rng.random_range(0..5) {
            0 => (rng.random_range(3_000..=8_000), [50, 150][rng.random_range(0..2)]),
            1 => (rng.random_range(20_000..=40_000), [3_000, 8_000][rng.random_range(0..2)]),
            _ => (rng.random_range(8_000..=25_000), [300, 1_000, 3_000][rng.random_range(0..3)]),
        };
        // A client that reads slowly needs long values to read.
        let has_slow_clients = rng.random_bool(0.2);
        let value_bytes_max = if has_slow_clients { 20_000 } else { 1_024 };
        let mut settings = draw_settings(nodes, value_bytes_max, rng);
        if rng.random_bool(0.8) {
            draw_snapshots(&mut settings, rng);
        }
        settings.upgrade.raise_after_s = [0, 0, 1, 2, 5][rng.random_range(0..5)];
        let plan = Plan {
            nodes,
            scenario: draw_scenario(nodes, &settings, rng),
            settings,
            trouble_ms,
            network,
            faults: draw_faults(nodes, rng),
            fault_pause_ms_max,
            down_ms_max: [300, 1_500, 6_000][rng.random_range(0..3)],
            sync_ms_max: [0, 2, 8, 30][rng.random_range(0..4)],
            clients: ClientPlan {
                moving: rng.random_range(2..=5),
                pinned: nodes * [0, 1, 1, 2][rng.random_range(0..4)],
                are_some_slow: has_slow_clients,
                keys: rng.random_range(1..=4),
                think_ms_max: [20, 60, 200][rng.random_range(0..3)],
                model: ModelPlan::draw(rng),
            },
            upgrade: UpgradePlan::draw(nodes, rng),
            members: None,
            scenario_duration: Duration::from_secs(5),
        };
        plan.without_wrong_answers().with_members(rng)
    }

    /// The same plan. A follower whose store differs may give a wrong answer before the stores are
    /// compared, so only the leader answers where that fault can come.
    fn without_wrong_answers(mut self) -> Plan {
        let is_divergence =
            |(fault, weight): &(Fault, u32)| *fault == Fault::Divergence && *weight > 0;
        if self.faults.iter().any(is_divergence) {
            self.clients.model.are_some_anywhere = false;
        }
        self
    }

    /// The same plan, with members that change in some seeds. What was drawn before is the same
    /// with and without them.
    fn with_members(mut self, rng: &mut StdRng) -> Plan {
        let Some(members) = MembersPlan::draw(rng) else { return self };
        // The members change from format 3 on: most seeds have it soon.
        if rng.random_bool(0.8) {
            self.upgrade.old_at_first = 0;
            self.upgrade.has_holds = false;
            self.settings.upgrade.raise_after_s = 0;
        }
        self.scenario = None;
        for (fault, weight) in &mut self.faults {
            if fault.is_of_fixed_members() {
                *weight = 0;
            }
        }
        let bytes = |nodes: u64| self.settings.limits.replication_bytes(nodes as usize);
        let more_bytes = bytes(self.nodes + members.spares) - bytes(self.nodes);
        self.settings.limits.memory_bytes += more_bytes;
        self.members = Some(members);
        self
    }

    /// The number of machines, those included that stand by.
    pub fn machines(&self) -> u64 {
        self.nodes + self.members.as_ref().map_or(0, |members| members.spares)
    }

    /// The data directory of a machine.
    ///
    /// # Panics
    /// Never: each plan has a server, and its directory is in that of all of them.
    pub fn data_dir(&self, id: u64) -> PathBuf {
        let (_, first) = self.settings.servers.first_key_value().expect("there is a server");
        first.data_dir.with_file_name(id.to_string())
    }

    /// The plan for a scenario alone: a fast local network, the settings of the repository's
    /// servers.toml, and no faults but those of the scenario.
    pub fn rehearsal(scenario: Scenario) -> Plan {
        let nodes = scenario.nodes();
        Plan {
            nodes,
            settings: parse(&servers(nodes)),
            trouble_ms: 0,
            network: NetworkConditions {
                delay_ms_min: 0,
                delay_ms_max: 1,
                spike_probability: 0.0,
                spike_ms_max: 0,
                tear_probability: 0.0,
            },
            faults: Vec::new(),
            fault_pause_ms_max: 0,
            down_ms_max: 0,
            sync_ms_max: 0,
            clients: ClientPlan {
                moving: 3,
                pinned: 0,
                are_some_slow: false,
                keys: 3,
                think_ms_max: 100,
                model: ModelPlan::SOME,
            },
            upgrade: UpgradePlan::NONE,
            members: None,
            scenario: Some(scenario),
            scenario_duration: scenario.duration(),
        }
    }
}

/// Draws a scenario for every second seed, if its cluster is large enough.
fn draw_scenario(nodes: u64, settings: &Settings, rng: &mut StdRng) -> Option<Scenario> {
    let fits = |scenario: &Scenario| scenario.fits(nodes, settings);
    let fitting: Vec<Scenario> = Scenario::ALL.into_iter().filter(fits).collect();
    let is_played = rng.random_bool(0.5) && !fitting.is_empty();
    is_played.then(|| fitting[rng.random_range(0..fitting.len())])
}

/// Draws many kinds of faults or few: a fault that hides one bug shows another.
fn draw_faults(nodes: u64, rng: &mut StdRng) -> Vec<(Fault, u32)> {
    let left_out = [0.2, 0.5, 0.5, 0.8][rng.random_range(0..4)];
    let mut faults = FAULTS.to_vec();
    for (fault, weight) in &mut faults {
        let is_left_out = rng.random_bool(left_out) && *fault != Fault::Heal;
        if is_left_out || (nodes == 1 && !fault.is_for_one_node()) {
            *weight = 0;
        } else {
            *weight *= rng.random_range(1..=4);
        }
    }
    faults
}

fn draw_network(rng: &mut StdRng) -> NetworkConditions {
    NetworkConditions {
        delay_ms_min: 0,
        delay_ms_max: [1, 3, 10, 40][rng.random_range(0..4)],
        spike_probability: [0.0, 0.01, 0.1][rng.random_range(0..3)],
        spike_ms_max: [50, 200, 500][rng.random_range(0..3)],
        tear_probability: [0.0, 0.05, 0.5][rng.random_range(0..3)],
    }
}

/// Draws settings with small bounds, so that small runs reach them. Windows of one entry are
/// frequent, because then time passes between any two entries.
fn draw_settings(nodes: u64, value_bytes_max: u64, rng: &mut StdRng) -> Settings {
    let mut text = servers(nodes);
    // Enough for four short values and the names of all operations. The windows are no larger
    // than this needs, so that small loads fill them.
    let transaction_bytes_max = value_bytes_max + 2_000;
    let append_entries_max = [1, 1, 4, 1024][rng.random_range(0..4)];
    let append_bytes_max = [200, 2_000, 1 << 20][rng.random_range(0..3)];
    let inflight_entries = append_entries_max * [1, 1, 2, 16][rng.random_range(0..4)];
    let inflight_bytes =
        append_bytes_max.max(transaction_bytes_max + 300) * [1, 4][rng.random_range(0..2)];
    // Proposals that wait at the end of the faults have to be done in seconds, even with small
    // windows.
    let pending_max = 64 * inflight_entries.min(inflight_bytes / 200);
    let pending_max = pending_max.min([64, 16_384][rng.random_range(0..2)]);
    writeln!(
        text,
        "[log]\nsegment_bytes = {}\n[limits]\nrequest_timeout_ms = {}\n\
         value_bytes_max = {value_bytes_max}\n\
         transaction_bytes_max = {transaction_bytes_max}\n\
         inflight_commands_max = {}\ninflight_bytes_max = {}\n\
         append_entries_max = {append_entries_max}\nappend_bytes_max = {append_bytes_max}\n\
         peer_inflight_entries_max = {inflight_entries}\n\
         peer_inflight_bytes_max = {inflight_bytes}\n\
         proposals_pending_max = {pending_max}",
        [value_bytes_max + 70_000, 200_000, 64 << 20][rng.random_range(0..3)],
        [300, 1_000, 5_000][rng.random_range(0..3)],
        [4, 64, pending_max.min(1_024)][rng.random_range(0..3)],
        [100_000, 4 << 20][rng.random_range(0..2)],
    )
    .expect("memory takes any text");
    let timing = [(10, 150, 300, 50), (10, 150, 300, 30), (20, 300, 600, 60), (5, 60, 120, 20)];
    let (tick, min, max, heartbeat) = timing[rng.random_range(0..4)];
    writeln!(
        text,
        "[raft]\ntick_ms = {tick}\nelection_timeout_ms = [{min}, {max}]\n\
         heartbeat_interval_ms = {heartbeat}\nbatched_peer_delay_ms = {}",
        [0, 2, 2, 10][rng.random_range(0..4)]
    )
    .expect("memory takes any text");
    let mut settings = parse(&text);
    settings.raft.leader_lease = rng.random_bool(0.4);
    settings.history.keep_revisions = [100_000, 100_000, 30, 3, 0][rng.random_range(0..5)];
    if rng.random_bool(0.3) {
        // This is less than a servers.toml may say, so that even these small loads reach it.
        let connections_bytes = 64 * SESSION_BYTES;
        let client_bytes = connections_bytes + [60_000, 400_000][rng.random_range(0..2)];
        settings.limits.memory_bytes =
            settings.limits.replication_bytes(nodes as usize) + client_bytes;
    }
    settings
}

/// Draws snapshots every few entries, and segments for few entries. The segments are smaller than
/// a servers.toml may ask for, so that compaction removes some.
fn draw_snapshots(settings: &mut Settings, rng: &mut StdRng) {
    settings.log.segment_bytes = [700, 1_500, 6_000, 30_000][rng.random_range(0..4)];
    settings.log.keep_entries = [0, 0, 3, 50, 10_000][rng.random_range(0..5)];
    settings.snapshot.entries_max = match rng.random_range(0..4) {
        0 => rng.random_range(1..=5),
        1 | 2 => rng.random_range(5..=50),
        _ => 200,
    };
    settings.snapshot.bytes_max = [1_000, 20_000, 1 << 28][rng.random_range(0..3)];
    settings.snapshot.bytes_per_second_max = [0, 0, 0, 5_000, 100_000][rng.random_range(0..5)];
    if settings.snapshot.bytes_per_second_max > 0 {
        // A snapshot has the history, and a cluster may wait for one to arrive: that of a whole run
        // would take a minute at this pace.
        let keep_revisions = settings.history.keep_revisions;
        settings.history.keep_revisions = keep_revisions.min(30);
    }
}

fn servers(nodes: u64) -> String {
    let server = |id| {
        format!(
            "[[servers]]\nid = {id}\nhostname = \"n{id}\"\nclient_port = 9000\nlog_port = 9001\n"
        )
    };
    (1..=nodes).map(server).collect()
}

fn parse(text: &str) -> Settings {
    Settings::parse(Path::new("servers.toml"), text, &Default::default())
        .unwrap_or_else(|error| panic!("the plan's own servers.toml is wrong: {error}\n{text}"))
}
