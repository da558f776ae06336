//! A server in the test's own process, on a thread of its own: its clocks and its disk are those
//! that the test gives it.

use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use coracle::clock::{Clock, SystemClock};
use coracle::config::{Overrides, Settings};
use coracle::net::Tcp;
use coracle::node::{self, Environment, Placement, Surroundings};
use coracle::storage::{Disk, RealDisk};
use coracle::types::{Address, NodeId};
use tokio::sync::oneshot;

/// The surroundings of a server that a test chooses.
pub struct World {
    pub clock: Arc<dyn Clock>,
    pub disk: Box<dyn Disk>,
    /// The port for HTTP, if it has one.
    pub http_port: Option<u16>,
}

impl Default for World {
    fn default() -> World {
        World { clock: Arc::new(SystemClock), disk: Box::new(RealDisk), http_port: None }
    }
}

/// A server that runs until this is dropped.
pub struct NodeThread {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl NodeThread {
    /// Starts server `id` of the file `config`.
    pub fn start(config: PathBuf, id: u64, world: World) -> NodeThread {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix::System::new().block_on(serve(config, NodeId(id), world, stopped));
        });
        NodeThread { stop: Some(stop), thread: Some(thread) }
    }
}

async fn serve(config: PathBuf, id: NodeId, world: World, stopped: oneshot::Receiver<()>) {
    let World { clock, disk, http_port } = world;
    let http_listen = http_port.map(|port| Address { host: "127.0.0.1".to_owned(), port });
    let overrides = Overrides { id: Some(id), http_listen, ..Overrides::default() };
    let settings = Settings::load(&config, &overrides).unwrap();
    let environment = Environment {
        network: Rc::new(Tcp),
        clock,
        disk,
        placement: Placement::Threads,
        surroundings: Surroundings::drawn(false).unwrap(),
        open_files_max: 1_024,
    };
    let node = node::start(&settings, id, environment).await.unwrap();
    // An error means that the test has failed.
    let _ = stopped.await;
    node.stop().await;
}

impl Drop for NodeThread {
    fn drop(&mut self) {
        drop(self.stop.take());
        let joined = self.thread.take().expect("it is joined once").join();
        assert!(joined.is_ok() || std::thread::panicking(), "the server has failed");
    }
}
