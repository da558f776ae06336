//! The core under test: a whole cluster without a runtime, a clock or a socket.
//!
//! | file | what |
//! |---|---|
//! | `clocks` | the clocks of nodes with leases, each wrong by its own rate |
//! | `cluster` | nodes, their disks and stores, and a network that does as it is told |
//! | `disk` | a disk that forgets what was not synced |
//! | `snapshots` | a node's snapshots, and the jobs of the one who keeps them |
//! | `oracle` | what must hold over all nodes, whatever happens (Figure 3) |
//! | `solo` | one node whose peers a test plays |
//! | `text` | the notation of the golden scripts |
//! | `golden` | the scripts under tests/scripts/raft |
//! | `paper_*` | a test for each rule of the paper and of the dissertation |
//! | `leases` | leader leases, and the promises that they rest on |
//! | `send_modes` | who is sent everything at once, and who trails |
//! | `pending` | what takes its time at a node |
//! | `progress` | a peer's replication by itself |
//! | `install` | a snapshot on its way to a peer, by itself |
//! | `random` | random walks under every fault that the cluster knows |

mod clocks;
mod cluster;
mod disk;
mod golden;
mod install;
mod leases;
mod oracle;
mod paper_elections;
mod paper_figures;
mod paper_reads;
mod paper_replication;
mod paper_snapshots;
mod pending;
mod progress;
mod random;
mod rejoin;
mod send_modes;
mod snapshots;
mod solo;
mod text;
