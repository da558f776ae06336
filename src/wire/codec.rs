//! Reads frames from byte buffers and writes them there: the header, the limit and the
//! checksum.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::decode::decode_body;
use super::encode::encode_body;
use super::error::WireError;
use super::frame::Frame;
use super::validate::validate;
use crate::raft::Rpc;
use crate::types::ENTRY_BYTES_MAX;

/// The version of the format that docs/internals/wire_format.md lays down.
pub const PROTOCOL_VERSION: u8 = 2;

/// Size of the header before a body in bytes: length (4), version (1), checksum (4). All
/// versions have the same header, so that a node can always tell a frame of another version
/// from noise.
pub const FRAME_HEADER_BYTES: usize = 9;

/// Maximum size of a frame in bytes, header included: the largest entry and 64 KiB more. It is
/// a constant of the format. If it followed from the limits on clients in a server's settings,
/// a server with lower limits could neither send nor receive an entry from before they were
/// lowered, and replication would stop at that entry (docs/bugs.md C12).
pub const FRAME_BYTES_MAX: usize = ENTRY_BYTES_MAX as usize + 64 * 1024;

/// The offset of the checksum in the header. The checksum covers the bytes before and after
/// itself.
const CHECKSUM_OFFSET: usize = 5;

/// Decodes and encodes frames up to a limit.
///
/// The codec never reserves space because of a length in a header. The buffer grows only
/// with bytes that the sender has sent. (tokio's `LengthDelimitedCodec` would reserve space
/// for a whole frame when it sees the header.)
#[derive(Clone, Copy, Debug)]
pub struct FrameCodec {
    frame_bytes_max: usize,
}

impl FrameCodec {
    /// A codec for frames of at most `frame_bytes_max` bytes, header included.
    pub fn new(frame_bytes_max: usize) -> FrameCodec {
        FrameCodec { frame_bytes_max }
    }

    /// Returns an error when a body of `body_bytes` makes the frame longer than the limit.
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

    /// Removes the first frame from `input` and returns it; `None` until all its bytes are
    /// there. After an error the position of the next frame is unknown.
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
        // The body is copied once, and the entries of the frame share the copy: they are freed
        // together, and the store copies the bytes that it keeps. Sharing the input buffer
        // instead would let a small frame keep a far larger buffer alive.
        let body = Bytes::copy_from_slice(&input[FRAME_HEADER_BYTES..frame_bytes]);
        let frame = decode_body(&body)?;
        validate(&frame)?;
        input.advance(frame_bytes);
        Ok(Some(frame))
    }
}

impl Encoder<&Frame> for FrameCodec {
    type Error = WireError;

    /// Appends `frame` to `output`. After an error `output` is unchanged.
    fn encode(&mut self, frame: &Frame, output: &mut BytesMut) -> Result<(), WireError> {
        let start = output.len();
        output.reserve(size_hint(frame));
        output.put_bytes(0, FRAME_HEADER_BYTES);
        encode_body(frame, output);
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

/// The CRC-32C of a frame without its checksum. It covers the length and the version too, so
/// that a change of a single bit anywhere is detected.
fn checksum(frame: &[u8]) -> u32 {
    let head = crc32c::crc32c(&frame[..CHECKSUM_OFFSET]);
    crc32c::crc32c_append(head, &frame[FRAME_HEADER_BYTES..])
}

/// The approximate size of a frame in bytes, so that the buffer is grown once.
fn size_hint(frame: &Frame) -> usize {
    const SMALL_FRAME_BYTES: usize = 128;
    match frame {
        Frame::Rpc(envelope) => match &envelope.rpc {
            Rpc::AppendEntries(append) => {
                let entries = append.entries.iter().map(|entry| entry.weight_bytes()).sum::<u64>();
                SMALL_FRAME_BYTES + usize::try_from(entries).unwrap_or(0)
            }
            Rpc::Forward(forward) => SMALL_FRAME_BYTES + forward.command.len(),
            _ => SMALL_FRAME_BYTES,
        },
        Frame::Hello(_)
        | Frame::Refused { .. }
        | Frame::Removed { .. }
        | Frame::Join(_)
        | Frame::Joined(_)
        | Frame::Probe
        | Frame::ProbeAnswer => SMALL_FRAME_BYTES,
    }
}

#[cfg(test)]
mod tests;
