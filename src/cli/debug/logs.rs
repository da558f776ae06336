//! The ends of log files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use super::manifest::Part;

/// Maximum size of what is taken of a file, in bytes.
const TAIL_BYTES: u64 = 1 << 20;

/// The part with the end of a log file. The number tells apart files of one name.
pub fn part(number: usize, path: &Path) -> Part {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_plain = |it: char| it.is_ascii_alphanumeric() || ".-_".contains(it);
    let name: String = name.chars().map(|it| if is_plain(it) { it } else { '_' }).collect();
    let content = tail(path, TAIL_BYTES);
    Part {
        name: format!("logs/{number}-{name}"),
        content: content.map_err(|error| format!("{}: {error}", path.display())),
    }
}

/// The last bytes of a file, from the beginning of a line on.
fn tail(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    // A pipe or a device might never come to an end, and a pipe is not opened without a writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let begin = length.saturating_sub(bytes_max);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    if begin > 0 {
        let line_end = bytes.iter().position(|byte| *byte == b'\n');
        bytes.drain(..line_end.map_or(0, |at| at + 1));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
