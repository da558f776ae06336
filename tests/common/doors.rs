//! The network between clients and the servers of a test: the addresses that the servers tell
//! clients are those of doors, which tests shut, hold, or let break off.
//!
//! A client that was given the servers' own addresses passes by the doors as long as no server
//! sends it elsewhere, so one client can be cut off while others are not.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::spawn;

use coracle::testing::drill::free_ports;

use super::Cluster;

/// The doors of all servers.
#[derive(Clone, Default)]
pub struct Doors {
    shared: Arc<Shared>,
    ports: Arc<Mutex<BTreeMap<u64, u16>>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The servers whose doors take no connections.
    shut: BTreeSet<u64>,
    /// True while no bytes pass in either direction.
    is_held: bool,
    /// Number of bytes from its server after which the next connection breaks.
    bytes_max: Option<usize>,
    /// Number of bytes from servers that have passed.
    passed_bytes: usize,
    connections: Vec<(u64, TcpStream, TcpStream)>,
}

impl Cluster {
    /// Puts a door before each server of a cluster that has not been started.
    pub fn put_behind_doors(&mut self) -> Doors {
        let doors = Doors::default();
        let ports = free_ports(self.nodes.len()).expect("ports are free");
        for ((id, node), port) in self.nodes.iter_mut().zip(ports) {
            node.door_port = Some(port);
            doors.install(*id, port, node.client_port);
        }
        self.doors = Some(doors.clone());
        self.write_settings(&self.ids());
        doors
    }
}

impl Doors {
    fn install(&self, id: u64, port: u16, server_port: u16) {
        self.ports.lock().unwrap().insert(id, port);
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let shared = Arc::clone(&self.shared);
        // It ends with the test process.
        spawn(move || {
            for near in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                spawn(move || shared.connect(id, near, server_port));
            }
        });
    }

    /// The addresses of the doors.
    pub fn addresses(&self) -> Vec<String> {
        self.ports.lock().unwrap().values().map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// Shuts the doors of all servers but these, and breaks their connections.
    pub fn open_only(&self, open: &[u64]) {
        let ids: Vec<u64> = self.ports.lock().unwrap().keys().copied().collect();
        let mut state = self.shared.lock();
        state.shut = ids.into_iter().filter(|id| !open.contains(id)).collect();
        let shut = state.shut.clone();
        state.close(|id| shut.contains(&id));
    }

    /// Lets no bytes pass until [`Doors::release`].
    pub fn hold(&self) {
        self.shared.lock().is_held = true;
    }

    /// Lets bytes pass again, those that were held too.
    pub fn release(&self) {
        self.shared.lock().is_held = false;
        self.shared.changed.notify_all();
    }

    /// Has the next connection, and no other, break after this number of bytes from its server.
    pub fn break_next_after(&self, bytes: usize) {
        self.shared.lock().bytes_max = Some(bytes);
    }

    /// True when no connection is to break any more.
    pub fn has_broken(&self) -> bool {
        self.shared.lock().bytes_max.is_none()
    }

    /// Number of bytes from servers that have passed so far.
    pub fn passed_bytes(&self) -> usize {
        self.shared.lock().passed_bytes
    }
}

impl State {
    fn close(&mut self, is_meant: impl Fn(u64) -> bool) {
        self.connections.retain(|(id, near, far)| {
            let is_closed = is_meant(*id);
            if is_closed {
                let _ = near.shutdown(Shutdown::Both);
                let _ = far.shutdown(Shutdown::Both);
            }
            !is_closed
        });
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of a door panics")
    }

    /// Serves one connection until it ends.
    fn connect(self: Arc<Shared>, id: u64, near: TcpStream, port: u16) {
        let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { return };
        let _ = near.set_nodelay(true).and_then(|()| far.set_nodelay(true));
        let (Ok(near_copy), Ok(far_copy)) = (near.try_clone(), far.try_clone()) else { return };
        let (Ok(source), Ok(target)) = (far.try_clone(), near.try_clone()) else { return };
        let bytes_max = {
            let mut state = self.lock();
            if state.shut.contains(&id) {
                return;
            }
            state.connections.push((id, near_copy, far_copy));
            state.bytes_max.take()
        };
        let shared = Arc::clone(&self);
        spawn(move || shared.pass(near, far, None, false));
        self.pass(source, target, bytes_max, true);
    }

    /// Lets bytes pass until either side ends, or `bytes_max` of them have passed.
    fn pass(
        &self,
        mut source: TcpStream,
        mut target: TcpStream,
        bytes_max: Option<usize>,
        is_from_server: bool,
    ) {
        let mut piece = [0; 16 * 1024];
        let mut left = bytes_max.unwrap_or(usize::MAX);
        while left > 0 {
            let Ok(length @ 1..) = source.read(&mut piece) else { break };
            let length = length.min(left);
            left -= length;
            let held = self.changed.wait_while(self.lock(), |state| state.is_held);
            let mut state = held.expect("no thread of a door panics");
            if is_from_server {
                state.passed_bytes += length;
            }
            drop(state);
            if target.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        let _ = source.shutdown(Shutdown::Both);
        let _ = target.shutdown(Shutdown::Both);
    }
}
