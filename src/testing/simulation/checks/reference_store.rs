//! A second implementation of the store, as docs/protocol.md describes it and as simple as
//! possible. A store with other results is wrong, and so is an answer that was true at no index. No
//! simulated store has a limit on its size, and no key has both a lease and a deadline of its own.

mod leases;
mod store;
mod transactions;
mod types;

pub(crate) use store::ReferenceStore;
pub(crate) use types::{Became, Changed, Did, Expiration, Held, LeaseExpiry, Told};

#[cfg(test)]
mod tests;
