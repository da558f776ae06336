//! The effects of the core: each becomes a message to the actor that it is for.

use actix::{AsyncContext, Context};

use super::RaftActor;
use super::pending::PendingRead;
use crate::actors::messages::clients::ClientReply;
use crate::actors::messages::kv::{Apply, ApplyTask};
use crate::actors::messages::lifecycle::NodeMustStop;
use crate::actors::messages::log::{LogCommand, ReadEntriesRequest};
use crate::actors::messages::peers::{Announce, EndConnection, SendRpc};
use crate::actors::messages::replication::ReplicationCommand;
use crate::actors::messages::replies::reply;
use crate::metrics::ProposalFailure;
use crate::raft::{
    Announcement, Effect, Envelope, ReadToken, RefusePeer, ResetLog, Role, StartPeer, StopReason,
    StopReplication, TakeSnapshot,
};
use crate::types::{Divergence, Entry, LogIndex};

impl RaftActor {
    /// Executes the effects that gathered in the core, in their order.
    pub(super) fn execute(&mut self, ctx: &mut Context<Self>) {
        self.propose_renewals();
        self.execute_effects(ctx);
        while self.release_waiting(ctx) {
            self.propose_renewals();
            self.execute_effects(ctx);
        }
        self.answer_transfers();
        self.answer_waits();
        assert_eq!(
            self.raft.waiting_reads(),
            self.pending.reads() + self.backups.begins(),
            "the core keeps the reads whose clients wait, and no other (docs/bugs.md C10)"
        );
        self.ports.memory.set(self.pending.weight_bytes());
        self.observe_batch();
    }

    fn execute_effects(&mut self, ctx: &Context<Self>) {
        let mut tasks = Vec::new();
        for effect in self.raft.take_effects() {
            self.execute_one(effect, &mut tasks, ctx);
        }
        let at_once = std::mem::take(&mut self.pending.at_once);
        if !self.raft.has_stopped() {
            // After the entries: some of these reads waited for them.
            tasks.extend(at_once);
            self.end_history_once(&mut tasks);
        }
        if !tasks.is_empty() {
            self.ports.kv.do_send(Apply { tasks });
        }
    }

    /// Ends the history of a server that was removed, after the last entries that it knows of.
    fn end_history_once(&mut self, tasks: &mut Vec<ApplyTask>) {
        if self.raft.role() == Role::Removed && !self.upkeep.has_history_ended {
            self.upkeep.has_history_ended = true;
            tasks.push(ApplyTask::EndHistory);
        }
    }

    /// Executes the commands that waited, and wait no more. Returns true when the core has
    /// something to do.
    fn release_waiting(&mut self, ctx: &Context<Self>) -> bool {
        if self.raft.has_stopped() {
            return false;
        }
        let mut has_released = std::mem::take(&mut self.pending.is_retrying);
        has_released |= self.release_refused();
        has_released |= self.release_held(ctx);
        has_released |= self.release_forwarded();
        has_released |= self.release_ordered(ctx);
        has_released
    }

    /// Sends one order, or adds it to the tasks of the store.
    fn execute_one(&mut self, effect: Effect, tasks: &mut Vec<ApplyTask>, ctx: &Context<Self>) {
        match effect {
            Effect::Append(order) => self.ports.log.do_send(LogCommand::Append(order)),
            Effect::Send(envelope) => self.send(envelope),
            Effect::StartReplication(order) => self.command_all(&ReplicationCommand::Start(order)),
            Effect::StartPeer(StartPeer { peer, start }) => {
                if let Some(ports) = self.ports.peers.get(&peer) {
                    ports.replicator.do_send(ReplicationCommand::Start(start));
                }
            }
            Effect::Replicate(order) => self.command_all(&ReplicationCommand::Replicate(order)),
            Effect::SetSendMode(order) => {
                if let Some(peer) = self.ports.peers.get(&order.peer) {
                    peer.replicator.do_send(ReplicationCommand::SetSendMode(order));
                }
            }
            Effect::TellCommit(order) => {
                if let Some(peer) = self.ports.peers.get(&order.peer) {
                    peer.replicator.do_send(ReplicationCommand::TellCommit(order));
                }
            }
            Effect::StopReplication(order) => self.stop_replication(order),
            Effect::Apply { entries } => self.add_entries(entries, tasks),
            Effect::ReadEntries(read) => {
                let reply_to = ctx.address().recipient();
                self.ports.log_reads.do_send(ReadEntriesRequest { read, reply_to });
            }
            Effect::ReadReady { token, read_index } => self.add_read(token, read_index, tasks),
            Effect::ReadFailed { token } => self.fail_read(token),
            Effect::TakeSnapshot(TakeSnapshot { point }) => {
                tasks.push(ApplyTask::Snapshot { point });
            }
            Effect::CompactLog(order) => self.ports.log.do_send(LogCommand::Compact(order)),
            Effect::ReceiveSnapshot(order) => self.ports.snapshot.do_send(order),
            Effect::ResetLog(order) => self.install_snapshot(order, tasks),
            Effect::RefusePeer(order) => self.refuse(order),
            Effect::Announce(announcement) => {
                let Announcement { membership, committed, .. } = &announcement;
                self.members.on_announced(membership, committed.as_ref());
                self.announce(announcement);
            }
            Effect::ReadDigest(order) => tasks.push(ApplyTask::Digest(order)),
            Effect::ForwardAnswered(answer) => self.on_forward_answered(answer),
            Effect::TransferFailed(failure) => self.on_transfer_failed(failure),
            Effect::Stop(reason) => self.stop(reason, tasks),
            Effect::Event(event) => {
                self.upkeep.observation.on_event(&event);
                self.upkeep.lines.log(&event, self.raft.id());
            }
        }
    }

    /// Passes the facts about the cluster on. Its id goes to the disk as well, so that the next
    /// start knows it before it knows what is committed.
    fn announce(&self, announcement: Announcement) {
        if let Some(cluster_id) = announcement.cluster_id {
            self.ports.log.do_send(LogCommand::ClusterId(cluster_id));
        }
        self.ports.announce.do_send(Announce(announcement));
    }

    /// Ends this server. The store answers nothing more, not even what came before in this batch.
    /// A directory whose store is wrong is marked first: then LogActor ends the process.
    fn stop(&self, reason: StopReason, tasks: &mut Vec<ApplyTask>) {
        *tasks = vec![ApplyTask::End];
        match reason {
            StopReason::Diverged { index, .. } | StopReason::Corrupted { index, .. } => {
                let divergence = Divergence { index, found: reason.to_string() };
                self.ports.log.do_send(LogCommand::MarkDiverged(divergence));
            }
            StopReason::Unreadable { .. } => {
                self.ports.must_stop.do_send(NodeMustStop { reason });
            }
        }
    }

    /// Gives one command to the ReplicatorActor of every peer.
    fn command_all(&self, command: &ReplicationCommand) {
        for peer in self.ports.peers.values() {
            peer.replicator.do_send(command.clone());
        }
    }

    fn stop_replication(&mut self, order: StopReplication) {
        self.command_all(&ReplicationCommand::Stop(order));
        let before = self.pending.writes();
        self.pending.lose_writes_of(order.term).send();
        let lost = before - self.pending.writes();
        self.upkeep.observation.on_failed(ProposalFailure::LeadershipLost, lost);
        self.upgrades.lose_raises().send();
        self.members.lose_changes().send();
    }

    /// The snapshot that was received last takes the place of the log and of the store.
    fn install_snapshot(&mut self, order: ResetLog, tasks: &mut Vec<ApplyTask>) {
        self.ports.log.do_send(LogCommand::Reset(order));
        self.lose_installed(order.base.index);
        let store = self.received_store.take();
        let store = store.expect("the core installs what it was told is loaded");
        assert_eq!(store.last_applied(), order.base.index, "and nothing else (docs/bugs.md B54)");
        tasks.push(ApplyTask::Install { store: Box::new(store) });
    }

    /// Sends a request on this node's connection to the peer, and a response on the
    /// connection that the peer opened. Without one the message is lost: Raft repeats what
    /// matters.
    fn send(&self, envelope: Envelope) {
        if envelope.rpc.is_response() {
            if let Some(attached) = self.attached.get(&envelope.to) {
                attached.port.do_send(SendRpc { envelope });
            }
        } else if let Some(peer) = self.ports.peers.get(&envelope.to) {
            peer.link.do_send(SendRpc { envelope });
        }
    }

    /// Ends the connection on which a peer has sent what no sound node sends.
    fn refuse(&self, RefusePeer { peer, is_response, fault }: RefusePeer) {
        let end = if is_response {
            self.ports.peers.get(&peer).map(|ports| &ports.link_end)
        } else {
            self.attached.get(&peer).map(|attached| &attached.end)
        };
        if let Some(end) = end {
            end.do_send(EndConnection { fault });
        }
    }

    fn add_entries(&mut self, entries: Vec<Entry>, tasks: &mut Vec<ApplyTask>) {
        tasks.extend(entries.into_iter().map(|entry| {
            let position = entry.position();
            let forwarded = self.take_forwarded_waiters(position);
            let waiters = self.pending.take_write(position).or(forwarded);
            if waiters.is_none() {
                self.pending.end_forwarded_here(&entry);
            }
            ApplyTask::Entry { entry, waiters }
        }));
    }

    fn add_read(&mut self, token: ReadToken, read_index: LogIndex, tasks: &mut Vec<ApplyTask>) {
        if let Some(read) = self.pending.take_read(token) {
            self.end_read(&read);
            let PendingRead { query, mut reply_handle, .. } = read;
            reply_handle.times.release(self.pending.moments.now);
            let now_ms = self.raft.store_time_ms();
            tasks.push(ApplyTask::Read { query, read_index, now_ms, reply_handle });
        } else if let Some(reply_handle) = self.backups.take_begin(token) {
            self.raft.want_snapshot(read_index);
            reply(reply_handle, ClientReply::SnapshotBegun(read_index));
        }
    }

    fn fail_read(&mut self, token: ReadToken) {
        if let Some(read) = self.pending.take_read(token) {
            self.retry_read(read);
        } else if let Some(reply_handle) = self.backups.take_begin(token) {
            let refusal = self.not_leader();
            reply(reply_handle, ClientReply::Refused(refusal));
        }
    }
}
