//! What clients may cost in memory, all of them together (docs/adr/0010).
//!
//! A counter, not shared state: nobody waits for it, and it says nothing but how
//! much is taken. Its holders are told what they hold now, not what came or went,
//! and give all of it back when they are dropped: there is no way to forget a part
//! (bugs.md B29). It is read and written from any thread, and may be a moment old.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// See the module. Clones are of the same budget.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    bytes_max: u64,
    /// The sum of `bytes` over all shares.
    used_bytes: AtomicU64,
}

impl MemoryBudget {
    /// A budget of so many bytes, none of them taken.
    pub fn new(bytes_max: u64) -> MemoryBudget {
        MemoryBudget(Arc::new(Counter { bytes_max, used_bytes: AtomicU64::new(0) }))
    }

    /// What is taken. It may be more than there is: whoever holds something is
    /// never kept from saying so.
    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// What is left.
    pub fn free_bytes(&self) -> u64 {
        self.0.bytes_max.saturating_sub(self.used_bytes())
    }

    /// Takes so many bytes, whether they are free or not.
    pub fn take(&self, bytes: u64) -> Reservation {
        let mut share = Reservation { budget: self.clone(), bytes: 0 };
        share.set(bytes);
        share
    }
}

/// What one holder has of a budget; dropping it gives it back.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    bytes: u64,
}

impl Reservation {
    /// It holds so many bytes now.
    pub fn set(&mut self, bytes: u64) {
        let used = &self.budget.0.used_bytes;
        if bytes > self.bytes {
            used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// Whose part it is.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !mutant!(B29b) {
            self.set(0);
        }
    }
}

/// A message that is cloned holds as much again.
impl Clone for Reservation {
    fn clone(&self) -> Reservation {
        self.budget.take(self.bytes)
    }
}

impl PartialEq for Reservation {
    fn eq(&self, other: &Reservation) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Reservation {}

#[cfg(test)]
mod tests;
