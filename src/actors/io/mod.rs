//! Parts that several actors share; none of them is an actor.
//!
//! | file | contents |
//! |---|---|
//! | `connection` | the two halves of a stream, as an actor holds them |
//! | `counted_bytes` | the bytes of a connection that were counted |
//! | `output` | the bytes that a connection is about to write |
//! | `pump` | moves the bytes of a connection |
//! | `fair_queue` | fair turns for many connections |
//! | `memory` | the memory that all clients may use together |
//! | `operation_times` | the moments of a command's way, and the parts of its time |
//! | `slow_operations` | commands that take long are counted and logged |

pub mod connection;
pub(super) mod counted_bytes;
pub(super) mod fair_queue;
pub mod memory;
pub mod operation_times;
pub mod output;
pub mod pump;
pub mod slow_operations;
