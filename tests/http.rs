//! The HTTP port of real servers: metrics, health, and strangers who mean no good.

mod common;

/// One file for each topic.
mod http {
    mod console;
    mod health;
    mod hostile;
    mod metrics;
    mod slow;
    mod stalled_disk;
}
