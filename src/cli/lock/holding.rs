//! Watches over a command that may run only while something is held.
//!
//! Whatever is held, is held for a time that is known, and which begins anew with each renewal. A
//! command that has to end must be gone before that time is over, because others go on then. So it
//! is asked to end while a fifth of the time is left, and killed at a tenth.

use std::time::Duration;

use coracle::client::Lease;
use rustix::process::Signal;
use tokio::time::sleep;

use super::signals::Signals;

/// A thing that is held for a time, and kept in the background.
pub trait Held {
    /// The time for which it is held for certain.
    fn remaining(&self) -> Duration;

    /// Waits until the servers have said that it was lost.
    fn ended(&self) -> impl Future<Output = ()>;
}

impl Held for Lease {
    fn remaining(&self) -> Duration {
        Lease::remaining(self)
    }

    async fn ended(&self) {
        Lease::ended(self).await;
    }
}

/// The outcome for a command that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It was held to the end.
    Kept,
    /// The command was ended, because it was lost or about to be, for this reason.
    Lost(&'static str),
    /// The command has ended by itself, and nobody knows whether it was held so long.
    Outlived,
}

/// A command that runs.
pub trait Running {
    /// Waits for its end. Cancel-safe.
    fn ended(&mut self) -> impl Future<Output = ()>;

    /// Sends it a signal that this process got.
    fn pass_on(&mut self, signal: Signal);

    /// Sends it a signal of ours.
    fn signal(&mut self, signal: Signal);
}

/// The longest time between two looks at the clock. Timers stand still while the machine sleeps.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// No server has confirmed it for most of its time.
const UNCONFIRMED: &str = "no server has renewed its lease in time";
/// A server has said so.
const TAKEN: &str = "its lease has ended or was revoked";

/// Waits for the end of a command, and has it end when it must.
pub async fn wait_while_held(
    child: &mut impl Running,
    held: &impl Held,
    seconds: u64,
    signals: &mut Signals,
) -> Hold {
    let of_all = |parts: u32| Duration::from_secs(seconds) / parts;
    let (ask_at, kill_at) = (of_all(5), of_all(10));
    let (mut hold, mut is_killed) = (Hold::Kept, false);
    loop {
        let remaining = held.remaining();
        if remaining <= kill_at && !is_killed {
            child.signal(Signal::KILL);
            (hold, is_killed) = (Hold::Lost(UNCONFIRMED), true);
        } else if remaining <= ask_at && hold == Hold::Kept {
            child.signal(Signal::TERM);
            hold = Hold::Lost(UNCONFIRMED);
        }
        let next = if hold == Hold::Kept { ask_at } else { kill_at };
        // A moment later than the limit, so that the next look finds it reached.
        let pause = remaining.saturating_sub(next) + Duration::from_millis(1);
        tokio::select! {
            // A loss and an end that are found together are a loss: nobody knows which came first.
            biased;
            () = held.ended(), if !is_killed => {
                child.signal(Signal::KILL);
                (hold, is_killed) = (Hold::Lost(TAKEN), true);
            }
            () = child.ended() => return outcome(hold, held),
            signal = signals.next() => child.pass_on(signal),
            () = sleep(pause.min(LOOK_INTERVAL)) => {}
        }
    }
}

/// The outcome for a command that has ended just now, or while this process stood still.
fn outcome(hold: Hold, held: &impl Held) -> Hold {
    match hold {
        Hold::Kept if held.remaining().is_zero() => Hold::Outlived,
        hold => hold,
    }
}

#[cfg(test)]
mod tests;
