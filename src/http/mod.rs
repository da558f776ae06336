//! The HTTP port: metrics, health, version and the console (docs/adr/0032).
//!
//! It runs on a thread of its own with its own runtime, so that neither scrapes nor strangers
//! delay the node. Metrics are numbers that the actors change as they work: to print them enters
//! no mailbox. What has to be asked is asked through DoorActor, as a client of the text port does,
//! with a bound on the time and on the number of questions.
//!
//! | file | contents |
//! | --- | --- |
//! | `server` | the thread, the connections and their bounds |
//! | `page` | the console at `/`, and its files |
//! | `api` | the console's interface, `/console/v1` |
//! | `router`, `answers` | the paths, and the forms of answers |
//! | `metrics` | `/metrics` |
//! | `health` | `/livez`, `/readyz`, `/health` |
//! | `checks` | the named checks of health |
//! | `read_probe` | the linearizable read that shows that a server is ready |
//! | `version` | `/version` |
//! | `fetch` | questions to the HTTP port of another server |
//!
//! **Bounds.** There are at most [`HttpLimits::connections_max`] connections: one more ends the
//! oldest that has no request under way, so that idle strangers keep nobody out. A connection has
//! one request at a time, 16 KiB of headers at most, and a time limit for each step. A stream
//! of events counts as a request under way. Only the writes of the console read a body, which is
//! bounded; any other request that has a large one ends the connection. No line is logged for a
//! request.

mod answers;
mod api;
mod checks;
mod fetch;
mod health;
mod metrics;
mod page;
mod read_probe;
mod router;
mod server;
mod version;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use actix::Recipient;

use crate::actors::messages::door::{Ask, AskView};
use crate::actors::messages::kv::StoreCorrupted;
use crate::metrics::NodeMetrics;
use crate::types::Address;
pub use fetch::{FetchError, Fetched, REPORT_BYTES_MAX, REPORT_PATH, fetch};
pub use server::HttpServer;

/// The bounds of the HTTP port.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Maximum number of connections at a time.
    pub connections_max: usize,
    /// The time for which the disk of a live server may finish nothing.
    pub disk_stall_max: Duration,
    /// The time for an answer of the console, which asks the node.
    pub console_timeout: Duration,
}

/// The sources of what the HTTP port shows and asks.
#[derive(Clone)]
pub struct HttpServices {
    /// The numbers of the node.
    pub metrics: NodeMetrics,
    /// DoorActor, once it runs. A server that still reads its files has none.
    pub door: Arc<OnceLock<Door>>,
    /// The directory whose disk is measured.
    pub data_dir: PathBuf,
    /// The version of the program.
    pub version: &'static str,
    /// The address at which people and other servers reach the port, when it is known.
    pub own_address: Option<Address>,
    /// The settings that the console has to know.
    pub console: ConsoleSettings,
}

/// The ways to DoorActor, and to RaftActor for what must end the node.
#[derive(Clone)]
pub struct Door {
    /// For commands.
    pub asks: Recipient<Ask>,
    /// For views of the history.
    pub views: Recipient<AskView>,
    /// For a change that is not what was written, found in a view.
    pub corrupted: Recipient<StoreCorrupted>,
}

/// The settings of the node that the console has to know.
#[derive(Clone, Debug)]
pub struct ConsoleSettings {
    /// The name of the cluster.
    pub cluster: String,
    /// Maximum length of a key in bytes.
    pub key_bytes_max: usize,
    /// Maximum length of a value in bytes.
    pub value_bytes_max: usize,
    /// The time in which the node answers a command.
    pub request_timeout: Duration,
    /// The bound on the store in bytes; 0 for none.
    pub store_bytes_max: u64,
    /// The bound on the history in bytes; 0 for none.
    pub history_bytes_max: u64,
}
