//! All metrics of a node together.

use prometheus_client::registry::Registry;

use super::{NodeMetrics, ProcessMetrics, etcd, wall_clock};

impl NodeMetrics {
    /// A registry with all of them.
    pub fn registry(&self, process: ProcessMetrics) -> Registry {
        let mut registry = Registry::default();
        self.raft.register(&mut registry);
        self.log.register(&mut registry);
        self.peers.register(&mut registry);
        self.clients.register(&mut registry);
        self.store.register(&mut registry);
        self.snapshots.register(&mut registry);
        self.main_thread.register(&mut registry);
        self.mailboxes.register(&mut registry);
        wall_clock::register(&self.raft, &mut registry);
        etcd::register(self, process.memory_bytes(), &mut registry);
        registry.register_collector(Box::new(process));
        registry
    }
}
