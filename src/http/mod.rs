//! The HTTP port: metrics, health and version (docs/adr/0032).
//!
//! It runs on a thread of its own with its own runtime, so that neither scrapes nor strangers
//! delay the node. Metrics are numbers that the actors change as they work: to print them enters
//! no mailbox. What has to be asked is asked through DoorActor, as a client of the text port does,
//! with a bound on the time and on the number of questions.
//!
//! | file | contents |
//! | --- | --- |
//! | `server` | the thread, the connections and their bounds |
//! | `router`, `answers` | the paths, and the forms of answers |
//! | `metrics` | `/metrics` |
//! | `health` | `/livez`, `/readyz`, `/health` |
//! | `checks` | the named checks of health |
//! | `read_probe` | the linearizable read that shows that a server is ready |
//! | `version` | `/version` |
//!
//! **Bounds.** There are at most [`HttpLimits::connections_max`] connections: one more ends the
//! oldest that has no request under way, so that idle strangers keep nobody out. A connection has
//! one request at a time, 16 KiB of headers at most, and a time limit for each step. No path reads
//! a body, and a request that has a large one ends the connection. No line is logged for a request.

mod answers;
mod checks;
mod health;
mod metrics;
mod read_probe;
mod router;
mod server;
mod version;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::Recipient;

use crate::actors::messages::door::Ask;
use crate::metrics::NodeMetrics;
pub use server::HttpServer;

/// The bounds of the HTTP port.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Maximum number of connections at a time.
    pub connections_max: usize,
    /// The time for which the disk of a live server may finish nothing.
    pub disk_stall_max: Duration,
}

/// The sources of what the HTTP port shows and asks.
#[derive(Clone)]
pub struct HttpServices {
    /// The numbers of the node.
    pub metrics: NodeMetrics,
    /// DoorActor, once it runs. A server that still reads its files has none.
    pub door: Arc<OnceLock<Recipient<Ask>>>,
    /// The directory whose disk is measured.
    pub data_dir: PathBuf,
    /// The version of the program.
    pub version: &'static str,
}
