//! Client connections: the acceptor, and one session for each.

pub mod acceptor;
pub mod session;
mod stall_timer;
