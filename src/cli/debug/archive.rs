//! The archive: a `.tar.gz` that only its owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::super::failure::Failure;
use super::manifest::Manifest;

/// The directory of everything in the archive.
const DIRECTORY: &str = "coracle-debug";
/// The mode of the archive and of what is in it: others may not read what it says of machines.
const MODE: u32 = 0o600;

/// Makes the file of an archive.
///
/// # Errors
/// When it exists, or cannot be made.
pub fn create(path: &Path) -> Result<File, Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path);
    file.map_err(|error| {
        let shown = path.display();
        match error.kind() {
            ErrorKind::AlreadyExists => Failure::No(format!(
                "{shown} exists, and is not overwritten: name another file with --output, or \
                 remove it"
            )),
            _ => Failure::No(format!(
                "{shown} cannot be written: {error}; name another file with --output"
            )),
        }
    })
}

/// Removes the file of an archive that could not be finished.
pub fn remove(path: &Path) {
    // The error that comes before says more than another one here.
    let _ = fs::remove_file(path);
}

/// Writes an archive.
///
/// # Errors
/// When the file cannot be written.
pub fn write(file: File, manifest: &Manifest) -> Result<(), Failure> {
    let file = pack(file, manifest)?;
    file.sync_all()?;
    Ok(())
}

/// Packs all parts, the manifest first.
fn pack<W: Write>(output: W, manifest: &Manifest) -> io::Result<W> {
    let mut archive = Builder::new(GzEncoder::new(output, Compression::default()));
    let seconds = manifest.made_at_ms / 1000;
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(MODE);
        header.set_mtime(seconds);
        header.set_size(bytes.len() as u64);
        archive.append_data(&mut header, format!("{DIRECTORY}/{name}"), bytes)
    };
    add("manifest.json", manifest.json().line().as_bytes())?;
    for (name, bytes) in manifest.present() {
        add(name, bytes)?;
    }
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests;
