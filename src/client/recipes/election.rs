//! The election of a leader among clients.

use std::future::pending;

use super::cache::{Cache, View};
use super::lock::SECONDS;
use super::queue::{Place, Queue};
use crate::client::{Client, Error, Fence, Lease, LeaseLost};

/// An election: of the candidates, the one that came first leads until it resigns or dies; then
/// the next one does.
///
/// # Guarantees
/// Those of a [`Lock`](super::Lock): at most one candidate has the lowest place at any moment of
/// the store, they take their turns in the order of asking, and a write that is fenced by a
/// leadership is refused when that has ended. A leader whose process was stopped may take itself
/// for the leader for a while: what must not happen twice is to be fenced.
///
/// Observers see each leader with the value that it campaigned with. They may miss one that led for
/// a moment only; the last one they never miss.
///
/// In the store, a candidate is the key `<name>/<lease>`, with the id of its lease in 16
/// hexadecimal digits. A leader that wants to say something else later writes it under a key of
/// its own, with the [`Leadership::lease`], in a transaction with the [`Leadership::fence`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Election {
    queue: Queue,
    seconds: u64,
}

/// The leadership of this client. Dropped, it is given up in the background, without a promise: at
/// the latest when its lease is over.
#[derive(Debug)]
pub struct Leadership {
    place: Place,
}

/// A leader, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// The value that it campaigned with.
    pub value: Vec<u8>,
    /// The proof of its leadership. The tokens rise from leader to leader.
    pub fence: Fence,
}

/// Tells who leads, one leader after the other: [`Election::observe`].
#[derive(Debug)]
pub struct Observer {
    queue: Queue,
    cache: Cache,
    /// The last thing told; `None` when nothing has been.
    told: Option<Option<Leader>>,
}

impl Election {
    /// The election of this name. It may be as long as a key without 17 bytes.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when it cannot be the beginning of a key.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Election, Error> {
        Ok(Election { queue: Queue::new(name)?, seconds: SECONDS })
    }

    /// The time of a candidate's lease, in seconds: so long others wait for a leader that has died.
    /// Default: 10.
    #[must_use]
    pub fn seconds(self, seconds: u64) -> Election {
        Election { seconds, ..self }
    }

    /// Waits to lead, for as long as others do. Cancel-safe: a client that no longer waits is no
    /// candidate any more.
    ///
    /// # Errors
    /// [`Error::NoLease`] when this process was stopped for longer than its lease lasts, or
    /// somebody has revoked it; see [`Error`].
    pub async fn campaign(&self, client: &mut Client, value: &[u8]) -> Result<Leadership, Error> {
        let turn = self.campaign_until(client, value, pending()).await?;
        Ok(turn.expect("nobody gives up"))
    }

    /// Waits to lead until `give_up` is ready; then it returns `None`, and this client is no
    /// candidate any more. Cancel-safe as [`Election::campaign`].
    ///
    /// # Errors
    /// As [`Election::campaign`].
    pub async fn campaign_until(
        &self,
        client: &mut Client,
        value: &[u8],
        give_up: impl Future<Output = ()>,
    ) -> Result<Option<Leadership>, Error> {
        let turn = self.queue.wait_for_turn(client, (self.seconds, value), give_up).await?;
        Ok(turn.map(|place| Leadership { place }))
    }

    /// The present leader; `None` when there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn leader(&self, client: &mut Client) -> Result<Option<Leader>, Error> {
        let head = self.queue.head(client).await?;
        Ok(head.map(|place| {
            let fence = Fence { key: place.key, token: place.version };
            Leader { value: place.value, fence }
        }))
    }

    /// Observes who leads.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn observe(&self, client: &Client) -> Result<Observer, Error> {
        let cache = Cache::load(client, self.queue.prefix()).await?;
        Ok(Observer { queue: self.queue.clone(), cache, told: None })
    }
}

impl Observer {
    /// The leader at first, and then the next one whenever it is another; `None` when there is
    /// none. Cancel-safe.
    ///
    /// # Errors
    /// When the watch has ended for good: see [`Cache::changed`].
    pub async fn next(&mut self) -> Result<Option<Leader>, Error> {
        loop {
            let view = self.cache.view();
            let leader = self.leader_in(&view);
            if self.told.as_ref() != Some(&leader) {
                self.told = Some(leader.clone());
                return Ok(leader);
            }
            self.cache.wait_for(view.revision() + 1).await?;
        }
    }

    fn leader_in(&self, view: &View) -> Option<Leader> {
        let places = view.iter().filter(|(key, _)| self.queue.is_place(key));
        places.min_by_key(|(_, item)| item.version).map(|(key, item)| Leader {
            value: item.value.to_vec(),
            fence: Fence { key: key.to_vec(), token: item.version },
        })
    }
}

impl Leadership {
    /// The fencing token: higher than that of every leader before.
    pub fn token(&self) -> u64 {
        self.place.fence().token
    }

    /// The proof that this client leads, for transactions.
    pub fn fence(&self) -> &Fence {
        self.place.fence()
    }

    /// The lease of the leadership: a key that is written with its id goes with it.
    pub fn lease(&self) -> &Lease {
        self.place.lease()
    }

    /// True while this client leads for certain.
    pub fn is_held(&self) -> bool {
        self.place.lease().is_alive()
    }

    /// Waits until it is no longer certain that this client leads.
    pub async fn lost(&self) -> LeaseLost {
        self.place.lease().lost().await
    }

    /// Resigns. Returns false when the leadership was lost before.
    ///
    /// # Errors
    /// When no server answered; the leadership ends when its lease is over; see [`Error`].
    pub async fn resign(self) -> Result<bool, Error> {
        self.place.leave().await
    }
}
