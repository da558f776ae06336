//! The thread that drives the connections and tasks of blocking clients.

use std::io;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// A runtime on a thread of its own. Tasks go on while nobody calls.
#[derive(Debug)]
pub(super) struct Runtime {
    handle: Handle,
    /// Dropped, it ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    /// Starts the thread.
    pub(super) fn start() -> io::Result<Runtime> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            // An error is the drop of the sender, which is what is waited for.
            let _ = runtime.block_on(stopped);
        };
        let thread = thread::Builder::new().name("coracle-client".into()).spawn(run)?;
        Ok(Runtime { handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Runs a future to its end on the calling thread; the runtime's thread drives what it waits
    /// for.
    ///
    /// # Panics
    /// In an async context.
    pub(super) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.handle.block_on(future)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell, and it cannot be waited for on itself.
            let _ = thread.join();
        }
    }
}
