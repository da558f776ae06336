//! The members of real clusters, and their leadership, row by row of what operators of other
//! systems have reported: rows A1 to A29 and B1 to B8.
//!
//! No time decides a test. Where a row gives one, the test waits for the same thing with far more
//! patience, and compares terms, members and data.
//!
//! These rows are only partly here. The simulation has the rest, unless something else is named:
//!
//! - A1 and A2: a minute of calm proves no more than a term that is the same after some load.
//! - A3 and A16: a process dies at a few of the possible moments.
//! - A12: that a voter is made within ten seconds is a figure of a machine.
//! - A13: a learner that does not know of its promotion cannot be made by processes alone. Here it
//!   is a voter that does not know of a newcomer.
//! - A15: an upgrade needs an old program, which scripts/upgrade.sh has.
//! - A19: two hundred turns take too long. The mutant of row B45 of docs/bugs.md is caught there.
//! - A28 and A29: a log that cannot be needs a forger: the tests of `src/raft` and `src/storage`.
//! - B1 to B3 and B6: gaps in milliseconds are what scripts/rolling_restart.sh and
//!   scripts/replace_all.sh print.

mod common;

/// One file for each topic.
mod members {
    mod changes;
    mod gates;
    mod learners;
    mod partitions;
    mod removal;
    mod restarts;
    mod rolling;
    mod strangers;
    mod transfers;
}
