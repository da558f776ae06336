//! Fair turns for the many client connections of a thread.
//!
//! All work of a thread is in one queue. When thousands of clients send at once, thousands
//! of sessions are in it, at about 15 us each. A heartbeat on its way through TickerActor,
//! RaftActor, ReplicatorActor and PeerLinkActor would wait for all of them at every step,
//! and the leader would lose its leadership over it. So at most `PERMITS` connections work
//! between two turns of everybody else; the other connections wait here, in their order.
//!
//! [`FairQueue`] is not an actor and not `Send`: there is one for the connections of one
//! thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{self, Waker};

/// Maximum number of connections that work between two turns of all other work of the
/// thread: a few milliseconds.
const PERMITS: usize = 256;

/// The queue of the connections of one thread. Clones share one queue.
#[derive(Clone, Default)]
pub struct FairQueue(Rc<RefCell<Queue>>);

struct Queue {
    free: usize,
    /// Invariant: empty while permits are free.
    waiting: VecDeque<(Rc<Cell<Place>>, Waker)>,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { free: PERMITS, waiting: VecDeque::new() }
    }
}

/// The place of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It does not wait.
    Outside,
    /// It is in the queue.
    Waiting,
    /// It was woken and has a permit.
    Called,
}

/// The access of one connection to a [`FairQueue`].
pub struct Permit {
    queue: FairQueue,
    place: Rc<Cell<Place>>,
}

impl FairQueue {
    /// An access for one more connection.
    pub fn permit(&self) -> Permit {
        Permit { queue: self.clone(), place: Rc::new(Cell::new(Place::Outside)) }
    }

    /// Takes a permit, if one is free. After the last one has been taken, new ones are made
    /// when all other work of the thread has had its turn.
    fn take(&self) -> bool {
        let mut queue = self.0.borrow_mut();
        if queue.free == 0 {
            return false;
        }
        queue.free -= 1;
        if queue.free == 0 {
            let queue = self.clone();
            actix::spawn(async move {
                loop {
                    tokio::task::yield_now().await;
                    if queue.renew() {
                        return;
                    }
                }
            });
        }
        true
    }

    /// Makes new permits and gives them to the connections that wait, in their order.
    /// Returns true when some are left.
    fn renew(&self) -> bool {
        let mut queue = self.0.borrow_mut();
        let called = queue.waiting.len().min(PERMITS);
        for (place, waker) in queue.waiting.drain(..called) {
            place.set(Place::Called);
            waker.wake();
        }
        queue.free = PERMITS - called;
        queue.free > 0
    }
}

impl Permit {
    /// Returns true when it is the connection's turn. Otherwise `task` is woken when it is.
    pub fn poll_turn(&self, task: &task::Context<'_>) -> bool {
        match self.place.get() {
            Place::Waiting => false,
            Place::Called => {
                self.place.set(Place::Outside);
                true
            }
            Place::Outside => {
                let is_turn = self.queue.take();
                if !is_turn {
                    self.place.set(Place::Waiting);
                    let waiting = (Rc::clone(&self.place), task.waker().clone());
                    self.queue.0.borrow_mut().waiting.push_back(waiting);
                }
                is_turn
            }
        }
    }
}

#[cfg(test)]
mod tests;
