//! The first frame of each side of a connection.

use std::time::Duration;

use crate::raft::Introduction;
use crate::types::NodeId;

/// Maximum size of a frame in bytes until the handshake has succeeded. An unauthenticated
/// sender cannot make a node hold more.
pub const HELLO_FRAME_BYTES_MAX: usize = 4 * 1024;

/// The first version of the program whose hello has an introduction.
pub const INTRODUCED_SINCE: &str = "0.2.0";

/// Maximum length of [`Introduction::binary`] in bytes.
pub const BINARY_BYTES_MAX: usize = 64;

/// The first frame that each side of a connection sends: it names the sender and the node
/// that the sender expects at the other end. The dialler sends its hello first; the acceptor
/// answers with its own.
///
/// The frame never changes its version. A reader ignores what later versions add: keys of the
/// introduction, and elements after it (docs/adr/0023).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The name of the sender's cluster.
    pub cluster: String,
    /// The node that sends the hello.
    pub from: NodeId,
    /// The node that the sender expects at the other end.
    pub to: NodeId,
    /// The digest of the snapshot that the sender's data directory was restored from;
    /// `None` when it was not restored from a backup (docs/adr/0011).
    pub restore_id: Option<u128>,
    /// With leader leases, the time for which the sender elects no other leader after it has
    /// heard its own, in whole milliseconds (docs/adr/0012); `None` without leader leases.
    pub promise: Option<Duration>,
    /// The facts that were added later. They are `None` in the hello of a server from before
    /// format 2, and in a hello to such a server (docs/adr/0023).
    pub introduction: Option<Introduction>,
}

impl Hello {
    /// The hello with which the other side answers this one.
    #[must_use]
    pub fn answer(&self) -> Hello {
        Hello { from: self.to, to: self.from, ..self.clone() }
    }
}
