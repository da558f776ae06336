//! Frames in and out of byte buffers: the header, and the limit.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::body::Body;
use super::check::check;
use super::{Frame, WireError};
use crate::raft::Rpc;

/// The version of all that docs/internals/wire_format.md lays down.
pub const PROTOCOL_VERSION: u8 = 1;

/// What stands before a body: length (4), version (1), checksum (4). Its layout
/// is that of every version, so that a node can always tell another version from
/// noise.
pub const FRAME_HEADER_BYTES: usize = 9;

/// Where the checksum stands in the header; it covers what is before and behind.
const CHECKSUM_OFFSET: usize = 5;

/// Decodes and encodes frames of up to a limit.
///
/// It never reserves room for a length that was only announced: the buffer
/// grows with what the connection reads, which a frame's sender has to send
/// first. (tokio's `LengthDelimitedCodec` would reserve a whole frame at sight
/// of its header.)
#[derive(Clone, Copy, Debug)]
pub struct FrameCodec {
    frame_bytes_max: usize,
}

impl FrameCodec {
    /// A codec for frames of up to `frame_bytes_max` bytes, header included.
    pub fn new(frame_bytes_max: usize) -> FrameCodec {
        FrameCodec { frame_bytes_max }
    }

    fn check_length(&self, body_bytes: u64) -> Result<(), WireError> {
        let frame_bytes = body_bytes.saturating_add(FRAME_HEADER_BYTES as u64);
        if frame_bytes > self.frame_bytes_max as u64 || body_bytes > u64::from(u32::MAX) {
            return Err(WireError::TooLarge { frame_bytes, frame_bytes_max: self.frame_bytes_max });
        }
        Ok(())
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = WireError;

    /// Takes the first frame out of `input`; `None` until it is there as a
    /// whole. After an error nothing behind it can be told apart any more.
    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, WireError> {
        if input.len() < FRAME_HEADER_BYTES {
            return Ok(None);
        }
        let mut header = &input[..FRAME_HEADER_BYTES];
        let (length, version, stored) = (header.get_u32(), header.get_u8(), header.get_u32());
        if version != PROTOCOL_VERSION {
            return Err(WireError::Version { theirs: version, ours: PROTOCOL_VERSION });
        }
        if length == 0 {
            return Err(WireError::Empty);
        }
        self.check_length(u64::from(length))?;
        let frame_bytes = FRAME_HEADER_BYTES + length as usize;
        if input.len() < frame_bytes {
            return Ok(None);
        }
        let computed = checksum(&input[..frame_bytes]);
        if computed != stored {
            return Err(WireError::Checksum { stored, computed });
        }
        // One copy, which the frame's entries share: they come and go together, and the
        // store copies what it keeps. Not the buffer itself: it may be far larger than a
        // small frame, which would keep all of it.
        let body = Bytes::copy_from_slice(&input[FRAME_HEADER_BYTES..frame_bytes]);
        let frame = Body::decode(&body)?;
        check(&frame)?;
        input.advance(frame_bytes);
        Ok(Some(frame))
    }
}

impl Encoder<&Frame> for FrameCodec {
    type Error = WireError;

    /// Appends `frame` to `output`, which is as before after an error.
    fn encode(&mut self, frame: &Frame, output: &mut BytesMut) -> Result<(), WireError> {
        let start = output.len();
        output.reserve(size_hint(frame));
        output.put_bytes(0, FRAME_HEADER_BYTES);
        Body(frame).encode(output);
        let body_bytes = output.len() - start - FRAME_HEADER_BYTES;
        if let Err(error) = self.check_length(body_bytes as u64) {
            output.truncate(start);
            return Err(error);
        }
        let bytes = &mut output[start..];
        let mut header = &mut bytes[..CHECKSUM_OFFSET];
        header.put_u32(u32::try_from(body_bytes).expect("it was checked against the limit"));
        header.put_u8(PROTOCOL_VERSION);
        let checksum = checksum(bytes);
        (&mut bytes[CHECKSUM_OFFSET..FRAME_HEADER_BYTES]).put_u32(checksum);
        Ok(())
    }
}

/// CRC-32C of a frame but its checksum: length and version too, so that no
/// change of a single bit anywhere goes unseen.
fn checksum(frame: &[u8]) -> u32 {
    let head = crc32c::crc32c(&frame[..CHECKSUM_OFFSET]);
    crc32c::crc32c_append(head, &frame[FRAME_HEADER_BYTES..])
}

/// Room for a frame, or a little more: it spares the buffer its growth by steps.
fn size_hint(frame: &Frame) -> usize {
    const SMALL_FRAME_BYTES: usize = 128;
    match frame {
        Frame::Rpc(envelope) => match &envelope.rpc {
            Rpc::AppendEntries(append) => {
                let entries = append.entries.iter().map(|entry| entry.weight_bytes()).sum::<u64>();
                SMALL_FRAME_BYTES + usize::try_from(entries).unwrap_or(0)
            }
            _ => SMALL_FRAME_BYTES,
        },
        Frame::Hello(_) | Frame::Refused { .. } => SMALL_FRAME_BYTES,
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
