//! A stand-in for the actor of any port. It records the messages that it is sent.

use std::sync::{Arc, Mutex};
use std::task::Poll;

use actix::dev::{MessageResponse, ToEnvelope};
use actix::{Actor, Context, Handler, Message, Recipient};

/// The actor of a [`probe`].
pub struct Probe<M> {
    received: Arc<Mutex<Vec<M>>>,
}

impl<M: Unpin + 'static> Actor for Probe<M> {
    type Context = Context<Self>;
}

impl<M> Handler<M> for Probe<M>
where
    M: Message<Result = ()> + Send + Unpin + 'static,
    (): MessageResponse<Probe<M>, M>,
{
    type Result = ();

    fn handle(&mut self, message: M, _ctx: &mut Context<Self>) {
        self.received.lock().expect("no test panics while it holds the lock").push(message);
    }
}

/// The messages that a [`probe`] has received.
pub struct Inbox<M> {
    received: Arc<Mutex<Vec<M>>>,
}

impl<M> Inbox<M> {
    /// Takes all messages that came since the last call, in their order.
    pub fn drain(&self) -> Vec<M> {
        std::mem::take(&mut *self.received.lock().expect("no test panics while it holds the lock"))
    }

    /// Returns an inbox of the messages for which `pick` returns something.
    pub fn of_kind<T>(&self, pick: fn(&M) -> Option<T>) -> KindInbox<M, T> {
        KindInbox { inbox: Inbox { received: Arc::clone(&self.received) }, pick }
    }

    /// Takes the messages for which `pick` returns something, in their order. The other messages
    /// stay.
    pub fn drain_kind<T>(&self, mut pick: impl FnMut(&M) -> Option<T>) -> Vec<T> {
        let mut picked = Vec::new();
        let mut received = self.received.lock().expect("no test panics while it holds the lock");
        received.retain(|message| match pick(message) {
            Some(found) => {
                picked.push(found);
                false
            }
            None => true,
        });
        picked
    }
}

/// The messages of one kind among those that a [`probe`] has received.
pub struct KindInbox<M, T> {
    inbox: Inbox<M>,
    pick: fn(&M) -> Option<T>,
}

impl<M, T> KindInbox<M, T> {
    /// Takes the messages of this kind that came since the last call, in their order.
    pub fn drain(&self) -> Vec<T> {
        self.inbox.drain_kind(self.pick)
    }
}

/// Returns a port that records its messages, and the record.
///
/// # Panics
/// Outside an actix runtime.
pub fn probe<M>() -> (Recipient<M>, Inbox<M>)
where
    M: Message<Result = ()> + Send + Unpin + 'static,
    Context<Probe<M>>: ToEnvelope<Probe<M>, M>,
{
    let received = Arc::new(Mutex::new(Vec::new()));
    let inbox = Inbox { received: Arc::clone(&received) };
    (Probe { received }.start().recipient(), inbox)
}

/// Lets every actor of this thread run until all of them wait for a timer or a socket. It yields
/// a fixed number of times and measures no time, so nothing depends on how fast the machine is.
pub async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// Lets every other actor of this thread that has something to do run once. It has to be awaited
/// by a spawned task, which takes turns with the actors; the first task of a test does not.
pub async fn turn() {
    let mut is_over = false;
    std::future::poll_fn(|task| {
        if std::mem::replace(&mut is_over, true) {
            return Poll::Ready(());
        }
        task.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
