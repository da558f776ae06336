//! What one seed is about: how many nodes, which settings, which faults and how
//! often. Drawn anew for each seed ("swarm"), for a run in which everything goes
//! wrong at once never gets anywhere, and one with few faults goes deep.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::network::Weather;
use super::scenario::Scenario;
use crate::actors::clients::session_io::SESSION_BYTES;
use crate::config::Settings;

/// See the module.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Nodes, numbered from 1.
    pub nodes: u64,
    /// Their servers.toml.
    pub settings: Settings,
    /// How long things go wrong, in milliseconds.
    pub trouble_ms: u64,
    /// The network of the whole trouble.
    pub weather: Weather,
    /// Every fault, with its weight among the others; 0 for those that this seed
    /// does without.
    pub faults: Vec<(Fault, u32)>,
    /// The longest pause between two faults, in milliseconds.
    pub fault_pause_ms_max: u64,
    /// The longest that a node stays down, in milliseconds.
    pub down_ms_max: u64,
    /// The longest that a disk takes for a sync while nothing is wrong with it, in
    /// milliseconds.
    pub sync_ms_max: u64,
    /// Clients at work.
    pub clients: u64,
    /// Clients that live beside a node.
    pub residents: u64,
    /// Whether there are some that read slowly, or send half a command.
    pub has_slow_clients: bool,
    /// Keys that they share.
    pub keys: u64,
    /// The longest pause between two commands of a client, in milliseconds.
    pub think_ms_max: u64,
    /// What is played when the trouble is over.
    pub scenario: Option<Scenario>,
    /// How long it is watched.
    pub watch: Duration,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process is killed; the machine lives.
    Kill,
    /// The machine loses power, and some of what was not synced.
    PowerLoss,
    /// All machines lose power at once.
    Blackout,
    /// Who next makes a promise loses power right behind it.
    Strike,
    /// The process is told to stop, and does.
    Stop,
    /// The process does nothing for a while, and does not know it.
    Pause,
    /// The disk takes its time for a sync, or stands still.
    SlowDisk,
    /// Some hosts cannot reach the others.
    Partition,
    /// Some lines are dead in one direction.
    OneWay,
    /// Every host reaches its two neighbours only.
    Chain,
    /// All reach one host, and nobody else.
    Star,
    /// The lines are whole again.
    Heal,
    /// Connections break.
    Break,
    /// A clock is set.
    Clock,
    /// A write fails.
    WriteError,
    /// A sync fails.
    SyncError,
    /// The disk is full, for a while.
    DiskFull,
    /// A read fails.
    ReadError,
    /// The power goes between two operations of the disk.
    DiskCut,
    /// Bits of a file flip, writes were lost or went elsewhere.
    Rot,
    /// The data directory is lost.
    Wipe,
    /// The leader cannot reach a majority.
    IsolateLeader,
    /// The leader's life ends while it has entries that are not committed.
    KillLeader,
    /// The leader's disk takes its time.
    SlowLeader,
    /// The leader's disk stands still until it has been replaced.
    Overthrow,
    /// The leader is cut off, and what was said to it comes when another leads.
    Withhold,
    /// Leaders are cut off one after the other, each soon after its election.
    Revolve,
    /// Two majorities in turn share one node, which loses power in between.
    Hinge,
    /// Who has just heard the leader is killed, and starts among those who have not.
    Usurp,
    /// The leader stands still until another has committed something.
    Doze,
    /// The leader's connections break while its followers' disks are busy.
    Reconnect,
    /// All nodes are restarted, one soon after the other.
    RestartAll,
    /// A minority is down for long.
    Absence,
    /// A follower needs a snapshot, and while it is being sent something goes wrong.
    Interrupt,
    /// A connection carries nothing any more, and nobody is told.
    Silence,
    /// The network is slow for a while.
    Storm,
}

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
    (Fault::Usurp, 5),
    (Fault::Doze, 5),
    (Fault::Reconnect, 5),
    (Fault::RestartAll, 3),
    (Fault::Absence, 3),
    (Fault::Interrupt, 10),
    (Fault::Silence, 4),
    (Fault::Storm, 4),
];

impl Fault {
    /// Whether a node that has no peers can have it.
    fn is_for_one_node(self) -> bool {
        !matches!(
            self,
            Fault::Wipe
                | Fault::IsolateLeader
                | Fault::Overthrow
                | Fault::Withhold
                | Fault::Revolve
                | Fault::Hinge
                | Fault::Usurp
                | Fault::Doze
                | Fault::Reconnect
                | Fault::Absence
                | Fault::Interrupt
        )
    }
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(rng: &mut StdRng) -> Plan {
        let nodes = [1, 3, 3, 3, 3, 5, 5, 5, 7][rng.random_range(0..9)];
        let weather = match rng.random_range(0..4) {
            0 => Weather { delay_ms_max: 1, ..draw_weather(rng) },
            1 => Weather { spike_probability: 0.0, ..draw_weather(rng) },
            _ => draw_weather(rng),
        };
        let (trouble_ms, fault_pause_ms_max) = match rng.random_range(0..5) {
            0 => (rng.random_range(3_000..=8_000), [50, 150][rng.random_range(0..2)]),
            1 => (rng.random_range(20_000..=40_000), [3_000, 8_000][rng.random_range(0..2)]),
            _ => (rng.random_range(8_000..=25_000), [300, 1_000, 3_000][rng.random_range(0..3)]),
        };
        // Whoever reads slowly needs something long to read.
        let has_slow_clients = rng.random_bool(0.2);
        let value_bytes_max = if has_slow_clients { 20_000 } else { 1_024 };
        let mut settings = draw_settings(nodes, value_bytes_max, rng);
        if rng.random_bool(0.8) {
            draw_snapshots(&mut settings, rng);
        }
        Plan {
            nodes,
            scenario: draw_scenario(nodes, &settings, rng),
            settings,
            trouble_ms,
            weather,
            faults: draw_faults(nodes, rng),
            fault_pause_ms_max,
            down_ms_max: [300, 1_500, 6_000][rng.random_range(0..3)],
            sync_ms_max: [0, 2, 8, 30][rng.random_range(0..4)],
            clients: rng.random_range(2..=5),
            residents: nodes * [0, 1, 1, 2][rng.random_range(0..4)],
            has_slow_clients,
            keys: rng.random_range(1..=4),
            think_ms_max: [20, 60, 200][rng.random_range(0..3)],
            watch: Duration::from_secs(5),
        }
    }

    /// A local network in fine weather, the settings of the repository's
    /// servers.toml, and nothing that goes wrong but what is in the script.
    pub fn rehearsal(scenario: Scenario) -> Plan {
        let nodes = scenario.nodes();
        Plan {
            nodes,
            settings: parse(&servers(nodes)),
            trouble_ms: 0,
            weather: Weather {
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
            clients: 3,
            residents: 0,
            has_slow_clients: false,
            keys: 3,
            think_ms_max: 100,
            scenario: Some(scenario),
            watch: scenario.watch(),
        }
    }
}

/// Every other seed has one, if its cluster is large enough.
fn draw_scenario(nodes: u64, settings: &Settings, rng: &mut StdRng) -> Option<Scenario> {
    let fits = |scenario: &Scenario| scenario.fits(nodes, settings);
    let fitting: Vec<Scenario> = Scenario::ALL.into_iter().filter(fits).collect();
    let is_played = rng.random_bool(0.5) && !fitting.is_empty();
    is_played.then(|| fitting[rng.random_range(0..fitting.len())])
}

/// Many kinds, or few: what hides one bug shows another.
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

fn draw_weather(rng: &mut StdRng) -> Weather {
    Weather {
        delay_ms_min: 0,
        delay_ms_max: [1, 3, 10, 40][rng.random_range(0..4)],
        spike_probability: [0.0, 0.01, 0.1][rng.random_range(0..3)],
        spike_ms_max: [50, 200, 500][rng.random_range(0..3)],
        tear_probability: [0.0, 0.05, 0.5][rng.random_range(0..3)],
    }
}

/// Small bounds, so that small runs reach them; windows of one entry above all, for
/// then there is time between any two entries.
fn draw_settings(nodes: u64, value_bytes_max: u64, rng: &mut StdRng) -> Settings {
    let mut text = servers(nodes);
    let append_entries_max = [1, 1, 4, 1024][rng.random_range(0..4)];
    let append_bytes_max = [200, 2_000, 1 << 20][rng.random_range(0..3)];
    let inflight_entries = append_entries_max * [1, 1, 2, 16][rng.random_range(0..4)];
    let inflight_bytes =
        append_bytes_max.max(value_bytes_max + 1_000) * [1, 4][rng.random_range(0..2)];
    // What waits when peace comes has to be through in seconds, with windows that small.
    let pending_max = 64 * inflight_entries.min(inflight_bytes / 200);
    let pending_max = pending_max.min([64, 16_384][rng.random_range(0..2)]);
    writeln!(
        text,
        "[log]\nsegment_bytes = {}\n[limits]\nrequest_timeout_ms = {}\n\
         value_bytes_max = {value_bytes_max}\n\
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
    if rng.random_bool(0.3) {
        // Less than a servers.toml may say: so little that these small loads are short of it.
        let connections_bytes = 64 * SESSION_BYTES;
        let client_bytes = connections_bytes + [60_000, 400_000][rng.random_range(0..2)];
        settings.limits.memory_bytes =
            settings.limits.replication_bytes(nodes as usize) + client_bytes;
    }
    settings
}

/// Snapshots every few entries, and segments that hold few: smaller ones than servers.toml
/// may ask for, so that compaction removes some.
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
