//! A lease that is renewed in the background, and what its holder can know of it.

use std::time::Duration;

use rand::RngExt;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use crate::client::{Client, Error, Options};
use crate::clock::{Clock, SystemClock};

/// A lease that a task of the runtime renews, three times in its time, over a connection of its
/// own and through every change of leader.
///
/// - **What is certain.** The lease lives at the servers for its whole time after the *sending* of
///   a renewal that they have acknowledged. So much is certain as long as the clocks of this
///   machine and of the leader run alike within one part in fifty, and [`Lease::is_alive`] is true
///   for no longer. The time in which the machine sleeps counts.
/// - **What is not.** While no server answers, the lease may live on: the servers' clock stands
///   still while they have no leader. So the task does not give up before a server says that the
///   lease has ended, and [`Lease::is_alive`] may become true again.
/// - When it is dropped, the task revokes the lease, once and without a promise: the time of the
///   lease is the promise. [`Lease::revoke`] waits for it.
///
/// The task runs as long as the runtime does. A program that blocks its runtime for the time of
/// the lease has not renewed it.
#[derive(Debug)]
pub struct Lease {
    id: u64,
    seconds: u64,
    state: watch::Receiver<State>,
    /// Ends the task. It is dropped with the lease, which tells the task to revoke.
    end: oneshot::Sender<End>,
}

/// The reason why a lease may have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseLost {
    /// The servers have said that it has ended.
    #[error("the lease has ended")]
    Ended,
    /// No server has acknowledged a renewal for the time of the lease.
    #[error("no server has renewed the lease in time")]
    Unconfirmed,
}

/// The lease as the task knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It lives until this time for certain.
    Alive { until: Duration },
    /// It has ended.
    Ended,
}

/// The end of the task.
#[derive(Debug)]
enum End {
    /// The lease is revoked, and whether it was there is told.
    Revoke(oneshot::Sender<Result<bool, Error>>),
    /// The lease is left to its time.
    Leave,
}

/// The longest time between two looks at the clock. Timers stand still while the machine sleeps.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// The longest pause after a renewal that failed.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// The time that counts for leases; it goes on while the machine sleeps.
pub(super) fn now() -> Duration {
    SystemClock.monotonic()
}

/// The time until which a lease lives for certain that was renewed by a command sent at `sent_at`.
fn certain_until(sent_at: Duration, seconds: u64) -> Duration {
    // Clocks that run alike within one part in fifty.
    sent_at.saturating_add(Duration::from_millis(seconds.saturating_mul(980)))
}

impl Lease {
    /// Has a lease renewed that was granted by a command sent at `sent_at`.
    pub(super) fn keep(client: Client, id: u64, seconds: u64, sent_at: Duration) -> Lease {
        let until = certain_until(sent_at, seconds);
        let (sender, state) = watch::channel(State::Alive { until });
        let (end, ended) = oneshot::channel();
        let revoker = client.sibling();
        let keeper = Keeper { client: patient_for(client, seconds), id, seconds, state: sender };
        tokio::spawn(keeper.run(ended, revoker));
        Lease { id, seconds, state, end }
    }

    /// The id, for the writes that go with the lease.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its time in seconds.
    pub fn seconds(&self) -> u64 {
        self.seconds
    }

    /// The time for which it lives for certain, if nobody revokes it.
    pub fn remaining(&self) -> Duration {
        match *self.state.borrow() {
            State::Alive { until } => until.saturating_sub(now()),
            State::Ended => Duration::ZERO,
        }
    }

    /// True while the lease lives for certain, if nobody revokes it.
    pub fn is_alive(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// Waits until it is no longer certain that the lease lives.
    pub async fn lost(&self) -> LeaseLost {
        let mut state = self.state.clone();
        loop {
            let remaining = match *state.borrow_and_update() {
                State::Ended => return LeaseLost::Ended,
                State::Alive { until } => until.saturating_sub(now()),
            };
            if remaining.is_zero() {
                return LeaseLost::Unconfirmed;
            }
            tokio::select! {
                changed = state.changed() => if changed.is_err() {
                    // The task is gone with its runtime: nobody renews any more.
                    sleep(remaining.min(LOOK_INTERVAL)).await;
                },
                () = sleep(remaining.min(LOOK_INTERVAL)) => {}
            }
        }
    }

    /// Waits until the servers have said that the lease has ended.
    pub async fn ended(&self) {
        let mut state = self.state.clone();
        let ended = state.wait_for(|state| *state == State::Ended).await.is_ok();
        if !ended {
            // The task is gone with its runtime, and nobody will say anything.
            std::future::pending::<()>().await;
        }
    }

    /// Ends the lease, and removes its keys. Returns false when it had ended before.
    ///
    /// # Errors
    /// [`Error::Unknown`] and [`Error::Unavailable`] when no server answered: the lease ends by
    /// itself then; see [`Error`].
    pub async fn revoke(self) -> Result<bool, Error> {
        let (answer, answered) = oneshot::channel();
        let gone = || Error::Unavailable { last: "the task that renews the lease is gone".into() };
        if self.end.send(End::Revoke(answer)).is_err() {
            return match *self.state.borrow() {
                State::Ended => Ok(false),
                State::Alive { .. } => Err(gone()),
            };
        }
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Renews the lease no longer, and does not revoke it: it ends when its time is over.
    pub fn leave(self) {
        // The task is gone when the lease has ended.
        let _ = self.end.send(End::Leave);
    }
}

/// A client that tries a renewal no longer than it is of use.
fn patient_for(mut client: Client, seconds: u64) -> Client {
    let third = Duration::from_millis(seconds.saturating_mul(1000) / 3);
    let Options { deadline, try_timeout, .. } = client.options;
    client.options.deadline = deadline.min(third);
    client.options.try_timeout = try_timeout.min(third / 2);
    client
}

/// The task that renews a lease.
struct Keeper {
    client: Client,
    id: u64,
    seconds: u64,
    state: watch::Sender<State>,
}

impl Keeper {
    async fn run(mut self, ended: oneshot::Receiver<End>, mut revoker: Client) {
        let id = self.id;
        let end = tokio::select! {
            () = self.renew() => {
                self.state.send_replace(State::Ended);
                return;
            }
            end = ended => end,
        };
        match end {
            Ok(End::Leave) => {}
            Ok(End::Revoke(answer)) => {
                let revoked = revoker.revoke(id).await;
                // The caller may have gone meanwhile.
                let _ = answer.send(revoked);
            }
            Err(_) => {
                // Its time ends it when this does not.
                let _ = revoker.revoke(id).await;
            }
        }
    }

    /// Renews the lease until the servers say that it has ended.
    async fn renew(&mut self) {
        let third = Duration::from_millis(self.seconds.saturating_mul(1000) / 3);
        let mut due = now() + self.shortened(third);
        let mut pause = PAUSE_MAX.min(third) / 8;
        loop {
            let left = due.saturating_sub(now());
            if !left.is_zero() {
                sleep(left.min(LOOK_INTERVAL)).await;
                continue;
            }
            let sent_at = now();
            match self.client.renew(self.id).await {
                Ok(seconds) => {
                    self.state
                        .send_replace(State::Alive { until: certain_until(sent_at, seconds) });
                    due = sent_at + self.shortened(third);
                    pause = PAUSE_MAX.min(third) / 8;
                }
                Err(Error::NoLease) => return,
                // Whatever it is, the lease may live, and a later try may succeed.
                Err(_) => {
                    due = now() + self.shortened(pause);
                    pause = (2 * pause).min(PAUSE_MAX.min(third));
                }
            }
        }
    }

    /// A time shortened by a random part, so that not all clients come at the same moment.
    fn shortened(&mut self, time: Duration) -> Duration {
        time.mul_f64(self.client.rng.random_range(0.7..1.0))
    }
}
