//! Clients of the library that load a cluster while a test disturbs it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use coracle::client::{Client, Error, Item, Options};
use tokio::runtime::{Builder, Handle};

use super::{Cluster, PATIENCE};

/// A client that adds one key after the other, each once, until it is stopped.
pub struct Writer {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    thread: JoinHandle<Vec<(String, u64)>>,
}

impl Writer {
    pub fn start(servers: Vec<String>) -> Writer {
        Writer::start_named(servers, "key".to_owned())
    }

    /// Starts one beside others, with keys that no other client adds.
    pub fn start_of_own(servers: Vec<String>) -> Writer {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        Writer::start_named(servers, format!("key{number}-"))
    }

    fn start_named(servers: Vec<String>, prefix: String) -> Writer {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&acknowledged));
        let thread = std::thread::spawn(move || {
            block_on(async {
                let mut client = Client::connect(servers, patient()).await.unwrap();
                let mut versions = Vec::new();
                for number in 0.. {
                    if stopped.load(Ordering::SeqCst) {
                        break;
                    }
                    // If a retry were executed twice, `add` would find the key there.
                    let key = format!("{prefix}{number:06}");
                    match client.add(&key, 0, key.as_bytes()).await {
                        Ok(version) => {
                            versions.push((key, version));
                            count.fetch_add(1, Ordering::SeqCst);
                        }
                        Err(Error::Unknown { .. } | Error::Unavailable { .. }) => {}
                        Err(error) => panic!("{key}: {error}"),
                    }
                }
                versions
            })
        });
        Writer { stop, acknowledged, thread }
    }

    /// Waits until `count` more of its commands are acknowledged.
    pub fn wait_for_more(&self, cluster: &Cluster, count: u64) {
        let wanted = self.acknowledged.load(Ordering::SeqCst) + count;
        cluster.wait_for("further acknowledged writes", || {
            assert!(!self.thread.is_finished(), "the writer has failed");
            (self.acknowledged.load(Ordering::SeqCst) >= wanted).then_some(())
        });
    }

    /// Stops it; returns the keys that were acknowledged, with their versions.
    pub fn stop(self) -> Vec<(String, u64)> {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap()
    }
}

/// A client that raises the key `counter` by compare-and-swap until it is stopped.
pub struct Counter {
    stop: Arc<AtomicBool>,
    counted: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Counter {
    pub fn start(servers: Vec<String>) -> Counter {
        let stop = Arc::new(AtomicBool::new(false));
        let counted = Arc::new(AtomicU64::new(0));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&counted));
        let thread = std::thread::spawn(move || {
            block_on(async {
                let mut client = Client::connect(servers, patient()).await.unwrap();
                while !stopped.load(Ordering::SeqCst) {
                    let (value, version) = match client.getm("counter").await {
                        Ok(item) => (String::from_utf8(item.value).unwrap(), item.version),
                        Err(Error::NotFound) => ("0".into(), 0),
                        Err(error) => panic!("{error}"),
                    };
                    let next = (value.parse::<u64>().unwrap() + 1).to_string();
                    match client.cas("counter", 0, version, next.as_bytes()).await {
                        Ok(_) => count.fetch_add(1, Ordering::SeqCst),
                        Err(Error::VersionMismatch { .. }) => continue,
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        });
        Counter { stop, counted, thread }
    }

    /// Waits until `count` more of its commands are acknowledged.
    pub fn wait_for_more(&self, cluster: &Cluster, count: u64) {
        let wanted = self.counted.load(Ordering::SeqCst) + count;
        cluster.wait_for("a counter to go on", || {
            assert!(!self.thread.is_finished(), "a counter has failed");
            (self.counted.load(Ordering::SeqCst) >= wanted).then_some(())
        });
    }

    /// Stops it; returns the number of times that it has raised the counter.
    pub fn stop(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().unwrap();
        self.counted.load(Ordering::SeqCst)
    }
}

/// Reads all keys.
pub fn scan_all(cluster: &Cluster) -> Vec<Item> {
    block_on(async {
        let mut client = connect(cluster).await;
        let mut items: Vec<Item> = Vec::new();
        loop {
            let after = items.last().map(|item| item.key.clone());
            let page = client.scan("", 1_000, after.as_deref()).await.unwrap();
            items.extend(page.items);
            if !page.more {
                return items;
            }
        }
    })
}

/// Connects to the cluster with [`patient`] options.
pub async fn connect(cluster: &Cluster) -> Client {
    Client::connect(cluster.addresses(), patient()).await.unwrap()
}

/// Options of a client that waits as long as the test.
pub fn patient() -> Options {
    Options { deadline: PATIENCE, ..Options::default() }
}

/// Runs a future to its end on this thread.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

/// A runtime on a thread of its own, whose tasks go on while the test does something else. It ends
/// with the test process.
pub fn running() -> Handle {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
}
