//! A snapshot on its way to a peer that lacks what is no longer in the leader's log
//! (§7, docs/adr/0008).
//!
//! The leader first asks, by an empty piece, how much of it the peer has, and goes on
//! from there: so a transfer survives a broken connection, a restart of the peer, and
//! even a change of leader, when the new one has the same snapshot. Pieces go out in a
//! window of their own. An answer tells how much has arrived; when that is not what
//! the pieces before should have led to, some were lost, and the sending goes back (or
//! forward) to it. When nothing was heard between two heartbeats, the leader asks again.

use std::collections::VecDeque;

use bytes::Bytes;

use super::effect::ReadSnapshot;
use super::progress::{Progress, ProgressAction, ProgressState};
use super::rpc::{InstallSnapshot, InstallSnapshotResponse};
use super::status::SnapshotProgress;
use crate::types::{LogIndex, SnapshotId};

/// Invariant: `acked_offset <= next_offset`; `ahead` begins at `next_offset`.
#[derive(Default)]
pub(super) struct SnapshotInstall {
    /// The read that is under way.
    ticket: Option<u64>,
    /// The snapshot is there, and the peer was asked what it has of it.
    is_offered: bool,
    /// The peer's answer has told where to begin.
    has_begun: bool,
    /// Sent up to here.
    next_offset: u64,
    /// The peer has it up to here.
    acked_offset: u64,
    inflight: VecDeque<Piece>,
    /// The next piece.
    ahead: Option<Bytes>,
    /// The peer has answered since the last heartbeat.
    was_heard: bool,
}

/// Sent, and not answered.
struct Piece {
    request_seq: u64,
    /// How much the peer should have when it has this.
    end: u64,
    is_question: bool,
}

impl SnapshotInstall {
    /// The peer has `received` bytes, which is not what we thought.
    fn resume_at(&mut self, received: u64) {
        self.has_begun = true;
        self.next_offset = received;
        self.acked_offset = received;
        self.inflight.clear();
        self.ahead = None;
        self.ticket = None;
    }
}

impl Progress {
    /// The peer lacks what is no longer in the log. Goes on with the snapshot that it
    /// was being sent, if there is one, else with the newest.
    pub(super) fn begin_install(&mut self) {
        self.state = ProgressState::Snapshot;
        self.first_seq = self.request_seq + 1;
        self.install = SnapshotInstall::default();
        self.read_piece(0);
    }

    /// The answer to a `ReadSnapshot`.
    pub fn on_snapshot_read(
        &mut self,
        ticket: u64,
        snapshot: SnapshotId,
        offset: u64,
        bytes: Bytes,
    ) {
        if self.install.ticket != Some(ticket) {
            return; // asked for before the transfer began, or went back
        }
        self.install.ticket = None;
        if !self.install.is_offered {
            self.snapshot = Some(snapshot);
            self.install.is_offered = true;
            self.send_piece(Bytes::new());
        } else if self.snapshot == Some(snapshot)
            && offset == self.install.next_offset
            && !bytes.is_empty()
        {
            self.install.ahead = Some(bytes);
        } else {
            self.give_up_install();
        }
    }

    /// The other answer: there is no such snapshot any more. The peer is looked at
    /// anew, and gets the newest.
    pub fn on_snapshot_gone(&mut self, ticket: u64) {
        if self.install.ticket == Some(ticket) {
            self.give_up_install();
        }
    }

    fn give_up_install(&mut self) {
        self.snapshot = None;
        self.probe_from(self.match_index.next());
    }

    /// The peer's answer to one of this term's pieces. What answers an earlier
    /// transfer says nothing of this one (bugs.md B56).
    pub fn on_snapshot_response(&mut self, response: InstallSnapshotResponse) {
        let InstallSnapshotResponse { request_seq, is_rejoining, last, received, is_installed } =
            response;
        let is_old = request_seq < self.first_seq;
        if self.state == ProgressState::Snapshot
            && let Some(snapshot) = self.snapshot
            && !is_old
            && snapshot.last == last
        {
            self.install.was_heard = true;
            if is_installed {
                self.on_installed(last.index);
            } else if received <= snapshot.bytes {
                self.on_received(request_seq, received);
            }
        }
        self.report(is_rejoining);
    }

    fn on_received(&mut self, request_seq: u64, received: u64) {
        let install = &mut self.install;
        let Some(place) = install.inflight.iter().position(|p| p.request_seq == request_seq) else {
            return; // of before the sending went back
        };
        let is_as_expected = install.inflight[place].end == received;
        if install.has_begun && is_as_expected {
            install.inflight.drain(..=place);
            install.acked_offset = received;
        } else {
            install.resume_at(received);
        }
    }

    /// The log goes on from there; what comes now must stay in it until the peer has
    /// caught up, or it would need the next snapshot (bugs.md B60).
    fn on_installed(&mut self, last_index: LogIndex) {
        self.snapshot = None;
        self.match_index = self.match_index.max(last_index);
        self.catch_up_to = Some(self.runs.last().index);
        self.trim_buffer();
        self.probe_from(self.match_index.next());
    }

    /// Sends as much as the window has room for, and reads one piece ahead.
    pub(super) fn send_pieces(&mut self) {
        let Some(snapshot) = self.snapshot else { return };
        while self.state == ProgressState::Snapshot && self.install.has_begun {
            let install = &mut self.install;
            let inflight_bytes = install.next_offset - install.acked_offset;
            if install.ahead.is_none() {
                if install.ticket.is_none() && install.next_offset < snapshot.bytes {
                    self.read_piece(self.settings.snapshot_piece_bytes);
                }
                return;
            }
            if inflight_bytes >= self.settings.snapshot_window_bytes {
                return;
            }
            let bytes = install.ahead.take().unwrap_or_default();
            self.send_piece(bytes);
        }
    }

    /// At a heartbeat: if nothing was heard since the last, pieces may be lost, or the
    /// answer to the last one.
    pub(super) fn ask_again(&mut self) {
        let was_heard = std::mem::take(&mut self.install.was_heard);
        if self.state == ProgressState::Snapshot && self.install.is_offered && !was_heard {
            // One question at a time is enough.
            self.install.inflight.retain(|piece| !piece.is_question);
            self.send_piece(Bytes::new());
        }
    }

    fn read_piece(&mut self, bytes_max: u64) {
        self.fetch_ticket += 1;
        self.install.ticket = Some(self.fetch_ticket);
        self.actions.push(ProgressAction::ReadSnapshot(ReadSnapshot {
            ticket: self.fetch_ticket,
            snapshot: self.snapshot,
            offset: self.install.next_offset,
            bytes_max,
        }));
    }

    /// An empty piece is a question.
    fn send_piece(&mut self, bytes: Bytes) {
        let Some(snapshot) = self.snapshot else { return };
        self.request_seq += 1;
        let (request_seq, install) = (self.request_seq, &mut self.install);
        let offset = install.next_offset;
        install.next_offset += bytes.len() as u64;
        let (end, is_question) = (install.next_offset, bytes.is_empty());
        install.inflight.push_back(Piece { request_seq, end, is_question });
        let piece = InstallSnapshot { request_seq, snapshot, offset, bytes };
        self.actions.push(ProgressAction::SendSnapshot(piece));
    }

    /// How far the snapshot is that the peer is being sent.
    pub(super) fn snapshot_progress(&self) -> Option<SnapshotProgress> {
        let snapshot = self.snapshot.filter(|_| self.state == ProgressState::Snapshot)?;
        let acked_bytes = self.install.acked_offset;
        Some(SnapshotProgress { acked_bytes, bytes: snapshot.bytes })
    }

    /// What the log must keep for the peer: see `ReplicationReport::keep_log_from`.
    pub(super) fn keep_log_from(&self) -> Option<LogIndex> {
        let sent = self.snapshot.map(|snapshot| snapshot.last.index);
        sent.or(self.catch_up_to.map(|_| self.match_index))
    }
}
