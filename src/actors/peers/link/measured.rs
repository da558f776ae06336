//! The measurements of a link: they change nothing of what it does.

use tokio::time::Instant;

use crate::actors::io::connection::Connection;
use crate::actors::io::counted_bytes::CountedBytes;
use crate::metrics::PeerMetrics;
use crate::raft::{AppendEntries, Rpc};

/// The metrics of a link, and the facts that it remembers for them.
#[derive(Default)]
pub(super) struct Measured {
    metrics: PeerMetrics,
    counted: CountedBytes,
    /// The heartbeat whose answer is waited for: its number, and when it was sent.
    heartbeat: Option<(u64, Instant)>,
}

impl Measured {
    pub(super) fn new(metrics: PeerMetrics) -> Measured {
        Measured { metrics, ..Measured::default() }
    }

    /// A new connection, on which nothing was counted.
    pub(super) fn on_connected(&mut self) {
        self.counted = CountedBytes::default();
        self.heartbeat = None;
        self.metrics.on_connected();
    }

    pub(super) fn on_disconnected(&mut self) {
        self.heartbeat = None;
        self.metrics.on_disconnected();
    }

    /// A request that there is no connection for.
    pub(super) fn on_send_failed(&self) {
        self.metrics.on_send_failed();
    }

    /// A request that is about to be sent. One without entries waits for no disk, so its answer
    /// tells how far away the peer is.
    pub(super) fn on_request(&mut self, rpc: &Rpc) {
        if let Rpc::AppendEntries(AppendEntries { request_seq, entries, .. }) = rpc
            && entries.is_empty()
            && self.heartbeat.is_none()
        {
            self.heartbeat = Some((*request_seq, Instant::now()));
        }
    }

    /// An answer. Answers come in the order of the requests, but for those that wait for a disk.
    pub(super) fn on_response(&mut self, rpc: &Rpc) {
        if let Rpc::AppendEntriesResponse(response) = rpc
            && let Some((request_seq, sent)) = self.heartbeat
            && response.request_seq >= request_seq
        {
            self.heartbeat = None;
            if response.request_seq == request_seq {
                self.metrics.on_round_trip(sent.elapsed());
            }
        }
    }

    /// Counts what the connection has moved.
    pub(super) fn on_moved(&mut self, connection: &Connection, chunks: usize) {
        let (sent, received) = self.counted.take(connection);
        self.metrics.on_moved(sent, received);
        self.metrics.set_waiting(connection.unsent_bytes(), chunks);
    }
}
