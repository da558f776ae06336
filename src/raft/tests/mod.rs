//! The core under test: a whole cluster without a runtime, a clock or a socket.
//!
//! | file | contents |
//! |---|---|
//! | `any_server` | reads and writes at nodes that do not lead |
//! | `clocks` | the clocks of nodes with leases, each wrong by its own rate |
//! | `clients` | the sessions of a cluster's clients |
//! | `cluster` | nodes, their disks and stores, and a network that the test controls |
//! | `disk` | a disk that forgets what was not synced |
//! | `gates` | connections between nodes, and the formats that each of them reads |
//! | `snapshots` | a node's snapshots, and the jobs of the keeper of its snapshot files |
//! | `node` | one node, with its disk, its store and its connections |
//! | `oracle` | the properties that must hold over all nodes (Figure 3) |
//! | `solo` | one node whose peers a test plays |
//! | `text` | the notation of the golden scripts |
//! | `golden` | the scripts under tests/scripts/raft |
//! | `members` | nodes that join and leave, and what operators ask for |
//! | `members_amnesia` | members that have forgotten, while the members change |
//! | `members_changes` | changes of the members, from the beginning to the end |
//! | `members_faults` | changes of the members under crashes and cuts |
//! | `members_requests` | the changes that operators may ask for now |
//! | `members_formats` | members that come and go while the format could be raised |
//! | `paper_*` | a test for each rule of the paper and of the dissertation |
//! | `broken_peers` | messages that no sound node sends |
//! | `stamps` | the store's time, as leaders stamp it |
//! | `introductions` | heartbeats, acknowledgements on their way, lines that come back |
//! | `leases` | leader leases, and the promises that they rest on |
//! | `send_modes` | the choice of the peers that are sent batches |
//! | `formats` | the cluster's format and id, and nodes that cannot read them |
//! | `recall` | nodes that are told what they acknowledged before they started |
//! | `rejoin` | nodes that may have forgotten what they promised |
//! | `settling` | nodes that have just started, and have not heard from all |
//! | `state_checks` | stores that are compared |
//! | `pending` | the answers of a slow store, a slow log, and pauses |
//! | `progress` | a peer's replication by itself |
//! | `log_holds` | what a leader keeps for a peer that is sent a snapshot |
//! | `install` | a snapshot on its way to a peer, by itself |
//! | `transfers` | leaders that hand over, and orders that come late |
//! | `raises` | random walks with raises of the format, older programs and holds |
//! | `random` | random walks under every fault that the cluster knows |
//! | `random_any_server` | what nodes that do not lead are asked for in these walks |

mod amnesia;
mod any_server;
mod broken_peers;
mod clients;
mod clocks;
mod cluster;
mod disk;
mod formats;
mod gates;
mod golden;
mod install;
mod introductions;
mod leases;
mod log_holds;
mod members;
mod members_amnesia;
mod members_changes;
mod members_faults;
mod members_formats;
mod members_requests;
mod node;
mod oracle;
mod paper_elections;
mod paper_figures;
mod paper_reads;
mod paper_replication;
mod paper_snapshots;
mod pending;
mod progress;
mod raises;
mod random;
mod random_any_server;
mod random_members;
mod recall;
mod rejoin;
mod send_modes;
mod settling;
mod snapshots;
mod solo;
mod stamps;
mod state_checks;
mod text;
mod transfers;
