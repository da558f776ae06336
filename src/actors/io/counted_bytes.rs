//! The bytes of a connection that were counted already.

use crate::actors::io::connection::Connection;

/// The bytes of one connection that were counted already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CountedBytes {
    sent: u64,
    received: u64,
}

impl CountedBytes {
    /// The bytes that were sent and received since the last call.
    pub(crate) fn take(&mut self, connection: &Connection) -> (u64, u64) {
        let (sent, received) = (connection.sent_bytes(), connection.received_bytes());
        let before = std::mem::replace(self, CountedBytes { sent, received });
        (sent.saturating_sub(before.sent), received.saturating_sub(before.received))
    }
}
