//! The lines that were typed before, in a file that only its owner can read: they hold values.

use std::env;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustyline::Editor;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;

use super::completer::LineHelper;

/// Maximum number of lines that are kept.
pub const LINES_MAX: usize = 1000;

/// The file of the history; `None` when there is no place for one, or it has failed.
pub struct History {
    file: Option<PathBuf>,
}

impl History {
    /// Reads the file, if there is one, into the editor.
    pub fn load(editor: &mut Editor<LineHelper, FileHistory>) -> History {
        let mut history = History { file: place() };
        history.attempt(|file| {
            if let Some(directory) = file.parent() {
                DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
            }
            match editor.load_history(file) {
                Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                result => result,
            }
        });
        history
    }

    /// Adds what was typed, and writes it at once: a terminal may be closed at any time. A line
    /// that begins with a space is not kept.
    pub fn add(&mut self, editor: &mut Editor<LineHelper, FileHistory>, line: &str) {
        self.attempt(|file| {
            if editor.add_history_entry(line)? { editor.append_history(file) } else { Ok(()) }
        });
    }

    /// Does something with the file. Says it once when that fails, and goes on without the file.
    fn attempt(&mut self, action: impl FnOnce(&Path) -> Result<(), ReadlineError>) {
        let Some(file) = &self.file else { return };
        if let Err(error) = action(file) {
            eprintln!("coracle: {}: no history is kept: {error}", file.display());
            self.file = None;
        }
    }
}

/// The place of the file, as the XDG Base Directory Specification has it.
fn place() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME");
    let state = state.or_else(|| Some(absolute("HOME")?.join(".local/state")))?;
    Some(state.join("coracle/history"))
}
