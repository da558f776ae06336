//! Ready-made uses of the store, with their guarantees.
//!
//! | recipe | what it is |
//! | --- | --- |
//! | [`Lock`] | one holder at a time, in the order of asking, with a fencing token |
//! | [`Election`] | a lock whose holder is known to all |
//! | [`Counter`] | a number that many clients raise, each time exactly once |
//! | [`Cache`] | a copy of the keys with a prefix that a watch keeps up to date |
//!
//! All of them are made of the public calls of [`Client`](super::Client), and any other program may
//! take part that keeps to the layout of the keys, as `coracle lock` and `coracle elect` do.

mod cache;
mod counter;
mod election;
mod lock;
mod queue;

pub use cache::{Cache, CachedItem, View};
pub use counter::Counter;
pub use election::{Election, Leader, Leadership, Observer};
pub use lock::{Lock, LockGuard};
