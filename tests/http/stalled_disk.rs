//! A server in this process whose disk a test stops: it is not ready soon, and not live when that
//! lasts.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use coracle::storage::{Disk, DiskFile, DiskLock, Named, OpenMode, RealDisk};

use crate::common::Cluster;
use crate::common::captured_log;
use crate::common::http::HttpPorts;
use crate::common::members::BRISK;
use crate::common::node_thread::{NodeThread, World};
use crate::common::slow_line::assert_longest;

/// Stops the syncs of a disk, and lets them go on.
#[derive(Clone, Default)]
struct Valve(Arc<(Mutex<bool>, Condvar)>);

impl Valve {
    fn set_stalled(&self, is_stalled: bool) {
        *self.0.0.lock().expect("nobody panics while it holds the lock") = is_stalled;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let stalled = self.0.0.lock().expect("nobody panics while it holds the lock");
        let passed = self.0.1.wait_while(stalled, |is_stalled| *is_stalled);
        drop(passed.expect("nobody panics while it holds the lock"));
    }
}

/// A real disk whose syncs wait at a valve.
struct ValveDisk {
    disk: Box<dyn Disk>,
    valve: Valve,
}

struct ValveFile {
    file: Box<dyn DiskFile>,
    valve: Valve,
}

impl Named for ValveFile {
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.file.is_at(path)
    }
}

impl DiskFile for ValveFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        self.valve.pass();
        self.file.sync_data()
    }

    fn bytes(&self) -> io::Result<u64> {
        self.file.bytes()
    }

    fn cache_by_pages(&self) {
        self.file.cache_by_pages();
    }
}

impl Disk for ValveDisk {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir_all(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn DiskFile>> {
        let file = self.disk.open(path, mode)?;
        Ok(Box::new(ValveFile { file, valve: self.valve.clone() }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn rename_dir(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename_dir(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_dir(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        self.disk.lock(path)
    }

    fn hold_dir(&self, dir: &Path) -> io::Result<Box<dyn Named>> {
        self.disk.hold_dir(dir)
    }

    fn another_handle(&self) -> Box<dyn Disk> {
        let disk = self.disk.another_handle();
        Box::new(ValveDisk { disk, valve: self.valve.clone() })
    }

    fn salt(&self) -> u32 {
        self.disk.salt()
    }
}

/// A server with a valve before its disk.
struct Server {
    valve: Valve,
    _thread: NodeThread,
}

impl Server {
    fn start(config: PathBuf, id: u64, http_port: u16) -> Server {
        let valve = Valve::default();
        let disk = Box::new(ValveDisk { disk: Box::new(RealDisk), valve: valve.clone() });
        let world = World { disk, http_port: Some(http_port), ..World::default() };
        Server { valve, _thread: NodeThread::start(config, id, world) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.valve.set_stalled(false);
    }
}

#[test]
fn a_server_whose_disk_stands_still_is_not_ready_and_at_last_not_live() {
    let settings = format!("{BRISK}[http]\ndisk_stall_ms_max = 3000\n");
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", &settings);
    let ports = HttpPorts::draw(&cluster);
    let server = Server::start(cluster.config(), 1, ports.port(1));
    cluster.start_server(2);
    cluster.start_server(3);
    let is_ready = || (ports.status(1, "/readyz") == 200).then_some(());
    cluster.wait_for("a ready server", is_ready);
    server.valve.set_stalled(true);
    cluster.wait_for("a disk that is silent", || {
        // Something has to be written, or nobody would notice.
        for id in cluster.ids() {
            // Only the leader takes it, and not even that one while its disk stands still.
            let _ = cluster.connect(id).and_then(|mut client| client.ask("set key 0 1\r\nv\r\n"));
        }
        (ports.status(1, "/readyz/disk") == 503).then_some(())
    });
    let said = ports.get(1, "/readyz").unwrap().body;
    assert!(said.contains("[-]disk failed: the disk has finished nothing for"), "{said}");
    assert!(said.contains("[+]main_thread ok"), "{said}");
    cluster
        .wait_for("a server that is not live", || (ports.status(1, "/livez") == 503).then_some(()));
    assert_eq!(ports.status(1, "/livez?exclude=disk"), 200);
    // The numbers can be read meanwhile.
    assert!(ports.series(1, "raft_term").is_some());
    server.valve.set_stalled(false);
    cluster.wait_for("a live server", || (ports.status(1, "/livez") == 200).then_some(()));
    cluster.wait_for("a ready server", is_ready);
}

/// A leader whose disk stands still for a while. The bound is 100 ms; the longest of the election
/// timeouts is 600 ms, and the leader gives up after four of them.
#[test]
fn a_write_that_waits_for_the_disk_is_logged_and_counted_as_slow_by_the_disk() {
    captured_log::begin();
    let mut cluster = Cluster::prepare_like(3, "127.0.0.1", BRISK);
    let ports = HttpPorts::draw(&cluster);
    let server = Server::start(cluster.config(), 1, ports.port(1));
    cluster.start_server(2);
    cluster.start_server(3);
    let slow = "client_slow_requests_total{command=\"set\",cause=\"disk\"}";
    cluster.wait_for("a slow write", || {
        lead(&cluster);
        let mut client = cluster.connect(1).ok()?;
        server.valve.set_stalled(true);
        let sent = Instant::now();
        client.send("set stalled 0 1\r\nv\r\n").ok()?;
        while sent.elapsed() < Duration::from_millis(300) {
            std::thread::yield_now();
        }
        server.valve.set_stalled(false);
        // A busy machine may have had another leader meanwhile.
        client.hear("set").ok()?;
        (ports.series(1, slow)? >= 1.0).then_some(())
    });
    let words = ["took long command=set ", "key=stalled ", "cause=disk ", "node=1"];
    let line = cluster.wait_for("the line", || captured_log::find(&words));
    assert_longest(&line, "disk");
}

/// Server 1 leads.
fn lead(cluster: &Cluster) {
    cluster.wait_for("server 1 as the leader", || {
        if cluster.status(1)?.get("role")? == "leader" {
            return Some(());
        }
        let leader = cluster
            .ids()
            .into_iter()
            .find(|id| cluster.status(*id).is_some_and(|status| status["role"] == "leader"))?;
        let _ = cluster.connect(leader).and_then(|mut it| it.ask("leader transfer to 1\r\n"));
        None
    });
}
