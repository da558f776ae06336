//! A connection between two nodes as a stream of frames, and the errors that end it. Both
//! PeerLinkActor and PeerSessionActor use it.

use std::io;

use tokio_util::codec::{Decoder, Encoder};

use crate::actors::io::connection::Connection;
use crate::actors::io::memory::Reservation;
use crate::actors::peers::settings::LinkSettings;
use crate::net::Stream;
use crate::raft::{Envelope, Introduction, PeerFault};
use crate::types::{Format, FormatInForce, FormatRange, LogIndex, NodeId};
use crate::wire::{
    FRAME_BYTES_MAX, Frame, FrameCodec, HELLO_FRAME_BYTES_MAX, Hello, HelloError, INTRODUCED_SINCE,
    WireError,
};

/// A [`Connection`] with the codec of its frames and the bound of its output.
pub(super) struct PeerStream {
    connection: Connection,
    codec: FrameCodec,
    /// Maximum size of a frame in bytes that the memory for replication has room for.
    own_frame_bytes_max: usize,
    /// Maximum number of unsent bytes while no frame is larger than that.
    outbound_bytes_max: usize,
    /// Size in bytes of the largest frame since there was no unsent output.
    largest_bytes: usize,
    /// The bytes of larger frames, beyond what is reserved for replication.
    surplus: Reservation,
}

/// The reason why a connection to a peer ends or does not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerError {
    #[error("it could not be dialled: {0}")]
    Dial(io::Error),
    #[error("dialling it timed out after {0} ms")]
    DialTimeout(u64),
    #[error("no hello came within {0} ms")]
    HelloTimeout(u64),
    /// The refusal's text comes from the other side and is quoted, as it may hold anything.
    #[error("it refused the hello: {0:?}")]
    Refused(String),
    #[error(
        "it says that this server was removed from the cluster {}: this server takes part no \
         more, and can be stopped; `coracle member add` adds one to use its machine again, with a \
         new id and an empty directory",
        since(*.0)
    )]
    Removed(LogIndex),
    #[error(
        "node {} of cluster {:?} answered, to node {}: another server has the address",
        .0.from, .0.cluster, .0.to
    )]
    Answer(Box<Hello>),
    #[error("{0}")]
    Admission(#[from] HelloError),
    #[error(
        "it ended the connection at this server's hello: it is just stopping, or it is a version \
         from before {INTRODUCED_SINCE}, which reads format {} only; if that lasts, start version \
         {} or a newer one there, because format {} is in force",
        Format::FIRST, .0.since, .0.format
    )]
    TooOld(FormatInForce),
    #[error(
        "this server introduces itself anew, because its hold of the format, or its drain, has \
         changed"
    )]
    IntroductionChanged,
    #[error("it was dialled like a version from before {INTRODUCED_SINCE}, and is none")]
    Introduced,
    #[error("it may have become able to read the long hello")]
    ShortHello,
    #[error("it says that it is at another address now")]
    Moved,
    #[error("it closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    #[error("{0}")]
    Wire(#[from] WireError),
    #[error("{0}")]
    Fault(#[from] PeerFault),
    #[error("it sent a {0}, which does not belong here")]
    Unexpected(&'static str),
    #[error(
        "it sent a message from node {from} to node {to} on the connection from node \
         {} to node {}", .direction.from, .direction.to
    )]
    Direction { from: NodeId, to: NodeId, direction: Direction },
    #[error("it has left requests unanswered for {0} ms")]
    Silent(u128),
    #[error("it reads too slowly: {unsent_bytes} bytes are unsent, and the limit is {bytes_max}")]
    Unsent { unsent_bytes: usize, bytes_max: usize },
    #[error("it was closed here: the peer has a newer one, or this server stops")]
    Shutdown,
}

impl PeerError {
    /// True when nobody listens at the address that was dialled.
    pub fn is_refused_dial(&self) -> bool {
        matches!(self, PeerError::Dial(error) if error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// False when a connection that works is ended here, to dial again with another hello.
    pub fn is_failure(&self) -> bool {
        !matches!(
            self,
            PeerError::IntroductionChanged | PeerError::Introduced | PeerError::ShortHello
        )
    }
}

/// The sender and the receiver of all messages in one direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Direction {
    pub from: NodeId,
    pub to: NodeId,
}

impl Direction {
    /// Checks that the sender and the receiver in a message are those of the connection.
    pub fn check(self, envelope: &Envelope) -> Result<(), PeerError> {
        let Envelope { from, to, .. } = *envelope;
        if (Direction { from, to }) != self {
            return Err(PeerError::Direction { from, to, direction: self });
        }
        Ok(())
    }
}

/// When a server was removed, as the end of a clause. The other side may not remember the entry.
fn since(at: LogIndex) -> String {
    match at {
        LogIndex(0) => "some time ago".to_owned(),
        at => format!("by entry {at}"),
    }
}

/// The version and the formats that an introduction has, for the log. A server without an
/// introduction has only the first format.
pub(super) fn version_of(introduction: Option<&Introduction>) -> (Option<&str>, FormatRange) {
    match introduction {
        Some(Introduction { formats, binary, .. }) => (Some(binary), *formats),
        None => (None, FormatRange::FIRST_ONLY),
    }
}

/// The name of a frame's kind.
pub(super) fn kind_of(frame: &Frame) -> &'static str {
    match frame {
        Frame::Hello(_) => "hello",
        Frame::Refused { .. } | Frame::Removed { .. } => "refusal",
        Frame::Join(_) => "question to join",
        Frame::Joined(_) => "answer to one that joins",
        Frame::Probe => "probe",
        Frame::ProbeAnswer => "answer to a probe",
        Frame::Rpc(envelope) if envelope.rpc.is_response() => "response",
        Frame::Rpc(_) => "request",
    }
}

impl PeerStream {
    /// A stream that reads only small frames until the other side's hello is accepted.
    pub fn new(stream: Stream, generation: u64, settings: &LinkSettings) -> PeerStream {
        PeerStream {
            connection: Connection::new(stream, generation),
            codec: FrameCodec::new(HELLO_FRAME_BYTES_MAX),
            own_frame_bytes_max: settings.own_frame_bytes_max,
            outbound_bytes_max: settings.outbound_bytes_max,
            largest_bytes: 0,
            surplus: settings.memory.reserve(0),
        }
    }

    /// Accepts frames of full size from here on, after the other side's hello.
    pub fn trust(&mut self) {
        self.codec = FrameCodec::new(FRAME_BYTES_MAX);
    }

    /// The connection, for its reads and writes.
    pub fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Takes the next frame out of what was read, if all of it is there.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, WireError> {
        let frame = self.codec.decode(self.connection.input());
        self.count_surplus();
        frame
    }

    /// Adds a frame to the output.
    ///
    /// # Errors
    /// `Unsent`: the other side does not read. `Wire`: the frame is above the limit, which no
    /// message of a node is. The connection must be dropped with its output in both cases.
    pub fn put(&mut self, frame: &Frame) -> Result<(), PeerError> {
        let mut codec = self.codec;
        let unsent_before = self.connection.unsent_bytes();
        self.connection.output().put_with(|output| codec.encode(frame, output))?;
        let unsent_bytes = self.connection.unsent_bytes();
        if unsent_before == 0 {
            self.largest_bytes = 0;
        }
        self.largest_bytes = self.largest_bytes.max(unsent_bytes - unsent_before);
        self.count_surplus();
        // A replicator has at most its window and two requests under way.
        let surplus_bytes = self.largest_bytes.saturating_sub(self.own_frame_bytes_max);
        let bytes_max = self.outbound_bytes_max + 2 * surplus_bytes;
        if unsent_bytes > bytes_max {
            return Err(PeerError::Unsent { unsent_bytes, bytes_max });
        }
        Ok(())
    }

    /// Counts what the connection holds beyond the memory that is reserved for it. A frame
    /// that has arrived is in memory twice: its body is copied.
    fn count_surplus(&mut self) {
        let input_bytes = self.connection.input().len();
        let input_surplus = 2 * input_bytes.saturating_sub(self.own_frame_bytes_max);
        let unsent_bytes = self.connection.unsent_bytes();
        let output_surplus = unsent_bytes.saturating_sub(self.outbound_bytes_max);
        self.surplus.set((input_surplus + output_surplus) as u64);
    }
}
