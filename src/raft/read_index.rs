//! Linearizable reads without a log entry: ReadIndex (dissertation §6.4).
//!
//! A read is answered from the leader's store once (1) the leader has committed an entry of
//! its own term, (2) the read is *confirmed*: no later leader had been elected when the read
//! arrived, and (3) the store has applied what was committed when the read arrived.
//!
//! A read also has a place in the order of its session: after the session's earlier
//! commands, before its later ones. Hence (3) also waits for `after`, the session's last
//! write. The newest entry that a read must see by (1) and (3) is its `read_index`; the end
//! of the log when it arrived is its `place`. `read_index <= place`, and the session's later
//! writes are after `place`.
//!
//! # Three ways to be confirmed
//!
//! - By a round: a quorum has answered a message that was sent after the read arrived.
//! - By an entry: an entry after the read's place is committed. It is of the leader's own
//!   term, and a quorum has acknowledged it, so a quorum has answered a message that was sent
//!   after the read arrived.
//! - By a lease: while it lasts, nobody else can have been elected, neither now nor when an
//!   earlier read arrived. So it confirms the read that arrives now and all before it.
//!
//! # Two structures
//!
//! | structure | its reads wait for | in the order of |
//! |---|---|---|
//! | [`Rounds`] | their confirmation | their arrival, which is that of their rounds and places |
//! | [`ConfirmedReads`] | their entry in the store | their `read_index` |
//!
//! A read goes from the first to the second, and is answered between the entry `read_index`
//! and the next one, or later if it is confirmed later, but before any entry after its place.
//! No read waits for another, and reads of different sessions overtake each other. The reads
//! of one session keep their order all the same: of two of them, the first has neither a
//! later round nor a later place nor a higher `read_index` than the second.
//!
//! # An example
//!
//! The log ends with entry 5, and everything in it is committed and applied. Session A sends
//! `set x`, `get x`, `set y` at once, and session B then sends `get x`.
//!
//! | event | `Rounds` | `ConfirmedReads` | answered |
//! |---|---|---|---|
//! | A: `set x` is entry 6 | | | |
//! | A: `get x`: `read_index` 6, place 6 | A, round 1 | | |
//! | A: `set y` is entry 7 | | | |
//! | round 1 is sent, with entries 6 and 7 | A, round 1 | | |
//! | B: `get x`: `read_index` 5, place 7 | A, round 1; B, round 2 | | |
//! | round 2 is sent | A, round 1; B, round 2 | | |
//! | a peer answers both; its disk is busy | | A, 6 | B sees 5 |
//! | entries 6 and 7 are committed | | | A sees 6, before 7 is applied |
//!
//! B has not waited for the disks that A's write needs. If entries 6 and 7 were acknowledged
//! before any round, 7 would confirm A's read (its place is 6), but not B's (its place is 7).

mod confirmed;
mod rounds;

use core::time::Duration;

use super::effect::ReadToken;
use super::leader_lease::LeaseSettings;
use crate::types::LogIndex;
pub(super) use confirmed::ConfirmedReads;
use rounds::Rounds;

/// A leader's reads and its rounds.
pub(super) struct ReadIndex {
    /// The first entry of the leader's term. The entries before it are committed with it,
    /// and not earlier (§5.4.2).
    first_index: LogIndex,
    rounds: Rounds,
    confirmed: ConfirmedReads,
    last_token: Option<ReadToken>,
}

impl ReadIndex {
    /// A leader without reads, whose first entry is `first_index`.
    pub(super) fn new(first_index: LogIndex) -> ReadIndex {
        ReadIndex {
            first_index,
            rounds: Rounds::default(),
            confirmed: ConfirmedReads::default(),
            last_token: None,
        }
    }

    /// The first entry of the leader's term.
    pub(super) fn first_index(&self) -> LogIndex {
        self.first_index
    }

    /// The number of reads that wait.
    pub(super) fn waiting(&self) -> usize {
        self.rounds.len() + self.confirmed.len()
    }

    /// Adds a read. `after` is the last entry that its session proposed, `last` the end of
    /// the log. With a lease the read is confirmed, and so are all before it: if it alone
    /// were, it would be answered before an earlier read of its session.
    ///
    /// # Panics
    /// When the token is not above that of the read before.
    pub(super) fn add(
        &mut self,
        token: ReadToken,
        after: LogIndex,
        commit_index: LogIndex,
        last: LogIndex,
        has_lease: bool,
    ) {
        assert!(self.last_token < Some(token), "the tokens of reads rise");
        self.last_token = Some(token);
        // The session may have proposed `after` in an earlier leadership of this node. If
        // that entry was truncated since, a read waits for no entry past the log's end.
        let own_write = after.min(last);
        // (1): more may be committed before our first entry than we know (docs/bugs.md B37).
        let read_index = commit_index.max(own_write).max(self.first_index);
        if has_lease {
            while let Some((earlier, read)) = self.rounds.pop() {
                self.confirmed.add(earlier, read.read_index);
            }
            self.confirmed.add(token, read_index);
        } else {
            self.rounds.add(token, read_index, last);
        }
    }

    /// Removes a read that nobody waits for any more. Does nothing when the read was answered.
    pub(super) fn cancel(&mut self, token: ReadToken) {
        let _ = self.rounds.cancel(token) || self.confirmed.cancel(token);
    }

    // Confirmation.

    /// The newest round, for every message to a peer.
    pub(super) fn started_seq(&self) -> u64 {
        self.rounds.started_seq()
    }

    /// With leases: the time at which the newest confirmed round began.
    pub(super) fn confirmed_at(&self) -> Option<Duration> {
        self.rounds.confirmed_at()
    }

    /// The newest round that a quorum has answered.
    pub(super) fn confirmed_seq(&self) -> u64 {
        self.rounds.confirmed_seq()
    }

    /// Asks for a round for a question of a peer, and returns the one that confirms it.
    pub(super) fn want_round(&mut self) -> u64 {
        self.rounds.want()
    }

    /// Starts the next round, if a read waits for it and not too many are under way.
    pub(super) fn maybe_start_round(&mut self) -> bool {
        self.rounds.maybe_start()
    }

    /// Starts the next round like [`ReadIndex::maybe_start_round`], and with each heartbeat
    /// as well. The round begins at `now`, before any of its messages is sent.
    pub(super) fn maybe_start_leased_round(
        &mut self,
        is_heartbeat_due: bool,
        now: Duration,
        lease: &LeaseSettings,
    ) -> bool {
        self.rounds.maybe_start_leased(is_heartbeat_due, now, lease)
    }

    /// A quorum has answered the rounds up to `seq`.
    pub(super) fn confirm(&mut self, seq: u64) {
        self.rounds.confirm(seq);
        while let Some((token, read)) = self.rounds.pop_confirmed() {
            self.confirmed.add(token, read.read_index);
        }
    }

    /// The entry at `commit_index`, which is of the leader's own term, is committed: that
    /// confirms the reads that arrived before it was appended.
    pub(super) fn on_committed(&mut self, commit_index: LogIndex) {
        while let Some((token, read)) = self.rounds.pop_before(commit_index) {
            self.confirmed.add(token, read.read_index);
        }
    }

    // Application.

    /// The next read that may be answered when the store was given everything up to
    /// `submitted_index`, with its read index.
    pub(super) fn pop_ready(&mut self, submitted_index: LogIndex) -> Option<(ReadToken, LogIndex)> {
        self.confirmed.pop(submitted_index)
    }

    /// The last entry that the store may be given before a read is to be answered. `None`
    /// when no read waits.
    pub(super) fn first_stop(&self) -> Option<LogIndex> {
        let (index, place) = (self.confirmed.first_index(), self.rounds.first_place());
        index.into_iter().chain(place).min()
    }

    /// The reads that are not answered, by arrival.
    pub(super) fn into_tokens(self) -> Vec<ReadToken> {
        let mut tokens: Vec<ReadToken> = self.confirmed.into_tokens().collect();
        tokens.extend(self.rounds.into_tokens());
        tokens.sort_unstable();
        tokens
    }

    /// The number of rounds that wait for their answers.
    #[cfg(test)]
    pub(super) fn rounds_under_way(&self) -> usize {
        self.rounds.under_way()
    }
}

#[cfg(test)]
mod tests;
