//! Client connections: one acceptor, and a session for each connection.
//!
//! | file | contents |
//! |---|---|
//! | `acceptor` | ClientAcceptorActor: accepts connections and starts sessions |
//! | `session` | SessionActor: one connection |
//! | `session_io` | the connection of a session, whose memory is counted |
//! | `stall_timer` | finds a client that does not read its replies |

pub mod acceptor;
mod request_times;
pub mod session;
pub mod session_io;
mod stall_timer;
