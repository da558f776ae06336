//! The choice between sending entries at once and gathering them (docs/adr/0014).

/// The way in which a peer that is known to have the log is sent new entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SendMode {
    /// At once, even while other requests are under way.
    #[default]
    Immediate,
    /// Entries at once, and the questions for rounds of reads in batches: clients of the peer wait
    /// for entries, and no quorum waits for its answers.
    EntriesAtOnce,
    /// In batches: the next request leaves when the last one is answered and a pause is
    /// over. That makes fewer and larger requests, for a peer that no commit waits for.
    Batched,
}

/// The send mode of one peer, and the pause after a batch.
#[derive(Default)]
pub(super) struct Pacing {
    mode: SendMode,
    /// True from a request that was sent as a batch until the pause after it is over.
    is_paused: bool,
}

impl Pacing {
    pub(super) fn set_mode(&mut self, mode: SendMode) {
        self.mode = mode;
    }

    pub(super) fn batches_entries(&self) -> bool {
        self.mode == SendMode::Batched
    }

    pub(super) fn batches_rounds(&self) -> bool {
        self.mode != SendMode::Immediate
    }

    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub(super) fn begin_pause(&mut self) {
        self.is_paused = true;
    }

    pub(super) fn end_pause(&mut self) {
        self.is_paused = false;
    }
}

#[cfg(test)]
mod tests;
