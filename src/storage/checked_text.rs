//! Small files of text, so that people can read them. The last line is a checksum over the lines
//! before it, so that a start notices damage.

use std::io;
use std::path::Path;

use super::disk::{Disk, OpenMode};
use super::durable_names::create_file;
use super::error::{IoContext, StorageError, damaged, unknown};

/// Number of bytes that are read of a file, more than any of them has.
const FILE_BYTES_MAX: usize = 64 * 1024;
/// The beginning of the last line.
const LAST_LINE: &str = "crc32c ";

/// Adds the last line.
pub(super) fn sealed(mut lines: String) -> String {
    lines.push_str(&last_line(&lines));
    lines
}

/// Returns the lines before the last one, or a sentence that says what is wrong with the file.
pub(super) fn unsealed(bytes: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text")?;
    let end = text.rfind(LAST_LINE).ok_or("its last line is missing")?;
    let (lines, last) = text.split_at(end);
    if last != last_line(lines) {
        return Err("it does not match its checksum");
    }
    Ok(lines)
}

fn last_line(lines: &str) -> String {
    format!("{LAST_LINE}{:08x}\n", crc32c::crc32c(lines.as_bytes()))
}

/// Reads a file. Returns `None` when there is none.
pub(super) fn read(disk: &dyn Disk, path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).during("open", path),
    };
    let mut bytes = vec![0; FILE_BYTES_MAX];
    let read = file.read_at(0, &mut bytes).during("read", path)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// A file whose first line is `coracle 1`, and each further line a name and a value.
pub(super) struct Lines<const N: usize> {
    /// The names, in the order of the lines.
    pub names: [&'static str; N],
}

impl<const N: usize> Lines<N> {
    const VERSION: &str = "1";

    /// Creates the file at `path`, durably, with these values, each of which is one line.
    pub fn create(
        &self,
        disk: &dyn Disk,
        path: &Path,
        values: [String; N],
    ) -> Result<(), StorageError> {
        create_file(disk, path, self.encode(values).as_bytes())
    }

    /// The content of a file with these values.
    pub fn encode(&self, values: [String; N]) -> String {
        let mut text = format!("coracle {}\n", Self::VERSION);
        for (name, value) in self.names.iter().zip(values) {
            text.push_str(&format!("{name} {value}\n"));
        }
        sealed(text)
    }

    /// Reads the values of the file at `path`. Returns `None` when there is no file.
    ///
    /// # Errors
    /// When it is damaged, or another version of this program wrote it.
    pub fn read(&self, disk: &dyn Disk, path: &Path) -> Result<Option<[String; N]>, StorageError> {
        let Some(bytes) = read(disk, path)? else { return Ok(None) };
        let text = unsealed(&bytes).map_err(|what| damaged(path, 0, what))?;
        let mut lines = text.lines();
        let version = lines.next().and_then(|line| line.strip_prefix("coracle "));
        if version != Some(Self::VERSION) {
            let what = format!("it has format version {}", version.unwrap_or("unknown"));
            return Err(unknown(path, 0, what));
        }
        let values = self.names.map(|name| {
            let value = lines.next()?.strip_prefix(name)?.strip_prefix(' ')?;
            Some(value.to_owned())
        });
        let is_exact = values.iter().all(Option::is_some) && lines.next().is_none();
        if !is_exact {
            return Err(unknown(path, 0, "it has other lines"));
        }
        Ok(Some(values.map(Option::unwrap_or_default)))
    }
}
