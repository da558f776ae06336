//! The lines that a test logs on its own thread.

use std::cell::RefCell;
use std::sync::Once;

use log::{LevelFilter, Log, Metadata, Record};

use crate::logging::line_of;

thread_local! {
    /// `None` while nobody on this thread looks at the lines.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The logger of all tests of the process.
struct Recorder;

impl Log for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                lines.push(format!("{} {}", record.level(), line_of(record)));
            }
        });
    }

    fn flush(&self) {}
}

/// The lines of this thread, until it is dropped.
pub(crate) struct LogLines(());

impl LogLines {
    /// Begins to record, at the levels down to `info`.
    pub(crate) fn record() -> LogLines {
        static INSTALL: Once = Once::new();
        INSTALL.call_once(|| {
            log::set_logger(&Recorder).expect("no test installs another one");
            log::set_max_level(LevelFilter::Info);
        });
        LINES.set(Some(Vec::new()));
        LogLines(())
    }

    /// Takes the lines since the last call that have `words` in them: level, message and facts.
    pub(crate) fn drain(&self, words: &str) -> Vec<String> {
        let lines = LINES.replace(Some(Vec::new())).unwrap_or_default();
        lines.into_iter().filter(|line| line.contains(words)).collect()
    }
}

impl Drop for LogLines {
    fn drop(&mut self) {
        LINES.set(None);
    }
}
