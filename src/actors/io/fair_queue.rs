//! Turns for client connections, when there are many.
//!
//! All that a thread has to do stands in one queue. When thousands of clients send at
//! once, thousands of sessions stand in it, at some 15 us each; a heartbeat on its way
//! through ticker, RaftActor, ReplicatorActor and PeerLinkActor would wait behind all of
//! them, at every step, and the leader would lose its leadership over it. So no more than
//! [`TURNS`] connections work before all others on the thread have had their turn; the
//! rest of the connections wait here, in their order.
//!
//! Not an actor, and not `Send`: there is one for the connections of one thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{self, Waker};

/// Connections that work between two turns of all others: a few milliseconds.
const TURNS: usize = 256;

/// See the module. Clones are the same fair_queue.
#[derive(Clone, Default)]
pub struct FairQueue(Rc<RefCell<Queue>>);

struct Queue {
    free: usize,
    /// Invariant: empty while turns are free.
    waiting: VecDeque<(Rc<Cell<Place>>, Waker)>,
}

impl Default for Queue {
    fn default() -> Queue {
        Queue { free: TURNS, waiting: VecDeque::new() }
    }
}

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Waiting,
    /// It was woken for its turn.
    Called,
}

/// One connection's access to a fair_queue.
pub struct Permit {
    fair_queue: FairQueue,
    place: Rc<Cell<Place>>,
}

impl FairQueue {
    /// For a connection.
    pub fn ticket(&self) -> Permit {
        Permit { fair_queue: self.clone(), place: Rc::new(Cell::new(Place::Outside)) }
    }

    /// Takes a free turn, if there is one. The last one has new ones made, when the
    /// others have had their turn.
    fn take(&self) -> bool {
        let mut queue = self.0.borrow_mut();
        if queue.free == 0 {
            return false;
        }
        queue.free -= 1;
        if queue.free == 0 {
            let fair_queue = self.clone();
            actix::spawn(async move {
                loop {
                    tokio::task::yield_now().await;
                    if fair_queue.call_next() {
                        return;
                    }
                }
            });
        }
        true
    }

    /// New turns, for those who wait first. True when some are left over.
    fn call_next(&self) -> bool {
        let mut queue = self.0.borrow_mut();
        let called = queue.waiting.len().min(TURNS);
        for (place, waker) in queue.waiting.drain(..called) {
            place.set(Place::Called);
            waker.wake();
        }
        queue.free = TURNS - called;
        queue.free > 0
    }
}

impl Permit {
    /// Whether it is the connection's turn; else `task` is woken when it is.
    pub fn poll_turn(&self, task: &task::Context<'_>) -> bool {
        match self.place.get() {
            Place::Waiting => false,
            Place::Called => {
                self.place.set(Place::Outside);
                true
            }
            Place::Outside => {
                let is_turn = self.fair_queue.take();
                if !is_turn {
                    self.place.set(Place::Waiting);
                    let waiting = (Rc::clone(&self.place), task.waker().clone());
                    self.fair_queue.0.borrow_mut().waiting.push_back(waiting);
                }
                is_turn
            }
        }
    }
}

#[cfg(test)]
mod tests;
