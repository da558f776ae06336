//! The memory that all clients of a node may use together (docs/adr/0010).
//!
//! [`MemoryBudget`] is a counter and not shared state: nobody waits for it. A holder sets
//! its [`Reservation`] to what it holds now, and gives all of it back when the reservation
//! is dropped. No part can be forgotten (docs/bugs.md B29). The counter is read and written
//! from any thread without an order, so a reader may see a value that is slightly old.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A bound on memory in bytes, and the bytes that are reserved. Clones share one budget.
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Counter>);

#[derive(Debug)]
struct Counter {
    bytes_max: u64,
    /// The sum over all reservations.
    used_bytes: AtomicU64,
}

impl MemoryBudget {
    /// A budget of `bytes_max` bytes, none of them reserved.
    pub fn new(bytes_max: u64) -> MemoryBudget {
        MemoryBudget(Arc::new(Counter { bytes_max, used_bytes: AtomicU64::new(0) }))
    }

    /// The reserved bytes. They may exceed the budget: a holder of memory is never kept
    /// from counting it.
    pub fn used_bytes(&self) -> u64 {
        self.0.used_bytes.load(Ordering::Relaxed)
    }

    /// The bytes that are not reserved.
    pub fn free_bytes(&self) -> u64 {
        self.0.bytes_max.saturating_sub(self.used_bytes())
    }

    /// Reserves `bytes`, whether they are free or not.
    pub fn reserve(&self, bytes: u64) -> Reservation {
        let mut reservation = Reservation { budget: self.clone(), bytes: 0 };
        reservation.set(bytes);
        reservation
    }
}

/// The part of a budget that one holder uses. Dropping it frees the bytes; a clone
/// reserves as many again.
#[derive(Debug)]
pub struct Reservation {
    budget: MemoryBudget,
    bytes: u64,
}

impl Reservation {
    /// Changes the reservation to `bytes`, whether more are free or not.
    pub fn set(&mut self, bytes: u64) {
        let used = &self.budget.0.used_bytes;
        if bytes > self.bytes {
            used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    /// The budget that this is a part of.
    pub fn budget(&self) -> &MemoryBudget {
        &self.budget
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl Clone for Reservation {
    fn clone(&self) -> Reservation {
        self.budget.reserve(self.bytes)
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
