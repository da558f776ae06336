//! The members of real clusters, and their leadership, row by row of what operators of other
//! systems have reported: rows A1 to A29 and B1 to B8.
//!
//! No time decides a test. Where a row gives one, the test waits for the same thing with far more
//! patience, and compares terms, members and data.
//!
//! | row | only partly here, because | the rest |
//! |---|---|---|
//! | A1, A2 | a minute of calm proves no more than a term that is the same after load | `checks/liveness` of the simulation, with members that change |
//! | A3, A16 | a process dies at few of the possible moments | the random workload of the simulation |
//! | A12 | "within ten seconds" is a time | scripts/replace_all.sh prints times |
//! | A13 | a learner that does not know of its promotion cannot be made by a process's network alone | golden script and tests of `src/raft`, the simulation |
//! | A15 | an upgrade needs an old program | scripts/upgrade.sh |
//! | A19 | two hundred turns take too long | bug B45 among the mutants of the simulation |
//! | A28, A29 | a log that cannot be needs a forger | tests of `src/raft` and `src/storage` |
//! | B1 to B3, B6 | gaps in milliseconds are figures of a machine | scripts/rolling_restart.sh, scripts/replace_all.sh |

mod common;

/// One file for each topic.
mod members {
    mod changes;
    mod learners;
    mod partitions;
    mod removal;
    mod restarts;
    mod rolling;
    mod strangers;
    mod transfers;
}
