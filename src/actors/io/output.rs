//! The bytes that a connection is about to write.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{self, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

/// From this size on, a piece of output is not copied but sent from its own memory.
pub const UNCOPIED_BYTES_MIN: usize = 4 * 1024;
/// Maximum capacity in bytes that empty output keeps.
const OUTPUT_KEPT_BYTES_MAX: usize = 4 * 1024;
/// Size in bytes from which the buffer of copied output is closed, so that further output
/// does not move it when it has to grow.
pub(super) const COPIED_BYTES_MAX: usize = 64 * 1024;
/// Maximum number of slices in one `writev`.
const WRITE_SLICES_MAX: usize = 16;

/// The half of a stream that is written to.
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// Output in the order of writing. Small pieces are copied together, large ones are kept
/// as they are.
#[derive(Default)]
pub struct Output {
    pieces: VecDeque<Bytes>,
    tail: BytesMut,
    bytes: usize,
}

impl Output {
    /// Adds a copy of `bytes`.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes);
        self.bytes += bytes.len();
    }

    /// Adds `bytes`, without a copy from [`UNCOPIED_BYTES_MIN`] on.
    pub fn put_bytes(&mut self, bytes: Bytes) {
        if bytes.len() < UNCOPIED_BYTES_MIN {
            self.put_slice(&bytes);
            return;
        }
        self.bytes += bytes.len();
        self.end_tail();
        self.pieces.push_back(bytes);
    }

    /// Lets `write` append to the output in place.
    pub fn put_with<R>(&mut self, write: impl FnOnce(&mut BytesMut) -> R) -> R {
        let before = self.tail.len();
        let result = write(&mut self.tail);
        self.bytes += self.tail.len() - before;
        if self.tail.len() >= COPIED_BYTES_MAX {
            self.end_tail();
        }
        result
    }

    /// True when there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// The number of bytes to write.
    pub fn len(&self) -> usize {
        self.bytes
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
    }

    /// Writes what the writer takes of the first `bytes` bytes, and drops it. Returns the
    /// number of bytes written.
    pub(super) fn poll_write(
        &mut self,
        writer: Pin<&mut Writer>,
        bytes: usize,
        task: &mut task::Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let written = if self.pieces.is_empty() {
            ready!(writer.poll_write(task, &self.tail[..self.tail.len().min(bytes)]))
        } else {
            let mut slices = [IoSlice::new(&[]); WRITE_SLICES_MAX];
            let pieces = self.pieces.iter().map(|piece| &piece[..]).chain([&self.tail[..]]);
            let (mut count, mut left) = (0, bytes);
            for (slice, piece) in slices.iter_mut().zip(pieces) {
                let taken = piece.len().min(left);
                *slice = IoSlice::new(&piece[..taken]);
                count += 1;
                left -= taken;
                if left == 0 {
                    break;
                }
            }
            ready!(writer.poll_write_vectored(task, &slices[..count]))
        };
        if let Ok(written) = written {
            self.advance(written);
        }
        Poll::Ready(written)
    }

    fn advance(&mut self, written: usize) {
        self.bytes -= written;
        let mut left = written;
        while let Some(first) = self.pieces.front_mut() {
            let taken = left.min(first.len());
            first.advance(taken);
            left -= taken;
            if !first.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
        self.tail.advance(left);
        if self.tail.is_empty() && self.tail.capacity() > OUTPUT_KEPT_BYTES_MAX {
            self.tail = BytesMut::new();
        }
    }
}
