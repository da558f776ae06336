//! Reads and writes at nodes that do not lead, in random walks (docs/adr/0031), and what must
//! become of the commands that these nodes forward.

use std::collections::BTreeMap;

use bytes::Bytes;
use rand::RngExt;

use super::cluster::HEARTBEAT_TICKS;
use super::random::Walk;
use crate::raft::{Envelope, Forward, ForwardAnswer, ForwardOutcome, Role, Rpc};
use crate::types::{Entry, LogPosition, NodeId, Payload};

/// Everything that nodes which do not lead were asked for.
#[derive(Default)]
pub(super) struct AnyServer {
    /// All commands that were ever forwarded, each with what its node was told.
    commands: Vec<Told>,
    /// The places of the commands of the present run of each node, by number.
    places: BTreeMap<(NodeId, u64), usize>,
    /// The number of reads that were answered by nodes that do not lead.
    reads: u32,
}

/// A command that was forwarded.
struct Told {
    from: NodeId,
    command: Bytes,
    /// True when the network has made a second one of it, which no connection does.
    is_copied: bool,
    appended: Option<LogPosition>,
    is_refused: bool,
}

impl AnyServer {
    pub(super) fn on_forward(&mut self, from: NodeId, number: u64, command: Bytes) {
        let place = self.commands.len();
        let told = Told { from, command, is_copied: false, appended: None, is_refused: false };
        self.commands.push(told);
        let before = self.places.insert((from, number), place);
        assert_eq!(before, None, "node {from}: a number names one command of a run");
    }

    /// The network has made a second one of a message.
    pub(super) fn on_copy(&mut self, envelope: &Envelope) {
        let Rpc::Forward(Forward { command, .. }) = &envelope.rpc else { return };
        let mut commands = self.commands.iter_mut();
        let is_it = |told: &&mut Told| told.from == envelope.from && told.command == *command;
        commands.find(is_it).expect("it was forwarded").is_copied = true;
    }

    /// A command of the present run of node `id` was answered.
    pub(super) fn on_answer(&mut self, id: NodeId, answer: &ForwardAnswer) {
        let place = self.places.get(&(id, answer.number));
        let place = *place.unwrap_or_else(|| panic!("node {id} has not forwarded {answer:?}"));
        let told = &mut self.commands[place];
        match answer.outcome {
            ForwardOutcome::Appended(index) => {
                let position = LogPosition { term: answer.term, index };
                let first = *told.appended.get_or_insert(position);
                assert_eq!(first, position, "a command is appended once");
            }
            ForwardOutcome::NotLeader | ForwardOutcome::Busy | ForwardOutcome::NotYet => {
                told.is_refused = true;
            }
        }
    }

    pub(super) fn on_read(&mut self) {
        self.reads += 1;
    }

    /// The numbers of a run end with it.
    pub(super) fn on_crash(&mut self, id: NodeId) {
        self.places.retain(|(from, _), _| *from != id);
    }

    /// No command is committed twice, none at another place than its node was told, and none of
    /// which the node was told that it is not executed.
    pub(super) fn check<'a>(&self, committed: impl Iterator<Item = &'a Entry>) {
        let mut positions: BTreeMap<&Bytes, LogPosition> = BTreeMap::new();
        for entry in committed {
            if let Payload::Command(command) = &entry.payload
                && self.commands.iter().any(|told| told.command == *command)
            {
                let before = positions.insert(command, entry.position());
                assert_eq!(before, None, "{command:?} is committed twice");
            }
        }
        for Told { from, command, is_copied, appended, is_refused } in &self.commands {
            let committed = positions.get(command).copied();
            if let (Some(committed), Some(appended)) = (committed, *appended) {
                assert_eq!(committed, appended, "node {from} waits for {command:?} elsewhere");
            }
            // A second one may be refused, whatever has become of the first.
            if *is_refused && !is_copied {
                assert_eq!((*appended, committed), (None, None), "{command:?} was refused");
            }
        }
    }
}

impl Walk {
    /// A client of any node reads, or writes, in the same batch as the next event.
    pub(super) fn step_any_server(&mut self, id: NodeId) {
        if self.rng.random_bool(0.5) {
            let _ = self.cluster.ask_unsettled(id);
        } else {
            self.proposals += 1;
            let text = format!("f{}", self.proposals);
            let _ = self.cluster.forward_unsettled(id, &text);
        }
    }

    /// All is well: every node that does not lead serves, if the format in force lets it.
    pub(super) fn serve_at_any_node(&mut self, leader: NodeId) {
        let mut ids = self.cluster.ids();
        ids.retain(|id| *id != leader && self.cluster.raft(*id).takes_commands_anywhere());
        for id in &ids {
            let text = format!("at node {id}");
            self.cluster.forward_unsettled(*id, &text).expect("it knows the leader");
            self.cluster.ask(*id).expect("it knows the leader");
        }
        self.run_calmly(2 * HEARTBEAT_TICKS);
        for id in ids {
            let command = Payload::Command(format!("at node {id}").into());
            let mut applied = self.cluster.node(id).applied.iter();
            assert!(applied.any(|entry| entry.payload == command), "what node {id} has forwarded");
        }
    }
}

/// Without this check, walks whose nodes serve nothing would pass, too.
#[test]
fn random_walks_serve_at_any_node() {
    let (mut reads, mut appended, mut refused, mut lost) = (0, 0, 0, 0);
    // These walks begin in format 4.
    for seed in (1..240).step_by(8) {
        let mut walk = Walk::new(seed, false, false);
        walk.run();
        let AnyServer { reads: answered, commands, .. } = &walk.cluster.oracle.any_server;
        reads += answered;
        appended += commands.iter().filter(|told| told.appended.is_some()).count();
        refused += commands.iter().filter(|told| told.is_refused).count();
        let is_lost = |told: &&Told| told.appended.is_none() && !told.is_refused;
        lost += commands.iter().filter(is_lost).count();
        let leader = walk.cluster.leader().expect("all is well");
        assert_eq!(walk.cluster.raft(leader).role(), Role::Leader);
    }
    assert!(reads > 100, "{reads} reads at nodes that do not lead");
    assert!(appended > 100, "{appended} forwarded commands appended");
    assert!(refused > 10, "{refused} forwarded commands refused");
    assert!(lost > 10, "{lost} forwarded commands of which nothing was heard");
}
