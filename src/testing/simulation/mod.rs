//! Whole clusters, simulated by seed: the actors of production on simulated time, network,
//! disks and clocks, with every kind of fault, and checks of all that Raft and the protocol
//! promise. docs/internals/simulation.md is the guide.
//!
//! | module | task |
//! | --- | --- |
//! | `run` | runs one seed from its first event to its report |
//! | `plan` | the data that a seed draws: nodes, settings, faults, scenario |
//! | `world` | the data of a run: machines, network, history, samples |
//! | `cluster` | acts on the world: starts and crashes nodes, ends faults |
//! | `faults` | decides which fault comes when, and inflicts it |
//! | `scenarios` | plays faults by a script |
//! | `workload` | clients that speak the text protocol |
//! | `checks` | observe and report violations; they never act on the cluster |
//! | `upgrade` | the programs that the machines run |
//! | `members` | the plan by which the members change |
//! | `model_plan` | the plan of transactions, leases and watchers |
//! | `network`, `clock`, `trace`, `history` | parts without knowledge of the rest |

mod checks;
mod clock;
mod cluster;
mod faults;
mod history;
mod members;
mod model_plan;
mod network;
mod plan;
mod run;
mod scenarios;
mod trace;
mod upgrade;
mod workload;
mod world;

pub use checks::linearizability::{Verdict, check as check_linearizability};
pub use checks::panics::catch_panics;
pub use checks::violation::{Check, Violation};
pub use checks::wire::InstallCounts;
pub use clock::SimClock;
pub use history::{Action, Answer, Item, Operation, Part};
pub use members::{MembersPlan, Step};
pub use model_plan::{ModelPlan, Often};
pub use network::{Load, NetworkConditions, SimHost, SimNetwork};
pub use plan::{Fault, Plan, Scenario};
pub use run::{Report, SnapshotCounts, rehearse, simulate};
pub use scenarios::Outcome;
pub use upgrade::{Program, UpgradePlan};
