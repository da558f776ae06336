//! Stub.
mod command;
pub use command::{Answer, Command, Item, Once, Operation, Outcome, Query};
