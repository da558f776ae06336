//! The signals that a server gets from its terminal, its supervisor and the kernel.
//!
//! SIGTERM and SIGINT stop it cleanly. SIGHUP reads the level of the log again. SIGQUIT and
//! SIGKILL end it at once, which loses nothing that was acknowledged. The others below would end it
//! by their default action, without a clean stop: they are caught.

use std::io;

use log::Level;
use rustix::process::Signal as SignalNumber;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::log_level;
use crate::config::LevelSource;
use crate::logging::LogLimit;

/// The signals of a process, all of them caught.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user_defined1: Signal,
    user_defined2: Signal,
    /// The signal of a write beyond the limit on the size of a file. The write fails as well, and
    /// its error says more.
    _file_size: Signal,
    level_source: LevelSource,
    /// Bounds the lines about signals that mean nothing.
    ignored: LogLimit,
}

impl Signals {
    /// Catches the signals. SIGHUP reads the level of the log from `level_source`.
    ///
    /// # Errors
    /// The error of the system.
    pub(super) fn catch(level_source: LevelSource) -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user_defined1: signal(SignalKind::user_defined1())?,
            user_defined2: signal(SignalKind::user_defined2())?,
            _file_size: signal(SignalKind::from_raw(SignalNumber::XFSZ.as_raw()))?,
            level_source,
            ignored: LogLimit::default(),
        })
    }

    /// Returns at the next signal that stops the server. Those that do not are dealt with.
    pub(super) async fn stop(&mut self) {
        loop {
            let ignored = tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    log_level::read_again(&self.level_source).await;
                    continue;
                }
                _ = self.user_defined1.recv() => "SIGUSR1",
                _ = self.user_defined2.recv() => "SIGUSR2",
            };
            let (level, left_out) = self.ignored.level(Level::Warn, ());
            log::log!(
                level, left_out;
                "ignored {ignored}: it means nothing; SIGHUP reads log_level again, and SIGTERM \
                 stops this server"
            );
        }
    }
}
