//! The signals that a server gets from its terminal, its supervisor and the kernel.
//!
//! SIGTERM and SIGINT stop it cleanly. SIGQUIT and SIGKILL end it at once, which loses nothing
//! that was acknowledged. The others below would end it by their default action, without a clean
//! stop: they are caught.

use std::io;

use rustix::process::Signal as SignalNumber;
use tokio::signal::unix::{Signal, SignalKind, signal};

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
}

impl Signals {
    /// Catches the signals.
    ///
    /// # Errors
    /// The error of the system.
    pub(super) fn catch() -> io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user_defined1: signal(SignalKind::user_defined1())?,
            user_defined2: signal(SignalKind::user_defined2())?,
            _file_size: signal(SignalKind::from_raw(SignalNumber::XFSZ.as_raw()))?,
        })
    }

    /// Returns at the next signal that stops the server. A signal that means nothing to it is
    /// logged.
    pub(super) async fn stop(&mut self) {
        loop {
            let ignored = tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => "SIGHUP",
                _ = self.user_defined1.recv() => "SIGUSR1",
                _ = self.user_defined2.recv() => "SIGUSR2",
            };
            log::warn!(
                "ignored {ignored}: settings are read at the start only; SIGTERM stops this server"
            );
        }
    }
}
