//! The client library against clusters of real processes whose servers are killed under it: rows
//! E3, E6 to E9, E13, E17 and E18 of what operators of other systems have reported, and more.
//!
//! No time decides a test. Where a row gives one, the test waits for the same thing with far more
//! patience, and compares what happened in which order.
//!
//! - E8: a process that is stopped is one whose thread does not run its runtime: nothing of the
//!   client goes on meanwhile. The command line is stopped as a process in its own tests.
//! - E9: that the child of `coracle lock` is gone is a test of the command line. Here the holder is
//!   told before the next one holds.

mod common;

/// One file for each topic.
mod client {
    mod blocking;
    mod caches;
    mod counters;
    mod elections;
    mod leases;
    mod locks;
    mod stopped;
    mod transactions;
    mod watches;
}
