//! Frames out of the bytes of many pipes.

use std::collections::BTreeMap;

use bytes::BytesMut;
use tokio_util::codec::Decoder;

use crate::testing::simulation::checks::violation::{Check, Violation};
use crate::wire::{Frame, FrameCodec};

/// The size in bytes that the frame of a chunk of a snapshot may have, whatever the settings: a
/// chunk of 64 KiB may be a quarter larger, and there is the rest of the frame. With a history,
/// snapshots have blocks that make such chunks.
const CHUNK_FRAME_BYTES_MAX: u64 = 64 * 1024 * 5 / 4 + 64 * 1024;

/// The decoder of all pipes.
pub(super) struct Frames {
    codec: FrameCodec,
    /// The bytes of each pipe that are not decoded yet.
    pipes: BTreeMap<u64, BytesMut>,
}

impl Frames {
    pub fn new(frame_bytes_max: u64) -> Frames {
        let frame_bytes_max = frame_bytes_max.max(CHUNK_FRAME_BYTES_MAX);
        let frame_bytes_max = usize::try_from(frame_bytes_max).unwrap_or(usize::MAX);
        Frames { codec: FrameCodec::new(frame_bytes_max), pipes: BTreeMap::new() }
    }

    pub fn take(&mut self, pipe: u64, bytes: &[u8]) {
        self.pipes.entry(pipe).or_default().extend_from_slice(bytes);
    }

    pub fn next(&mut self, pipe: u64) -> Result<Option<Frame>, Violation> {
        let Some(buffer) = self.pipes.get_mut(&pipe) else { return Ok(None) };
        self.codec.decode(buffer).map_err(|error| Violation {
            check: Check::Protocol,
            what: format!("what was written is no frame: {error}"),
        })
    }
}
