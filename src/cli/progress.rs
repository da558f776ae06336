//! Bars on stderr where a person waits; none where nobody sees them.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// For so many bytes.
pub fn bar(bytes: u64, what: &'static str) -> ProgressBar {
    let template = "{msg} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let progress = styled(ProgressBar::new(bytes), template);
    progress.with_message(what)
}

/// For work of unknown length.
pub fn spinner(what: String) -> ProgressBar {
    let progress = styled(ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}");
    progress.enable_steady_tick(Duration::from_millis(100));
    progress.with_message(what)
}

fn styled(progress: ProgressBar, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).expect("the templates here are valid");
    progress.with_style(style.progress_chars("=> "))
}
