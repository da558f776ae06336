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

/// See the module. Clones are the same turnstile.
#[derive(Clone, Default)]
pub struct Turnstile(Rc<RefCell<Queue>>);

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

/// One connection's access to a turnstile.
pub struct Ticket {
    turnstile: Turnstile,
    place: Rc<Cell<Place>>,
}

impl Turnstile {
    /// For a connection.
    pub fn ticket(&self) -> Ticket {
        Ticket { turnstile: self.clone(), place: Rc::new(Cell::new(Place::Outside)) }
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
            let turnstile = self.clone();
            actix::spawn(async move {
                loop {
                    tokio::task::yield_now().await;
                    if turnstile.call_next() {
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

impl Ticket {
    /// Whether it is the connection's turn; else `task` is woken when it is.
    pub fn poll_turn(&self, task: &task::Context<'_>) -> bool {
        match self.place.get() {
            Place::Waiting => false,
            Place::Called => {
                self.place.set(Place::Outside);
                true
            }
            Place::Outside => {
                let is_turn = self.turnstile.take();
                if !is_turn {
                    self.place.set(Place::Waiting);
                    let waiting = (Rc::clone(&self.place), task.waker().clone());
                    self.turnstile.0.borrow_mut().waiting.push_back(waiting);
                }
                is_turn
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use super::*;

    /// Takes so many turns, one after the other.
    async fn work(ticket: Ticket, turns: u32, done: Rc<Cell<u32>>) {
        for _ in 0..turns {
            poll_fn(|task| if ticket.poll_turn(task) { Poll::Ready(()) } else { Poll::Pending })
                .await;
            done.set(done.get() + 1);
        }
    }

    #[actix::test]
    async fn who_does_not_take_turns_waits_for_no_more_than_those_of_one_round() {
        // So many each that the few which the runtime polls between two looks, some sixty,
        // would take more than a round if nothing held them.
        const EACH: u32 = TURNS as u32 / 8;
        let (turnstile, done) = (Turnstile::default(), Rc::new(Cell::new(0)));
        let crowd = 2 * TURNS as u32;
        for _ in 0..crowd {
            actix::spawn(work(turnstile.ticket(), EACH, Rc::clone(&done)));
        }
        let mut before = 0;
        while done.get() < EACH * crowd {
            tokio::task::yield_now().await;
            assert!(done.get() - before <= TURNS as u32, "{before} to {}", done.get());
            before = done.get();
        }
    }

    #[actix::test]
    async fn nobody_waits_while_turns_are_free_and_nobody_is_forgotten() {
        let (turnstile, done) = (Turnstile::default(), Rc::new(Cell::new(0)));
        work(turnstile.ticket(), TURNS as u32 - 1, Rc::clone(&done)).await;
        // The last free turn, and one that has to be waited for; then all again.
        for _ in 0..3 {
            work(turnstile.ticket(), TURNS as u32, Rc::clone(&done)).await;
        }
        assert_eq!(done.get(), 4 * TURNS as u32 - 1);
    }

    #[actix::test]
    async fn turns_come_in_the_order_of_asking() {
        let (turnstile, order) = (Turnstile::default(), Rc::new(RefCell::new(Vec::new())));
        let names: Vec<usize> = (0..3 * TURNS).collect();
        let mut works = Vec::new();
        for name in names.clone() {
            let (ticket, order) = (turnstile.ticket(), Rc::clone(&order));
            works.push(actix::spawn(async move {
                work(ticket, 1, Rc::default()).await;
                order.borrow_mut().push(name);
            }));
        }
        for work in works {
            work.await.expect("it does not panic");
        }
        assert_eq!(*order.borrow(), names);
    }
}
