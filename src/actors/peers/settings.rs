//! The settings that the actors of the peers share.

use crate::actors::io::memory::MemoryBudget;
use crate::metrics::PeersMetrics;

/// The bounds and times of the connections between nodes, dialled and accepted ones.
#[derive(Clone)]
pub struct LinkSettings {
    /// Maximum size in bytes of a frame that the memory for replication has room for. Larger
    /// frames are sent and taken as well, and what they hold in addition counts in `memory`.
    pub own_frame_bytes_max: usize,
    /// Maximum number of unsent bytes of one connection with frames of such a size; above,
    /// the connection is dropped. With a larger frame among them it is twice as much more as
    /// that frame is larger.
    pub outbound_bytes_max: usize,
    /// The budget of the clients. They get less while a connection holds larger frames.
    pub memory: MemoryBudget,
    /// Time limit for connecting, in milliseconds.
    pub dial_timeout_ms: u64,
    /// Time limit for the other side's hello, in milliseconds.
    pub hello_timeout_ms: u64,
    /// Time in milliseconds for which a peer may leave requests without any response; then
    /// the connection is dropped.
    pub silence_ms_max: u64,
    /// Pause before a second dial, in milliseconds; it doubles with every further dial.
    pub backoff_ms_min: u64,
    /// Longest pause between dials, in milliseconds.
    pub backoff_ms_max: u64,
    /// Maximum number of accepted connections without a good hello; above, the newest are
    /// dropped.
    pub handshakes_max: usize,
    /// Measures the connections that peers open.
    pub metrics: PeersMetrics,
}

impl Default for LinkSettings {
    fn default() -> LinkSettings {
        LinkSettings {
            own_frame_bytes_max: 8 * 1024 * 1024,
            outbound_bytes_max: 32 * 1024 * 1024,
            memory: MemoryBudget::new(u64::MAX),
            dial_timeout_ms: 1000,
            hello_timeout_ms: 2000,
            silence_ms_max: 2000,
            backoff_ms_min: 20,
            backoff_ms_max: 500,
            handshakes_max: 64,
            metrics: PeersMetrics::default(),
        }
    }
}
