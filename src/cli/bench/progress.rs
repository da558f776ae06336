//! What a run tells people while it lasts: a bar on a terminal. Where stderr is
//! none, nothing.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often it is told; nobody reads faster.
pub const TELL_INTERVAL: Duration = Duration::from_millis(200);

/// The bar, which is taken away at the end.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// On stderr, if that is a terminal.
    pub fn new() -> Progress {
        Progress::to(ProgressDrawTarget::stderr())
    }

    fn to(target: ProgressDrawTarget) -> Progress {
        let style = ProgressStyle::with_template("{msg:28} [{wide_bar}] {prefix}")
            .expect("the template is one");
        Progress { bar: ProgressBar::with_draw_target(Some(1), target).with_style(style) }
    }

    /// Something of which nobody knows how long it takes.
    pub fn waiting(&self, what: &'static str) {
        self.bar.set_position(0);
        self.bar.set_prefix("");
        self.bar.set_message(what);
    }

    /// So much of `all` is done.
    pub fn doing(&self, what: &'static str, done: u64, all: u64) {
        self.bar.set_length(all);
        self.bar.set_position(done.min(all));
        self.bar.set_message(what);
    }

    /// Of the measurement: commands executed so far and errors, in so long.
    pub fn counted(&self, (commands, errors): (u64, u64), elapsed: Duration) {
        let per_second = commands as f64 / elapsed.as_secs_f64().max(0.001);
        let errors = if errors > 0 { format!(", {errors} errors") } else { String::new() };
        self.bar.set_prefix(format!("{per_second:.0} per second{errors}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_far_it_is_and_how_fast() {
        let progress = Progress::to(ProgressDrawTarget::hidden());
        progress.doing("measuring", 3, 10);
        progress.counted((500, 0), Duration::from_secs(2));
        assert_eq!((progress.bar.position(), progress.bar.length()), (3, Some(10)));
        assert_eq!(progress.bar.message(), "measuring");
        assert_eq!(progress.bar.prefix(), "250 per second");
        progress.counted((500, 7), Duration::ZERO);
        assert_eq!(progress.bar.prefix(), "500000 per second, 7 errors");
        progress.doing("measuring", 12, 10);
        assert_eq!(progress.bar.position(), 10, "never more than all");
    }
}
