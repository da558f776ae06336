//! The console's interface, `/console/v1` (docs/console-interface.md).
//!
//! | file | contents |
//! | --- | --- |
//! | `console` | what all paths share |
//! | `routes` | the paths |
//! | `guard` | the checks of who may ask |
//! | `error`, `parameters` | the forms of errors, queries and bodies |
//! | `keys`, `writes`, `watch` | the store: reads, writes with a compare, changes as they happen |
//! | `members` | changes of the members |
//! | `events`, `pushing`, `board`, `stream` | the state of the cluster, pushed |
//! | `terms` | the terms, and why each began |
//! | `report`, `others` | what this server says of itself, and what the others say |
//! | `samples` | the measurements of each of the last seconds |
//! | `causes` | the reasons why a member is behind |

mod board;
mod causes;
mod console;
mod error;
mod events;
pub(super) mod guard;
mod keys;
mod members;
mod others;
mod parameters;
mod pushing;
mod report;
mod routes;
mod samples;
mod stream;
mod terms;
mod watch;
mod writes;

pub(super) use console::Api;
pub(super) use error::ApiError;
pub(super) use pushing::run;
pub(super) use routes::serve;
