//! The queue behind locks and elections.
//!
//! A place in the queue `<name>` is the key `<name>/<lease>`, where `<lease>` is the id of the
//! place's own lease as 16 hexadecimal digits. It is written once, by an `add` with that lease, so
//! its version is the revision at which its owner came: the lower one is the earlier one, and the
//! lowest is at the head. A place that is left is never taken again, because nobody gets a lease
//! with the same id.
//!
//! Each owner waits for the end of the place right before its own, so the end of a place wakes one
//! client, however many wait.

use std::pin::pin;

use crate::client::{ChangeKind, Client, Error, Fence, Item, Lease, Mode, WatchSpec, name_of};

/// The digits of a lease's id in a key.
const LEASE_DIGITS: usize = 16;

/// The number of places that are read at once.
const PAGE_PLACES: u64 = 1_000;

/// The name of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queue {
    /// The name, and the slash behind it.
    prefix: Vec<u8>,
}

/// A place at the head of a queue, which is kept by its lease.
#[derive(Debug)]
pub(super) struct Place {
    lease: Lease,
    fence: Fence,
}

/// The outcome of a look at the places before one's own.
enum Look {
    /// There is none.
    Head,
    /// This is the one right before it.
    Behind(Vec<u8>),
}

impl Queue {
    pub(super) fn new(name: impl AsRef<[u8]>) -> Result<Queue, Error> {
        let mut prefix = name_of(name)?.to_vec();
        prefix.push(b'/');
        Ok(Queue { prefix })
    }

    pub(super) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    fn key(&self, lease: u64) -> Vec<u8> {
        let digits = format!("{lease:0LEASE_DIGITS$x}");
        [&self.prefix, digits.as_bytes()].concat()
    }

    /// True for the key of a place. Keys of other queues may have the same prefix.
    pub(super) fn is_place(&self, key: &[u8]) -> bool {
        key.strip_prefix(&self.prefix[..]).is_some_and(|digits| {
            let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            digits.len() == LEASE_DIGITS && digits.iter().all(is_digit)
        })
    }

    /// The place at the head.
    pub(super) async fn head(&self, client: &mut Client) -> Result<Option<Item>, Error> {
        let places = self.places(client).await?;
        Ok(places.into_iter().min_by_key(|place| place.version))
    }

    /// Takes the last place, and waits until it is at the head; `None` when `give_up` is ready
    /// before, and then the place is no longer there.
    ///
    /// # Errors
    /// [`Error::NoLease`] when the place has ended before it was at the head.
    pub(super) async fn wait_for_turn(
        &self,
        client: &mut Client,
        (seconds, value): (u64, &[u8]),
        give_up: impl Future<Output = ()>,
    ) -> Result<Option<Place>, Error> {
        let mut give_up = pin!(give_up);
        let lease = tokio::select! {
            biased;
            lease = client.lease(seconds) => lease?,
            () = &mut give_up => return Ok(None),
        };
        // Outside of what may be cancelled, so that it can be revoked. A write that was cancelled
        // and is executed later finds no lease.
        let turn = tokio::select! {
            biased;
            turn = self.wait_with(client, &lease, value) => Some(turn?),
            () = &mut give_up => None,
        };
        match turn {
            Some(fence) => Ok(Some(Place { lease, fence })),
            None => lease.revoke().await.map(|_| None),
        }
    }

    /// Takes the last place, and looks whether it is at the head; `None` when it is not, and then
    /// it is no longer there.
    pub(super) async fn try_turn(
        &self,
        client: &mut Client,
        seconds: u64,
        value: &[u8],
    ) -> Result<Option<Place>, Error> {
        let lease = client.lease(seconds).await?;
        let fence = self.enter(client, &lease, value).await?;
        match self.look(client, &fence).await? {
            Look::Head => Ok(Some(Place { lease, fence })),
            Look::Behind(_) => lease.revoke().await.map(|_| None),
        }
    }

    async fn wait_with(
        &self,
        client: &mut Client,
        lease: &Lease,
        value: &[u8],
    ) -> Result<Fence, Error> {
        let fence = self.enter(client, lease, value).await?;
        while let Look::Behind(before) = self.look(client, &fence).await? {
            tokio::select! {
                waited = wait_for_end(client, &before) => waited?,
                () = lease.ended() => return Err(Error::NoLease),
            }
        }
        Ok(fence)
    }

    /// Takes the last place.
    async fn enter(
        &self,
        client: &mut Client,
        lease: &Lease,
        value: &[u8],
    ) -> Result<Fence, Error> {
        let key = self.key(lease.id());
        let token = client.add_with_lease(&key, 0, value, lease.id()).await?;
        Ok(Fence { key, token })
    }

    /// All places. They may be read in several steps; a place that comes meanwhile is behind all
    /// that were there before.
    async fn places(&self, client: &mut Client) -> Result<Vec<Item>, Error> {
        check_mode(client)?;
        let mut places: Vec<Item> = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = client.scan(&self.prefix, PAGE_PLACES, after.as_deref()).await?;
            after = page.items.last().map(|item| item.key.clone());
            places.extend(page.items.into_iter().filter(|item| self.is_place(&item.key)));
            if !page.more {
                return Ok(places);
            }
        }
    }

    /// Looks for the place right before another one, which must be there.
    async fn look(&self, client: &mut Client, fence: &Fence) -> Result<Look, Error> {
        let Fence { key, token } = fence;
        let places = self.places(client).await?;
        let before = places.iter().filter(|other| other.version < *token);
        if let Some(before) = before.max_by_key(|other| other.version) {
            return Ok(Look::Behind(before.key.clone()));
        }
        // Nobody comes before it any more. It is at the head if it is there after this was seen,
        // and the places were perhaps read in several steps.
        match client.getm(key).await {
            Ok(item) if item.version == *token => Ok(Look::Head),
            Ok(_) | Err(Error::NotFound) => Err(Error::NoLease),
            Err(error) => Err(error),
        }
    }
}

impl Place {
    pub(super) fn fence(&self) -> &Fence {
        &self.fence
    }

    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Leaves the queue.
    pub(super) async fn leave(self) -> Result<bool, Error> {
        self.lease.revoke().await
    }
}

/// Linearizable reads decide which place is at the head.
fn check_mode(client: &Client) -> Result<(), Error> {
    match client.options.mode {
        Mode::Leader | Mode::Any => Ok(()),
        Mode::Stale => {
            let reason = "a lock or an election needs linearizable reads, which mode stale has not";
            Err(Error::InvalidArgument(reason.into()))
        }
    }
}

/// Waits until a key is gone that is never written again.
async fn wait_for_end(client: &mut Client, key: &[u8]) -> Result<(), Error> {
    'watches: loop {
        let mut watch = client.watch(WatchSpec::key(key)?).await?;
        // The watch tells what happens from now on; what has happened before is read.
        match client.getm(key).await {
            Ok(_) => {}
            Err(Error::NotFound) => return Ok(()),
            Err(error) => return Err(error),
        }
        while let Some(told) = watch.next().await {
            match told {
                Ok(told) => {
                    let is_end = |kind: &ChangeKind| {
                        matches!(kind, ChangeKind::Deleted | ChangeKind::Expired)
                    };
                    if told.changes.iter().any(|change| is_end(&change.kind)) {
                        return Ok(());
                    }
                }
                // The watch was away for longer than the history reaches.
                Err(Error::Compacted { .. }) => continue 'watches,
                Err(error) => return Err(error),
            }
        }
    }
}
