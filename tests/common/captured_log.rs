//! The log lines of the servers that run in the test's own process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};

static CAPTURED: CapturedLog = CapturedLog { lines: Mutex::new(Vec::new()) };

/// A logger that keeps the lines of warnings and errors.
struct CapturedLog {
    lines: Mutex<Vec<String>>,
}

impl CapturedLog {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for CapturedLog {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        self.lines().push(coracle::logging::line_of(record).to_string());
    }

    fn flush(&self) {}
}

/// Keeps the warnings of this process from now on.
pub fn begin() {
    // Another test of the program may have begun before.
    if log::set_logger(&CAPTURED).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}

/// A line that has all of these words.
pub fn find(words: &[&str]) -> Option<String> {
    CAPTURED.lines().iter().find(|line| words.iter().all(|word| line.contains(word))).cloned()
}
