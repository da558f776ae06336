//! `lock`: runs a command while this process holds a lock of the cluster.

mod child;
mod holding;
mod signals;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use clap::Args;
use coracle::client::recipes::{Lock, LockGuard};
use coracle::client::{Client, Error};
use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use self::child::Child;
use self::holding::{Hold, Running, wait_while_held};
pub use self::signals::Signals;
use super::cluster::{Cluster, block_on, close};
use super::failure::Failure;
use super::output::note;

/// The end of the help: what one can rely on.
pub const PROMISES: &str = "Who asks first is first, and only the next one is woken. The command \
    gets SIGTERM while a fifth of the lease's time is left without a renewal, and SIGKILL at a \
    tenth, with all that it has started (at a terminal: without that). It ends with this process, \
    too. Its environment has CORACLE_LOCK_KEY and CORACLE_LOCK_TOKEN: a transaction that begins \
    with `check $CORACLE_LOCK_KEY $CORACLE_LOCK_TOKEN` is executed only while the lock is \
    held.\n\n\
    Exit codes: that of the command, or 128 and the number of the signal that ended it; 3 when the \
    lock was lost or did not come in time; 127 when there is no such command.";

#[derive(Args, Debug)]
pub struct LockCommand {
    /// The name of the lock: all who use the same name exclude each other
    name: OsString,
    #[command(flatten)]
    patience: Patience,
    /// A text for others who look at the lock; without this the name of this machine and the number
    /// of this process
    #[arg(long, value_name = "TEXT")]
    holder: Option<OsString>,
    #[command(flatten)]
    cluster: Cluster,
    /// The command, and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// The options of commands that wait for their turn.
#[derive(Args, Clone, Copy, Debug)]
pub struct Patience {
    /// The time after which others go on when this process or its machine has died
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Give up when it is not our turn after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    wait: Option<u64>,
}

/// Maximum time for a lock to be released. It is released by itself later.
const RELEASE_PATIENCE: Duration = Duration::from_secs(2);

impl Patience {
    /// Is ready when it is time to give up; returns why.
    pub async fn given_up(self, signals: &mut Signals) -> Failure {
        let too_long = async {
            match self.wait {
                Some(seconds) => sleep(Duration::from_secs(seconds)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = too_long => {
                let seconds = self.wait.unwrap_or_default();
                Failure::Unavailable(format!("others were first for {seconds} s"))
            }
            signal = signals.next() => Failure::Ended(128 + signal.as_raw() as u8),
        }
    }
}

/// The failure of who waited and did not get its turn.
pub fn no_turn(error: Error) -> Failure {
    match error {
        Error::NoLease => Failure::Unavailable(
            "the place in the queue was lost: its lease has ended or was revoked".into(),
        ),
        error => error.into(),
    }
}

impl LockCommand {
    /// Waits for the lock, and runs the command. The exit code is that of the command.
    pub fn run(self) -> Result<(), Failure> {
        block_on(async {
            let mut signals = Signals::catch()?;
            let mut client = self.cluster.connect().await?;
            let result = self.hold(&mut client, &mut signals).await;
            close(client).await;
            result
        })?
    }

    async fn hold(&self, client: &mut Client, signals: &mut Signals) -> Result<(), Failure> {
        let holder = self.holder.clone().unwrap_or_else(this_process);
        let lock = Lock::new(self.name.as_bytes())?;
        let lock = lock.seconds(self.patience.seconds).holder(holder.as_bytes());
        let mut reason = None;
        let given_up = async { reason = Some(self.patience.given_up(signals).await) };
        let guard = lock.acquire_until(client, given_up).await.map_err(no_turn)?;
        let Some(guard) = guard else {
            return Err(reason.expect("the lock is not given up without a reason"));
        };
        let result = self.run_holding(&guard, signals).await;
        // The command has ended, so nothing is lost when no server answers.
        match timeout(RELEASE_PATIENCE, guard.release()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                note(&format!("the lock is released when its time is over: {error}"));
            }
            Err(_) => note("the lock is released when its time is over: no server answers"),
        }
        result
    }

    async fn run_holding(&self, guard: &LockGuard, signals: &mut Signals) -> Result<(), Failure> {
        let key = std::ffi::OsStr::from_bytes(&guard.fence().key).to_owned();
        let variables =
            [("CORACLE_LOCK_KEY", key), ("CORACLE_LOCK_TOKEN", guard.token().to_string().into())];
        let mut child = Child::start(&self.command, &variables)?;
        let held = wait_while_held(&mut child, guard.lease(), self.patience.seconds, signals).await;
        if held != Hold::Kept {
            // It may have left others behind that did not end when they were asked.
            child.signal(Signal::KILL);
        }
        let code = child.reap()?;
        match held {
            Hold::Kept if code == 0 => Ok(()),
            Hold::Kept => Err(Failure::Ended(code)),
            Hold::Lost(reason) => Err(Failure::Unavailable(format!(
                "the lock was lost, and the command was ended: {reason}"
            ))),
            Hold::Outlived => Err(Failure::Unavailable(
                "the lock was lost before the command was seen to end: its time was over".into(),
            )),
        }
    }
}

/// The name of this machine and the number of this process.
fn this_process() -> OsString {
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", machine.trim(), std::process::id()).into()
}
