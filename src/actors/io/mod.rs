//! Parts that several actors share; none of them is an actor.

pub mod connection;
pub(super) mod fair_queue;
pub mod memory;
