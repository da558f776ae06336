//! The commit index and the round of reads that every request to a peer carries.

use crate::types::LogIndex;

/// The commit index, round of reads and heartbeat for one peer, and the round that was sent.
#[derive(Default)]
pub(super) struct Announcements {
    leader_commit: LogIndex,
    /// The commit index in the last request.
    announced_commit: LogIndex,
    /// True when the peer is to be told the commit index at once.
    commit_is_due: bool,
    /// The newest round of reads.
    read_seq: u64,
    /// The round that the last request asks to confirm; at most `read_seq`.
    announced_read_seq: u64,
    /// The newest round that the peer has confirmed.
    confirmed_read_seq: u64,
    heartbeat_is_due: bool,
}

impl Announcements {
    pub(super) fn update(&mut self, leader_commit: LogIndex, read_seq: u64, heartbeat: bool) {
        self.leader_commit = leader_commit;
        self.read_seq = read_seq;
        self.heartbeat_is_due |= heartbeat;
    }

    /// The peer is to be told at once that everything up to `leader_commit` is committed.
    pub(super) fn tell_commit(&mut self, leader_commit: LogIndex) {
        self.leader_commit = self.leader_commit.max(leader_commit);
        self.commit_is_due = true;
    }

    /// True once when the peer is to be told a commit index that no request has said.
    pub(super) fn take_due_commit(&mut self) -> bool {
        std::mem::take(&mut self.commit_is_due) && self.announced_commit < self.leader_commit
    }

    /// The commit index and the round for a request that is sent now.
    pub(super) fn announce(&mut self) -> (LogIndex, u64) {
        self.announced_commit = self.leader_commit;
        self.announced_read_seq = self.read_seq;
        (self.leader_commit, self.read_seq)
    }

    /// True when no request so far asks for the newest round.
    pub(super) fn has_new_round(&self) -> bool {
        self.announced_read_seq < self.read_seq
    }

    /// The newest round that the peer was asked to confirm.
    pub(super) fn announced_read_seq(&self) -> u64 {
        self.announced_read_seq
    }

    pub(super) fn on_confirmed(&mut self, read_seq: u64) {
        self.confirmed_read_seq = self.confirmed_read_seq.max(read_seq);
    }

    /// The newest round that the peer has confirmed.
    pub(super) fn confirmed_read_seq(&self) -> u64 {
        self.confirmed_read_seq
    }

    /// True once for each heartbeat that is due, unless a probe or a request with entries
    /// has replaced it.
    pub(super) fn take_heartbeat(&mut self) -> bool {
        std::mem::take(&mut self.heartbeat_is_due)
    }
}

#[cfg(test)]
mod tests;
