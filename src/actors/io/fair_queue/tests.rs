use std::future::poll_fn;
use std::task::Poll;

use super::*;

/// Takes so many turns, one after the other.
async fn work(ticket: Permit, turns: u32, done: Rc<Cell<u32>>) {
    for _ in 0..turns {
        poll_fn(|task| if ticket.poll_turn(task) { Poll::Ready(()) } else { Poll::Pending }).await;
        done.set(done.get() + 1);
    }
}

#[actix::test]
async fn who_does_not_take_turns_waits_for_no_more_than_those_of_one_round() {
    // So many each that the few which the runtime polls between two looks, some sixty,
    // would take more than a round if nothing held them.
    const EACH: u32 = TURNS as u32 / 8;
    let (fair_queue, done) = (FairQueue::default(), Rc::new(Cell::new(0)));
    let crowd = 2 * TURNS as u32;
    for _ in 0..crowd {
        actix::spawn(work(fair_queue.ticket(), EACH, Rc::clone(&done)));
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
    let (fair_queue, done) = (FairQueue::default(), Rc::new(Cell::new(0)));
    work(fair_queue.ticket(), TURNS as u32 - 1, Rc::clone(&done)).await;
    // The last free turn, and one that has to be waited for; then all again.
    for _ in 0..3 {
        work(fair_queue.ticket(), TURNS as u32, Rc::clone(&done)).await;
    }
    assert_eq!(done.get(), 4 * TURNS as u32 - 1);
}

#[actix::test]
async fn turns_come_in_the_order_of_asking() {
    let (fair_queue, order) = (FairQueue::default(), Rc::new(RefCell::new(Vec::new())));
    let names: Vec<usize> = (0..3 * TURNS).collect();
    let mut works = Vec::new();
    for name in names.clone() {
        let (ticket, order) = (fair_queue.ticket(), Rc::clone(&order));
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
