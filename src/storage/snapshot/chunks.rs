//! A snapshot file that is read in chunks, for another node.
//!
//! No byte of a frame that does not match its checksum is handed out. Otherwise a file that has
//! rotted since it was written would fail only at the receiver, after all of it was sent, and
//! again at every attempt.

use std::path::Path;

use super::format::FrameReader;
use crate::storage::disk::Disk;
use crate::storage::error::StorageError;

/// A snapshot file that is open to be read in chunks.
pub struct SnapshotChunks {
    reader: FrameReader,
    /// The positions of the frames that were passed, and of the next one.
    starts: Vec<u64>,
    /// The number and the bytes of the frame that was read last.
    checked: Option<(usize, Vec<u8>)>,
}

impl SnapshotChunks {
    /// Opens the file `path`, which has to have `bytes` bytes.
    pub(super) fn open(
        disk: &dyn Disk,
        path: &Path,
        bytes: u64,
    ) -> Result<SnapshotChunks, StorageError> {
        let reader = FrameReader::open(disk, path)?;
        if reader.bytes() != bytes {
            return Err(reader.damaged(format!("it had {bytes} bytes when it was whole")));
        }
        Ok(SnapshotChunks { reader, starts: vec![0], checked: None })
    }

    /// Returns the bytes from `offset` on: about `bytes_max` of them, fewer where a frame ends,
    /// and none at the end of the file or when `bytes_max` is 0. A chunk may be a quarter larger
    /// than `bytes_max`.
    ///
    /// # Errors
    /// When they cannot be read, or are not the bytes that were written.
    pub fn chunk(&mut self, offset: u64, bytes_max: usize) -> Result<Vec<u8>, StorageError> {
        if offset >= self.reader.bytes() || bytes_max == 0 {
            return Ok(Vec::new());
        }
        let number = self.frame_at(offset)?;
        let start = self.starts[number];
        let frame = self.frame(number)?;
        let rest = &frame[(offset - start) as usize..];
        // A small remainder is added to the chunk before it.
        let bytes = if rest.len() <= bytes_max + bytes_max / 4 { rest.len() } else { bytes_max };
        Ok(rest[..bytes].to_vec())
    }

    /// Returns the number of the frame that `offset` lies in.
    fn frame_at(&mut self, offset: u64) -> Result<usize, StorageError> {
        while let Some(&next) = self.starts.last()
            && next <= offset
        {
            let end = self.reader.frame_end(next)?;
            self.starts.push(end);
        }
        Ok(self.starts.partition_point(|start| *start <= offset) - 1)
    }

    /// Returns a whole frame, header and body.
    fn frame(&mut self, number: usize) -> Result<&[u8], StorageError> {
        let checked = match self.checked.take() {
            Some((checked, bytes)) if checked == number => bytes,
            _ => self.reader.frame_at(number as u64, self.starts[number])?,
        };
        Ok(&self.checked.insert((number, checked)).1)
    }
}
