//! The commands of one connection that are not answered yet, in their order,
//! and what they may cost in memory.
//!
//! Results come in any order; replies leave in the order of the commands. A
//! reply that waits for an earlier one pins its value even after the store has
//! overwritten it, so a reply counts from the moment its read is sent: first
//! with what it is expected to weigh, then with what it does.
//!
//! What counts against the bounds of the connection (`held_bytes`) is not all kept
//! here (`kept_bytes`): a write has gone to RaftActor, which counts it in the budget
//! of all, and a scan's result is counted by whoever makes it.

use std::collections::{BTreeMap, VecDeque};

use crate::actors::io::output::UNCOPIED_BYTES_MIN;
use crate::protocol::Reply;

/// What a command costs beside its bytes.
const COMMAND_OVERHEAD_BYTES: usize = 64;
/// A read is never expected to bring less: this bounds what a client can pin
/// that has made us expect small values and then asks for large ones.
const READ_BYTES_MIN: usize = 16 * 1024;
/// What a read is charged with at the least: a value of up to so many bytes is copied
/// into the output, a larger one stays where the store has it.
const COPIED_BYTES_MAX: usize = UNCOPIED_BYTES_MIN + COMMAND_OVERHEAD_BYTES;
/// What a scan is expected to bring; the store stops a scan there.
const SCAN_BYTES: usize = 4 * 1024 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct Window {
    /// Oldest first; the front is unanswered, once [`Window::pop_due`] has
    /// returned `None`.
    queue: VecDeque<Slot>,
    /// The number of the slot at the front.
    first_slot: u64,
    /// Writes whose client was told that they timed out, and that may yet be applied;
    /// with what they cost.
    unsettled: BTreeMap<u64, usize>,
    /// The sum of `bytes` over the queue and of those in `unsettled`.
    held_bytes: usize,
    /// The sum of `kept_bytes` over the queue.
    kept_bytes: usize,
    /// What the next `get` is expected to bring.
    read_bytes: usize,
    /// What one has brought, of late, at the most: what the budget of all is charged
    /// with. It begins low, or a few hundred new clients that read would use it up.
    seen_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    bytes: usize,
    kept_bytes: usize,
    /// A `get` or `getm`, whose reply tells what to expect of the next.
    is_read: bool,
    noreply: bool,
    reply: Option<Reply>,
}

impl Window {
    /// An empty window. Until replies tell otherwise, every value is expected
    /// to be as long as `value_bytes_max`.
    pub(super) fn new(value_bytes_max: usize) -> Window {
        Window {
            queue: VecDeque::new(),
            first_slot: 0,
            unsettled: BTreeMap::new(),
            held_bytes: 0,
            kept_bytes: 0,
            read_bytes: value_bytes_max,
            seen_bytes: COPIED_BYTES_MAX,
        }
    }

    /// True when every command is answered.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Commands that are not answered, or wait behind one that is not, or are not
    /// settled.
    pub(super) fn held_commands(&self) -> usize {
        self.queue.len() + self.unsettled.len()
    }

    /// What they cost.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// What of that nobody else counts.
    pub(super) fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// A write goes out.
    pub(super) fn open_write(&mut self, command_bytes: usize, noreply: bool) -> u64 {
        let bytes = command_bytes + COMMAND_OVERHEAD_BYTES;
        let kept_bytes = COMMAND_OVERHEAD_BYTES;
        self.push(Slot { bytes, kept_bytes, is_read: false, noreply, reply: None })
    }

    /// A `get` or `getm` goes out.
    pub(super) fn open_read(&mut self) -> u64 {
        let bytes = self.read_bytes.max(READ_BYTES_MIN);
        let kept_bytes = self.seen_bytes.max(COPIED_BYTES_MAX);
        self.push(Slot { bytes, kept_bytes, is_read: true, noreply: false, reply: None })
    }

    /// A `scan` goes out.
    pub(super) fn open_scan(&mut self) -> u64 {
        let kept_bytes = COMMAND_OVERHEAD_BYTES;
        let bytes = SCAN_BYTES;
        self.push(Slot { bytes, kept_bytes, is_read: false, noreply: false, reply: None })
    }

    /// A `snapshot read` of so many bytes goes out, or another of its kind.
    pub(super) fn open_snapshot(&mut self, piece_bytes: usize) -> u64 {
        self.open_write(piece_bytes, false)
    }

    /// A `status` goes out.
    pub(super) fn open_status(&mut self) -> u64 {
        self.open_write(0, false)
    }

    /// A command is answered on the spot; the reply takes its turn.
    pub(super) fn push_answered(&mut self, reply: Reply) {
        let bytes = reply.weight_bytes();
        let reply = Some(reply);
        self.push(Slot { bytes, kept_bytes: bytes, is_read: false, noreply: false, reply });
    }

    /// A result came. False when nothing waits for it.
    pub(super) fn answer(&mut self, slot: u64, reply: Reply) -> bool {
        let slot = if mutant!(B75) { self.first_unanswered_slot() } else { slot };
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
            // Up at once, down slowly: a large value among small ones is expected again.
            let learn = |known: usize| bytes.max(known - known.saturating_sub(bytes) / 8);
            self.read_bytes = learn(self.read_bytes);
            self.seen_bytes = learn(self.seen_bytes);
        }
        true
    }

    /// The answer that comes next does not end the command: it costs what it costs
    /// until [`Window::settle`].
    pub(super) fn keep_place(&mut self, slot: u64) {
        let at = slot.checked_sub(self.first_slot).and_then(|at| usize::try_from(at).ok());
        let waiting = at.and_then(|at| self.queue.get(at)).filter(|slot| slot.reply.is_none());
        if let Some(waiting) = waiting {
            self.held_bytes += waiting.bytes;
            self.unsettled.insert(slot, waiting.bytes);
        }
    }

    /// What became of it is known. False when nothing waits for that.
    pub(super) fn settle(&mut self, slot: u64) -> bool {
        let bytes = self.unsettled.remove(&slot);
        self.held_bytes -= bytes.unwrap_or_default();
        bytes.is_some()
    }

    fn first_unanswered_slot(&self) -> u64 {
        let answered = self.queue.iter().take_while(|waiting| waiting.reply.is_some());
        self.first_slot + answered.count() as u64
    }

    /// Answers everything that still waits.
    pub(super) fn answer_all(&mut self, reply: &Reply) {
        for slot in self.first_slot..self.first_slot + self.queue.len() as u64 {
            self.answer(slot, reply.clone());
        }
    }

    /// Takes the oldest command if it is answered: its reply, or `None` in its
    /// place when the client wants none.
    pub(super) fn pop_due(&mut self) -> Option<Option<Reply>> {
        self.queue.front()?.reply.as_ref()?;
        let Slot { bytes, kept_bytes, noreply, reply, .. } = self.queue.pop_front()?;
        self.first_slot += 1;
        self.held_bytes -= bytes;
        self.kept_bytes -= kept_bytes;
        if self.queue.is_empty() {
            // An idle connection keeps nothing.
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
