//! Client connections: the acceptor, and one session for each.

pub mod acceptor;
pub mod session;
pub mod session_io;
mod stall_timer;
