use std::future::poll_fn;
use std::task::Poll;

use super::*;

/// Takes `turns` turns, one after the other.
async fn work(permit: Permit, turns: u32, done: Rc<Cell<u32>>) {
    for _ in 0..turns {
        poll_fn(|task| if permit.poll_turn(task) { Poll::Ready(()) } else { Poll::Pending }).await;
        done.set(done.get() + 1);
    }
}

#[actix::test]
async fn other_work_waits_for_at_most_one_round_of_connections() {
    // The runtime polls about sixty tasks between two checks of the test. With this many
    // turns each, they would take more than a round if nothing held them back.
    const EACH: u32 = PERMITS as u32 / 8;
    let (queue, done) = (FairQueue::default(), Rc::new(Cell::new(0)));
    let crowd = 2 * PERMITS as u32;
    for _ in 0..crowd {
        actix::spawn(work(queue.permit(), EACH, Rc::clone(&done)));
    }
    let mut before = 0;
    while done.get() < EACH * crowd {
        tokio::task::yield_now().await;
        assert!(done.get() - before <= PERMITS as u32, "{before} to {}", done.get());
        before = done.get();
    }
}

#[actix::test]
async fn no_connection_waits_while_permits_are_free_and_none_is_forgotten() {
    let (queue, done) = (FairQueue::default(), Rc::new(Cell::new(0)));
    work(queue.permit(), PERMITS as u32 - 1, Rc::clone(&done)).await;
    // The last free turn, and one that has to be waited for; then all again.
    for _ in 0..3 {
        work(queue.permit(), PERMITS as u32, Rc::clone(&done)).await;
    }
    assert_eq!(done.get(), 4 * PERMITS as u32 - 1);
}

#[actix::test]
async fn turns_come_in_the_order_of_asking() {
    let (queue, order) = (FairQueue::default(), Rc::new(RefCell::new(Vec::new())));
    let names: Vec<usize> = (0..3 * PERMITS).collect();
    let mut works = Vec::new();
    for name in names.clone() {
        let (permit, order) = (queue.permit(), Rc::clone(&order));
        works.push(actix::spawn(async move {
            work(permit, 1, Rc::default()).await;
            order.borrow_mut().push(name);
        }));
    }
    for work in works {
        work.await.expect("it does not panic");
    }
    assert_eq!(*order.borrow(), names);
}
