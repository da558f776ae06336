//! A copy of the keys with a prefix.

use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::client::{ChangeKind, Changes, Client, Error, Moment, Watch, WatchSpec};

/// A copy of all keys with a prefix, which a task of the runtime keeps up to date by a watch.
///
/// # Guarantees
/// - The copy is the store as it was at the copy's revision: all of a transaction is in it or
///   nothing of it. The revision never falls.
/// - It survives the death of servers and changes of the leader. It trails the store by the time
///   that a change takes to come, and by the time for which no server can be reached.
///   [`Cache::wait_for`] waits until it has come to a certain revision, that of one's own write
///   for example.
/// - When it was away for longer than the history of the store reaches, it is read anew as a whole:
///   it jumps, but is never wrong.
/// - It holds all values in memory. Keys that expire are gone from the copy when the servers have
///   told so.
///
/// ```no_run
/// # use coracle::client::recipes::Cache;
/// # use coracle::client::{Client, Error};
/// # async fn example(client: &mut Client) -> Result<(), Error> {
/// let settings = Cache::load(client, "settings/").await?;
/// let version = client.set("settings/color", 0, b"blue").await?;
/// settings.wait_for(version).await?;
/// let view = settings.view();
/// assert_eq!(view.get("settings/color").map(|item| &item.value[..]), Some(&b"blue"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Cache {
    state: watch::Receiver<State>,
    task: JoinHandle<()>,
}

/// The copy as it was at one revision. It never changes.
#[derive(Clone, Debug)]
pub struct View {
    revision: u64,
    items: OrdMap<Vec<u8>, Arc<CachedItem>>,
}

/// A value in a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedItem {
    /// The revision of the write that produced the value.
    pub version: u64,
    /// The value.
    pub value: Vec<u8>,
}

/// The copy, and the error with which the task has ended.
#[derive(Clone, Debug)]
struct State {
    view: View,
    error: Option<Error>,
}

/// The pause before the prefix is read anew after that has failed.
const PAUSE: Duration = Duration::from_millis(500);

impl Cache {
    /// Reads all keys that begin with `prefix` (empty: every key), and begins to watch them.
    ///
    /// # Errors
    /// As [`Client::read_and_watch`].
    pub async fn load(client: &Client, prefix: impl AsRef<[u8]>) -> Result<Cache, Error> {
        let prefix = prefix.as_ref().to_vec();
        let mut client = client.linearizable_sibling();
        // With notes of progress, so that the revision moves when only other keys change.
        let (moment, watch) = load(&mut client, &prefix).await?;
        let state = State { view: View::of(moment), error: None };
        let (sender, receiver) = watch::channel(state);
        let follower = Follower { client, prefix, state: sender };
        let task = tokio::spawn(follower.follow(watch));
        Ok(Cache { state: receiver, task })
    }

    /// The copy as it is now. It takes constant time, and does not change later.
    pub fn view(&self) -> View {
        self.state.borrow().view.clone()
    }

    /// The value of a key in the copy as it is now.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<Arc<CachedItem>> {
        self.state.borrow().view.items.get(key.as_ref()).cloned()
    }

    /// The revision of the copy as it is now.
    pub fn revision(&self) -> u64 {
        self.state.borrow().view.revision
    }

    /// Waits until the copy has come to a revision, which is perhaps one of a change of other keys;
    /// then it is told of a few seconds later. Cancel-safe.
    ///
    /// # Errors
    /// As [`Cache::changed`].
    pub async fn wait_for(&self, revision: u64) -> Result<(), Error> {
        let mut state = self.state.clone();
        let is_there = |state: &State| state.view.revision >= revision || state.error.is_some();
        let Ok(state) = state.wait_for(is_there).await else { return Err(gone()) };
        match &state.error {
            Some(error) if state.view.revision < revision => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// Waits until the copy has another revision than at the last call, or than at the beginning.
    /// Cancel-safe.
    ///
    /// # Errors
    /// The reason for which the copy will not change any more: an error of [`Watch`] other than
    /// [`Error::Compacted`], or the end of the runtime.
    pub async fn changed(&mut self) -> Result<(), Error> {
        if let Some(error) = &self.state.borrow().error {
            return Err(error.clone());
        }
        self.state.changed().await.map_err(|_| gone())?;
        match &self.state.borrow().error {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl View {
    /// The revision: this is the store as it was at that moment.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True when there is no key.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The value of a key.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Option<&CachedItem> {
        self.items.get(key.as_ref()).map(|item| &**item)
    }

    /// The keys with their values, in byte order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &CachedItem)> {
        self.items.iter().map(|(key, item)| (&key[..], &**item))
    }

    fn of(moment: Moment) -> View {
        let items = moment.items.into_iter().map(|item| {
            (item.key, Arc::new(CachedItem { version: item.version, value: item.value }))
        });
        View { revision: moment.revision, items: items.collect() }
    }

    fn apply(&mut self, changes: Changes) {
        for change in changes.changes {
            match change.kind {
                ChangeKind::Set { value, .. } => {
                    let item = CachedItem { version: changes.revision, value };
                    self.items.insert(change.key, Arc::new(item));
                }
                ChangeKind::Deleted | ChangeKind::Expired => {
                    self.items.remove(&change.key);
                }
            }
        }
        self.revision = self.revision.max(changes.revision);
    }
}

/// The task that keeps a copy up to date.
struct Follower {
    client: Client,
    prefix: Vec<u8>,
    state: watch::Sender<State>,
}

impl Follower {
    async fn follow(mut self, mut watch: Watch) {
        loop {
            match watch.next().await {
                Some(Ok(changes)) => self.state.send_modify(|state| state.view.apply(changes)),
                Some(Err(Error::Compacted { .. })) => match self.read_anew().await {
                    Ok(next) => watch = next,
                    Err(error) => return self.end_with(error),
                },
                Some(Err(error)) => return self.end_with(error),
                None => return,
            }
        }
    }

    /// Reads the prefix anew, and goes on from there.
    async fn read_anew(&mut self) -> Result<Watch, Error> {
        loop {
            match load(&mut self.client, &self.prefix).await {
                Ok((moment, watch)) => {
                    self.state.send_modify(|state| state.view = View::of(moment));
                    return Ok(watch);
                }
                Err(
                    Error::Unavailable { .. } | Error::Unknown { .. } | Error::Compacted { .. },
                ) => {
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn end_with(&self, error: Error) {
        self.state.send_modify(|state| state.error = Some(error));
    }
}

async fn load(client: &mut Client, prefix: &[u8]) -> Result<(Moment, Watch), Error> {
    let moment = client.scan_all(prefix).await?;
    let spec = WatchSpec::prefix(prefix)?.from(moment.revision + 1).with_progress();
    let watch = client.watch(spec).await?;
    Ok((moment, watch))
}

fn gone() -> Error {
    Error::Unavailable { last: "the task that keeps the copy is gone".into() }
}
