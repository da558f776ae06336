//! A snapshot's file in pieces, for another node.
//!
//! Nothing is handed out that does not match its checksum: a file that has rotted
//! since it was written would fail only at the other end, when all of it has been
//! sent, and again at every attempt.

use super::{FRAME_HEADER_BYTES, Frame, Reader, SnapshotFile, Snapshots};
use crate::storage::StorageError;
use crate::storage::error::damaged;

/// See the module.
pub struct SnapshotPieces {
    reader: Reader,
    /// Where each frame begins that was passed, and where the next does.
    starts: Vec<u64>,
    /// The frame that was read last, with its number.
    checked: Option<(usize, Vec<u8>)>,
}

impl Snapshots {
    /// Opens a snapshot to be read in pieces.
    ///
    /// # Errors
    /// When it cannot be opened, or has another size than `file` says.
    pub fn pieces(&self, file: &SnapshotFile) -> Result<SnapshotPieces, StorageError> {
        let reader = Reader::open(&*self.disk, &self.path(file.head.last))?;
        if reader.bytes != file.bytes {
            return Err(reader.damaged(format!("it had {} bytes when it was whole", file.bytes)));
        }
        Ok(SnapshotPieces { reader, starts: vec![0], checked: None })
    }
}

impl SnapshotPieces {
    /// The bytes from `offset` on: about `bytes_max` (none for 0), fewer where a frame
    /// ends, none at the file's end.
    ///
    /// # Errors
    /// When they cannot be read, or are not those that were written.
    pub fn piece(&mut self, offset: u64, bytes_max: usize) -> Result<Vec<u8>, StorageError> {
        if offset >= self.reader.bytes || bytes_max == 0 {
            return Ok(Vec::new());
        }
        let number = self.frame_at(offset)?;
        let start = self.starts[number];
        let frame = self.frame(number)?;
        let rest = &frame[(offset - start) as usize..];
        // A remainder that is hardly worth a message goes with what is before it.
        let bytes = if rest.len() <= bytes_max + bytes_max / 4 { rest.len() } else { bytes_max };
        Ok(rest[..bytes].to_vec())
    }

    /// The number of the frame that `offset` lies in.
    fn frame_at(&mut self, offset: u64) -> Result<usize, StorageError> {
        while let Some(&next) = self.starts.last()
            && next <= offset
        {
            let end = self.reader.frame_end(next)?;
            self.starts.push(end);
        }
        Ok(self.starts.partition_point(|start| *start <= offset) - 1)
    }

    /// A whole frame, header and body.
    fn frame(&mut self, number: usize) -> Result<&[u8], StorageError> {
        if self.checked.as_ref().is_none_or(|(checked, _)| *checked != number) {
            self.reader.offset = self.starts[number];
            self.reader.frames = number as u64;
            let Frame { header, body, .. } = self.reader.frame()?;
            let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES + body.len());
            bytes.extend_from_slice(&header);
            bytes.extend_from_slice(&body);
            self.checked = Some((number, bytes));
        }
        match &self.checked {
            Some((_, bytes)) => Ok(bytes),
            None => Err(damaged(&self.reader.path, self.starts[number], "a frame is gone")),
        }
    }
}
