//! A client that can be stopped like a process.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, spawn};

use coracle::client::{Client, Error, Fence, LeaseLost, Transaction};

use crate::common::clients::{block_on, patient};

/// A client that asks for a lock, on a thread of its own. It stands still at each of its steps
/// until it is told to go on: then nothing runs of it, no renewal of a lease either.
pub struct StoppedHolder {
    steps: Receiver<Step>,
    go_on: Sender<()>,
    thread: JoinHandle<()>,
}

/// A step of a [`StoppedHolder`].
#[derive(Debug)]
pub enum Step {
    /// It has a connection.
    Connected,
    /// It has the lock, or was refused.
    Acquired(Result<Fence, Error>),
    /// It has written under its fencing token.
    Written(Result<(), Error>),
    /// It was told that the lock is lost.
    Lost(LeaseLost),
}

impl StoppedHolder {
    /// Starts one that takes the lock `name` for leases of `seconds`, and writes `key` then.
    pub fn start(servers: Vec<String>, name: &str, seconds: u64, key: &str) -> StoppedHolder {
        let (told, steps) = channel();
        let (go_on, wait) = channel();
        let (name, key) = (name.to_owned(), key.to_owned());
        let thread = spawn(move || {
            // To stop is to block the only thread of the runtime.
            let stop = |step: Step| {
                told.send(step).unwrap();
                // An error is the end of the test, which does not let it go on.
                let _ = wait.recv();
            };
            block_on(async {
                let mut client = Client::connect(servers, patient()).await.unwrap();
                stop(Step::Connected);
                let lock = coracle::client::recipes::Lock::new(name).unwrap().seconds(seconds);
                let acquired = lock.acquire(&mut client).await;
                let Ok(guard) = &acquired else {
                    return stop(Step::Acquired(acquired.map(|_| unreachable!("it has failed"))));
                };
                stop(Step::Acquired(Ok(guard.fence().clone())));
                let write = Transaction::new().fence(guard.fence()).set(key, 0, b"stopped");
                let written = client.transaction(write).await.map(|_| ());
                stop(Step::Written(written));
                stop(Step::Lost(guard.lost().await));
            });
        });
        StoppedHolder { steps, go_on, thread }
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        self.go_on.send(()).unwrap();
    }

    /// Waits until it stands still at its next step.
    pub fn next(&self) -> Step {
        self.steps.recv().unwrap()
    }

    /// Waits for its end.
    pub fn join(self) {
        drop(self.go_on);
        self.thread.join().unwrap();
    }
}
