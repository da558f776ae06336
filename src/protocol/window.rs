//! The window of one connection: its commands that are not answered yet, in their order,
//! and their cost in memory.
//!
//! Results come in any order; replies leave in the order of the commands. A reply that
//! waits for an earlier one pins its value even after the store has overwritten it, so a
//! reply counts as soon as its read is sent: first with its expected weight, then with its
//! real one.
//!
//! There are two sums. `held_bytes` counts against the bounds of the connection.
//! `kept_bytes` is the part of it that is counted nowhere else: a write has gone to
//! RaftActor, which counts it in the budget of all clients, and the result of a scan is
//! counted by the actor that makes it.
//!
//! A write that has timed out is answered, but it may yet be applied, and RaftActor counts
//! it until then: RaftActor would refuse a command that took its place. So RaftActor alone
//! keeps the write. It says first that the write has timed out, which frees the reply
//! ([`Window::time_out`]), and later that the write is settled, which frees its place
//! ([`Window::settle`]). The window keeps only the number of such writes and their bytes.

use std::collections::VecDeque;

use super::asked::Asked;
use super::queue::Queued;
use super::reply::Reply;

/// Cost of a command in addition to its bytes, in bytes.
pub(super) const COMMAND_OVERHEAD_BYTES: usize = 64;
/// Minimum weight that is expected of a read's reply. It bounds the memory that a client
/// can pin that reads small values first and then asks for large ones.
const READ_BYTES_MIN: usize = 16 * 1024;
/// Expected weight of a scan's reply; the store stops a scan there.
const SCAN_BYTES: usize = 4 * 1024 * 1024;

/// Expected weight of a list of members, which has many short texts.
const MEMBERS_BYTES: usize = 16 * 1024;

/// The unanswered commands of one connection.
#[derive(Debug)]
pub(super) struct Window {
    /// Unanswered commands, the oldest first. The front is unanswered once
    /// [`Window::pop_due`] has returned `None`.
    queue: VecDeque<Slot>,
    /// The number of the slot at the front.
    first_slot: u64,
    /// Writes that have timed out and are not settled.
    unsettled: Unsettled,
    /// The sum of `bytes` over the queue and `unsettled`.
    held_bytes: usize,
    /// The sum of `kept_bytes` over the queue.
    kept_bytes: usize,
    /// Expected weight of the next read's reply, for the bounds of the connection.
    read_bytes: usize,
    /// Expected weight of the next read's reply, for the budget of all clients. It begins
    /// low, because a few hundred new clients that read would use up the budget otherwise.
    seen_bytes: usize,
    /// Minimum of `seen_bytes`.
    copied_bytes_max: usize,
}

/// The writes that have timed out and are not settled: their number, and the sum of their
/// costs.
#[derive(Clone, Copy, Debug, Default)]
struct Unsettled {
    commands: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Slot {
    bytes: usize,
    kept_bytes: usize,
    /// The part of `bytes` that the reply of a write is expected to take.
    reply_bytes: usize,
    asked: Asked,
    /// True for `get` and `getm`, whose reply shows what to expect of the next.
    is_read: bool,
    noreply: bool,
    reply: Option<Reply>,
}

impl Window {
    /// An empty window. Until replies come, every value is expected to be as long as
    /// `value_bytes_max`. A value of less than `uncopied_bytes_min` bytes is copied into the
    /// output; a larger one stays in the store's memory.
    pub(super) fn new(value_bytes_max: usize, uncopied_bytes_min: usize) -> Window {
        let copied_bytes_max = uncopied_bytes_min + COMMAND_OVERHEAD_BYTES;
        Window {
            queue: VecDeque::new(),
            first_slot: 0,
            unsettled: Unsettled::default(),
            held_bytes: 0,
            kept_bytes: 0,
            read_bytes: value_bytes_max,
            seen_bytes: copied_bytes_max,
            copied_bytes_max,
        }
    }

    /// True when every command is answered.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Number of commands that are not answered, or wait for an earlier reply, or are not
    /// settled.
    pub(super) fn held_commands(&self) -> usize {
        self.queue.len() + self.unsettled.commands
    }

    /// The cost of all held commands.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// The part of that cost that is counted nowhere else.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Opens a slot for a write.
    pub(super) fn open_write(&mut self, command_bytes: usize, noreply: bool) -> u64 {
        let bytes = command_bytes + COMMAND_OVERHEAD_BYTES;
        let kept_bytes = COMMAND_OVERHEAD_BYTES;
        self.push(Slot { bytes, kept_bytes, noreply, ..Slot::default() })
    }

    /// Opens a slot for a `renew`.
    pub(super) fn open_renewal(&mut self, id: u64) -> u64 {
        let slot = self.open_line();
        self.set_asked(slot, Asked::Lease(id));
        slot
    }

    /// Opens a slot for a `lease`, whose reply is counted as that of a `scan`.
    pub(super) fn open_lease(&mut self, id: u64) -> u64 {
        let slot = self.open_scan();
        self.set_asked(slot, Asked::Lease(id));
        slot
    }

    /// Opens a slot for a transaction of these commands. `command_bytes` is the length of the
    /// encoded command; 0 when the transaction only reads.
    pub(super) fn open_transaction(&mut self, command_bytes: usize, commands: Vec<Queued>) -> u64 {
        let is_read = |command: &&Queued| matches!(command, Queued::Get | Queued::GetMeta);
        let reads = commands.iter().filter(is_read).count();
        let lines = commands.len() * COMMAND_OVERHEAD_BYTES;
        let reply_bytes = lines + reads * self.read_bytes.max(READ_BYTES_MIN);
        let kept_bytes = lines + reads * self.seen_bytes.max(self.copied_bytes_max);
        self.push(Slot {
            bytes: command_bytes + COMMAND_OVERHEAD_BYTES + reply_bytes,
            kept_bytes: COMMAND_OVERHEAD_BYTES + kept_bytes,
            reply_bytes,
            asked: Asked::Transaction(commands),
            ..Slot::default()
        })
    }

    /// Opens a slot for a `get` or `getm`.
    pub(super) fn open_read(&mut self) -> u64 {
        let bytes = self.read_bytes.max(READ_BYTES_MIN);
        let kept_bytes = self.seen_bytes.max(self.copied_bytes_max);
        self.push(Slot { bytes, kept_bytes, is_read: true, ..Slot::default() })
    }

    /// Opens a slot for a `scan`.
    pub(super) fn open_scan(&mut self) -> u64 {
        let kept_bytes = COMMAND_OVERHEAD_BYTES;
        let bytes = SCAN_BYTES;
        self.push(Slot { bytes, kept_bytes, ..Slot::default() })
    }

    /// Opens a slot for a `snapshot` command whose reply has this many bytes.
    pub(super) fn open_snapshot(&mut self, piece_bytes: usize) -> u64 {
        self.open_write(piece_bytes, false)
    }

    /// Opens a slot for a `member list`.
    pub(super) fn open_members(&mut self) -> u64 {
        self.open_write(MEMBERS_BYTES, false)
    }

    /// Opens a slot for a command without content, whose reply is short: `status`, `digest`.
    pub(super) fn open_line(&mut self) -> u64 {
        self.open_write(0, false)
    }

    /// Adds a command that is answered already; its reply waits for those before it.
    pub(super) fn push_answered(&mut self, reply: Reply) {
        let bytes = reply.weight_bytes();
        let reply = Some(reply);
        self.push(Slot { bytes, kept_bytes: bytes, reply, ..Slot::default() });
    }

    /// The question in a slot, as far as the reply depends on it.
    pub(super) fn asked(&self, slot: u64) -> &Asked {
        let at = slot.checked_sub(self.first_slot).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.queue.get(at)).map_or(&Asked::Plain, |slot| &slot.asked)
    }

    fn set_asked(&mut self, slot: u64, asked: Asked) {
        let at = (slot - self.first_slot) as usize;
        self.queue[at].asked = asked;
    }

    /// Answers the command in a slot. False when no command waits there.
    pub(super) fn answer(&mut self, slot: u64, reply: Reply) -> bool {
        let Some(waiting) = slot
            .checked_sub(self.first_slot)
            .and_then(|at| self.queue.get_mut(usize::try_from(at).ok()?))
            .filter(|waiting| waiting.reply.is_none())
        else {
            return false;
        };
        let bytes = reply.weight_bytes();
        self.held_bytes = self.held_bytes - waiting.bytes + bytes;
        self.kept_bytes = self.kept_bytes - waiting.kept_bytes + bytes;
        (waiting.bytes, waiting.kept_bytes) = (bytes, bytes);
        waiting.reply = Some(reply);
        if waiting.is_read {
            // The weight rises at once and falls slowly, because a large value among small
            // ones is likely to come again.
            let learn = |known: usize| bytes.max(known - known.saturating_sub(bytes) / 8);
            self.read_bytes = learn(self.read_bytes);
            self.seen_bytes = learn(self.seen_bytes);
        }
        true
    }

    /// Answers a write that has timed out. Its cost counts until [`Window::settle`]. False
    /// when no command waits in that slot.
    pub(super) fn time_out(&mut self, slot: u64, reply: Reply) -> bool {
        let at = slot.checked_sub(self.first_slot).and_then(|at| usize::try_from(at).ok());
        let waiting = at.and_then(|at| self.queue.get(at)).filter(|slot| slot.reply.is_none());
        if let Some(waiting) = waiting {
            // Its reply is known now, and is counted by itself.
            let bytes = waiting.bytes - waiting.reply_bytes;
            self.held_bytes += bytes;
            self.unsettled.commands += 1;
            self.unsettled.bytes += bytes;
        }
        self.answer(slot, reply)
    }

    /// Frees the place of a write of `command_bytes` bytes that had timed out: it is applied
    /// or lost. False when there is no such write.
    pub(super) fn settle(&mut self, command_bytes: usize) -> bool {
        if self.unsettled.commands == 0 {
            return false;
        }
        self.unsettled.commands -= 1;
        let bytes = match self.unsettled.commands {
            0 => self.unsettled.bytes,
            _ => self.unsettled.bytes.min(command_bytes + COMMAND_OVERHEAD_BYTES),
        };
        self.unsettled.bytes -= bytes;
        self.held_bytes -= bytes;
        true
    }

    /// Answers all commands that still wait.
    pub(super) fn answer_all(&mut self, reply: &Reply) {
        for slot in self.first_slot..self.first_slot + self.queue.len() as u64 {
            self.answer(slot, reply.clone());
        }
    }

    /// Takes the oldest command if it is answered. Returns its reply, or `None` in its place
    /// when the client wants none.
    pub(super) fn pop_due(&mut self) -> Option<Option<Reply>> {
        self.queue.front()?.reply.as_ref()?;
        let Slot { bytes, kept_bytes, noreply, reply, .. } = self.queue.pop_front()?;
        self.first_slot += 1;
        self.held_bytes -= bytes;
        self.kept_bytes -= kept_bytes;
        if self.queue.is_empty() {
            // An idle connection keeps no memory.
            self.queue = VecDeque::new();
        }
        Some(reply.filter(|_| !noreply))
    }

    fn push(&mut self, slot: Slot) -> u64 {
        self.held_bytes += slot.bytes;
        self.kept_bytes += slot.kept_bytes;
        self.queue.push_back(slot);
        self.first_slot + (self.queue.len() as u64 - 1)
    }
}

#[cfg(test)]
mod tests;
