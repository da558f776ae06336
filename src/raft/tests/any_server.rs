//! Reads and writes at nodes that do not lead (docs/adr/0031). The scripts `any_*` under
//! tests/scripts/raft show what a person can read; here are the cases that need more than that.

use bytes::Bytes;

use super::clients::Session;
use super::cluster::Cluster;
use super::text;
use crate::raft::{
    ForwardAnswer, ForwardOutcome, ForwardedCommand, NotLeader, ReadToken, TellCommit,
};
use crate::types::{FormatRange, LogIndex, NodeId};

impl Cluster {
    /// Lets time pass until any node takes reads and writes.
    pub(super) fn pass_to_any_server(&mut self) {
        self.pass_until(|cluster| {
            cluster.ids().into_iter().all(|id| {
                let format = cluster.raft(id).status().cluster.format.format;
                format == FormatRange::OWN.highest
            })
        });
        self.catch_up();
    }

    /// A read of a session that only reads, at any node.
    pub(super) fn ask(&mut self, id: NodeId) -> Result<ReadToken, NotLeader> {
        let token = self.ask_unsettled(id);
        self.settle(id);
        token
    }

    /// The same in the same batch as the next event.
    pub(super) fn ask_unsettled(&mut self, id: NodeId) -> Result<ReadToken, NotLeader> {
        self.next_token += 1;
        let token = ReadToken(self.next_token);
        self.update_clock(id);
        self.raft_mut(id).read_anywhere(token, LogIndex(0))?;
        self.oracle.on_read(token, (id, Session::Reader), LogIndex::MAX, LogIndex(0));
        Ok(token)
    }

    /// Forwards a command in the same batch as the next event.
    pub(super) fn forward_unsettled(&mut self, id: NodeId, text: &str) -> Result<u64, NotLeader> {
        let command = Bytes::copy_from_slice(text.as_bytes());
        let number = self.raft_mut(id).forward(command.clone())?;
        self.oracle.any_server.on_forward(id, number, command);
        Ok(number)
    }

    /// Does what the shell does with commands that peers have forwarded.
    pub(super) fn append_forwarded(&mut self, id: NodeId) {
        for ForwardedCommand { origin, command } in self.raft_mut(id).take_forwarded() {
            let proposed = self.raft_mut(id).propose(crate::types::Payload::Command(command));
            let outcome = proposed.map_or(ForwardOutcome::NotLeader, ForwardOutcome::Appended);
            self.raft_mut(id).answer_forwarded(origin, outcome);
        }
    }

    pub(super) fn tell_commit(&mut self, id: NodeId, order: TellCommit) {
        let TellCommit { term, peer, leader_commit } = order;
        let progress = self.node_mut(id).progress.get_mut(&peer);
        if let Some(progress) = progress.filter(|progress| progress.term() == term) {
            progress.tell_commit(leader_commit);
        }
    }

    pub(super) fn on_forward_answered(&mut self, id: NodeId, answer: ForwardAnswer) {
        self.oracle.any_server.on_answer(id, &answer);
        let ForwardAnswer { from, number, outcome, .. } = answer;
        self.say(|| format!("n{id} hears from n{from} about {number}: {}", text::end(outcome)));
    }
}
