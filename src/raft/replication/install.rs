//! A snapshot on its way to a peer that lacks entries which are no longer in the
//! leader's log (§7). The digest of its file names it on both sides (docs/adr/0008).
//!
//! The leader first asks, by an empty piece, how much of the snapshot the peer has, and
//! goes on from there. So an install survives a broken connection, a restart of the peer,
//! and even a change of leader, when the new leader has the same snapshot. Pieces go out
//! in a window of their own. An answer says how many bytes have arrived. When that is not
//! the end of the answered piece, pieces were lost or had arrived before, and the leader
//! goes on from the number in the answer. When nothing was heard between two heartbeats, the
//! leader asks again. When the peer refuses the snapshot, or has lost a part of it that it
//! had acknowledged, the sending begins anew after a pause (docs/adr/0017).

use std::collections::VecDeque;

use bytes::Bytes;

use super::backoff::Backoff;
use super::probe::Requests;
use super::settings::ProgressSettings;
use crate::raft::effect::ReadSnapshot;
use crate::raft::peer_fault::PeerFault;
use crate::raft::rpc::{InstallSnapshot, InstallSnapshotResponse, SnapshotRefusal};
use crate::raft::status::SnapshotProgress;
use crate::types::{LogIndex, SnapshotId};

/// The snapshot that one peer is being sent, or was sent last.
#[derive(Default)]
pub(super) struct SnapshotInstall {
    /// The snapshot. It outlives a lost connection: the next install goes on with it.
    snapshot: Option<SnapshotId>,
    /// The end of the leader's log when the peer had installed its snapshot. The log after
    /// the peer's match index is kept until the peer has come up to here.
    catch_up_to: Option<LogIndex>,
    /// The number of the last read of a piece.
    last_ticket: u64,
    sending: Sending,
    /// The pause after a failure.
    backoff: Backoff,
}

/// The state of sending one snapshot. It begins anew whenever the end of the peer's log is
/// looked for.
///
/// Invariant: `acked_offset <= next_offset`, and `ahead` begins at `next_offset`.
#[derive(Default)]
struct Sending {
    /// The number of the read that is under way.
    ticket: Option<u64>,
    /// True when the snapshot was found and the peer was asked how much of it it has.
    is_offered: bool,
    /// True when the peer's answer has said where to begin.
    has_begun: bool,
    /// Everything before this offset was sent.
    next_offset: u64,
    /// Everything before this offset was acknowledged.
    acked_offset: u64,
    inflight: VecDeque<Piece>,
    /// The next piece.
    ahead: Option<Bytes>,
    /// True when the peer has answered since the last heartbeat.
    was_heard: bool,
}

/// A piece that was sent and is not answered.
struct Piece {
    request_seq: u64,
    /// The number of bytes that the peer should have when it has this piece.
    end: u64,
    /// True of an empty piece, which asks how much the peer has.
    is_question: bool,
}

/// The consequence of a read or of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The sending goes on.
    GoesOn,
    /// The peer is to be asked how much of the snapshot it has.
    Ask,
    /// The peer refuses the snapshot, or has lost a part of it that it had acknowledged: the
    /// sending begins anew after a pause.
    Failed,
    /// The snapshot cannot be sent: the end of the peer's log is to be looked for again.
    GivenUp,
    /// The peer holds, durably, everything up to this entry.
    Installed(LogIndex),
}

impl Sending {
    /// The peer has `received` bytes, which is not what the leader thought.
    fn resume_at(&mut self, received: u64) {
        self.has_begun = true;
        self.next_offset = received;
        self.acked_offset = received;
        self.inflight.clear();
        self.ahead = None;
        self.ticket = None;
    }

    /// The place in `inflight` of the piece with this number; `None` for one from before the
    /// sending went back.
    fn place_of(&self, request_seq: u64) -> Option<usize> {
        self.inflight.iter().position(|piece| piece.request_seq == request_seq)
    }

    /// The peer has `received` bytes when it has the piece at `place`.
    fn on_received(&mut self, place: usize, received: u64) {
        let is_as_expected = self.inflight[place].end == received;
        if self.has_begun && is_as_expected {
            self.inflight.drain(..=place);
            self.acked_offset = received;
        } else {
            self.resume_at(received);
        }
    }
}

impl SnapshotInstall {
    /// Begins to send the snapshot that the peer was being sent before, if there is one,
    /// else the newest. Returns the read that learns whether it is there; `None` during the
    /// pause after a failure, at whose end it is to be begun.
    pub(super) fn begin(&mut self) -> Option<ReadSnapshot> {
        self.sending = Sending::default();
        if self.backoff.is_pausing() { None } else { Some(self.read(0)) }
    }

    /// A heartbeat is due. True when it ends the pause after a failure.
    pub(super) fn on_heartbeat(&mut self) -> bool {
        self.backoff.on_heartbeat()
    }

    /// Stops sending; the snapshot is remembered.
    pub(super) fn pause(&mut self) {
        self.sending = Sending::default();
    }

    /// Forgets the snapshot: it is gone.
    pub(super) fn forget_snapshot(&mut self) {
        self.snapshot = None;
    }

    /// Forgets the snapshot, and the failures to send it: the peer needs none.
    pub(super) fn end(&mut self) {
        self.snapshot = None;
        self.backoff = Backoff::default();
    }

    /// The answer to the read with this ticket: a piece of `snapshot` that begins at
    /// `offset`.
    pub(super) fn on_read(
        &mut self,
        ticket: u64,
        snapshot: SnapshotId,
        offset: u64,
        bytes: Bytes,
    ) -> Outcome {
        if self.sending.ticket != Some(ticket) {
            return Outcome::GoesOn; // a read from before the install began or went back
        }
        self.sending.ticket = None;
        if !self.sending.is_offered {
            self.snapshot = Some(snapshot);
            self.sending.is_offered = true;
            Outcome::Ask
        } else if self.snapshot == Some(snapshot)
            && offset == self.sending.next_offset
            && !bytes.is_empty()
        {
            self.sending.ahead = Some(bytes);
            Outcome::GoesOn
        } else {
            Outcome::GivenUp
        }
    }

    /// The other answer to the read with this ticket: the snapshot no longer exists. The
    /// peer will be sent the newest one.
    pub(super) fn on_gone(&mut self, ticket: u64) -> Outcome {
        if self.sending.ticket == Some(ticket) { Outcome::GivenUp } else { Outcome::GoesOn }
    }

    /// Checks that the peer has no more of this snapshot than there is.
    pub(super) fn check_received(
        &self,
        response: &InstallSnapshotResponse,
    ) -> Result<(), PeerFault> {
        let received = response.received;
        match self.snapshot {
            Some(snapshot) if snapshot.last == response.last && received > snapshot.bytes => {
                Err(PeerFault::Received { received, bytes: snapshot.bytes })
            }
            _ => Ok(()),
        }
    }

    /// The peer's answer to one of this install's pieces. An answer about another snapshot
    /// is ignored (docs/bugs.md B56).
    pub(super) fn on_response(&mut self, response: &InstallSnapshotResponse) -> Outcome {
        if self.snapshot.is_none_or(|snapshot| snapshot.last != response.last) {
            return Outcome::GoesOn;
        }
        self.sending.was_heard = true;
        if response.is_installed {
            return Outcome::Installed(response.last.index);
        }
        let Some(place) = self.sending.place_of(response.request_seq) else {
            return Outcome::GoesOn;
        };
        let acked_bytes = self.sending.acked_offset;
        if response.refusal.is_some() || response.received < acked_bytes {
            self.backoff.on_failed(acked_bytes, response.refusal);
            self.sending = Sending::default();
            return Outcome::Failed;
        }
        self.sending.on_received(place, response.received);
        self.backoff.on_acked(self.sending.acked_offset);
        Outcome::GoesOn
    }

    /// The peer has installed the snapshot. The entries that come until it has caught up
    /// must stay in the log, or it would need the next snapshot (docs/bugs.md B60).
    pub(super) fn on_installed(&mut self, last_log_index: LogIndex) {
        self.end();
        self.catch_up_to = Some(last_log_index);
    }

    /// The peer has the log up to `match_index`.
    pub(super) fn on_match(&mut self, match_index: LogIndex) {
        self.catch_up_to = self.catch_up_to.filter(|end| *end > match_index);
    }

    /// The next piece to send, if it was read and the window has room for it.
    pub(super) fn next_piece(
        &mut self,
        settings: &ProgressSettings,
        requests: &mut Requests,
    ) -> Option<InstallSnapshot> {
        let inflight_bytes = self.sending.next_offset - self.sending.acked_offset;
        if !self.sending.has_begun || inflight_bytes >= settings.snapshot_window_bytes {
            return None;
        }
        let bytes = self.sending.ahead.take()?;
        self.piece(bytes, requests)
    }

    /// The read of the piece after those that were sent, if there is one and it is neither
    /// at hand nor being read.
    pub(super) fn next_read(&mut self, settings: &ProgressSettings) -> Option<ReadSnapshot> {
        let snapshot = self.snapshot?;
        let sending = &self.sending;
        let is_wanted = sending.has_begun
            && sending.ahead.is_none()
            && sending.ticket.is_none()
            && sending.next_offset < snapshot.bytes;
        is_wanted.then(|| self.read(settings.snapshot_piece_bytes))
    }

    /// The question at a heartbeat: when nothing was heard since the last heartbeat, pieces
    /// may be lost, or the answer to the last one.
    pub(super) fn question_at_heartbeat(
        &mut self,
        is_sending: bool,
        requests: &mut Requests,
    ) -> Option<InstallSnapshot> {
        let was_heard = std::mem::take(&mut self.sending.was_heard);
        if !is_sending || !self.sending.is_offered || was_heard {
            return None;
        }
        // One question at a time is enough.
        self.sending.inflight.retain(|piece| !piece.is_question);
        self.question(requests)
    }

    /// An empty piece, which asks how much the peer has of the snapshot.
    pub(super) fn question(&mut self, requests: &mut Requests) -> Option<InstallSnapshot> {
        self.piece(Bytes::new(), requests)
    }

    fn read(&mut self, bytes_max: u64) -> ReadSnapshot {
        self.last_ticket += 1;
        self.sending.ticket = Some(self.last_ticket);
        ReadSnapshot {
            ticket: self.last_ticket,
            snapshot: self.snapshot,
            offset: self.sending.next_offset,
            bytes_max,
        }
    }

    fn piece(&mut self, bytes: Bytes, requests: &mut Requests) -> Option<InstallSnapshot> {
        let snapshot = self.snapshot?;
        let request_seq = requests.next();
        let sending = &mut self.sending;
        let offset = sending.next_offset;
        sending.next_offset += bytes.len() as u64;
        let (end, is_question) = (sending.next_offset, bytes.is_empty());
        sending.inflight.push_back(Piece { request_seq, end, is_question });
        Some(InstallSnapshot { request_seq, snapshot, offset, bytes })
    }

    /// The progress of the snapshot that the peer is being sent.
    pub(super) fn progress(&self) -> Option<SnapshotProgress> {
        let snapshot = self.snapshot?;
        Some(SnapshotProgress { acked_bytes: self.sending.acked_offset, bytes: snapshot.bytes })
    }

    /// The reason why the peer refused the last snapshot, until it gets further with one.
    pub(super) fn refusal(&self) -> Option<SnapshotRefusal> {
        self.backoff.refusal()
    }

    /// The place from which the log must be kept for the peer, which has it up to
    /// `match_index`: see `ReplicationReport::keep_log_from`.
    pub(super) fn keep_log_from(&self, match_index: LogIndex) -> Option<LogIndex> {
        let sent = self.snapshot.map(|snapshot| snapshot.last.index);
        sent.or(self.catch_up_to.map(|_| match_index))
    }
}

#[cfg(test)]
mod tests;
