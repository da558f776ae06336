//! Real servers whose memory changes without a write (docs/adr/0025): a test flips one bit of a
//! value in the memory of a running server, as a fault of the memory does.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::time::Instant;

use common::Cluster;
use common::clients::{Writer, block_on, connect, scan_all};

/// Five servers that write format 2.
fn five_servers() -> Cluster {
    let mut cluster = Cluster::prepare_with("[upgrade]\nraise_after_s = 0\n");
    cluster.ids().into_iter().for_each(|id| cluster.start_server(id));
    cluster.wait_for_leader();
    for id in cluster.ids() {
        cluster.wait_for("format 2 to be in force", || (cluster.format(id) >= 2).then_some(()));
    }
    cluster
}

/// A value of 64 bytes that is nowhere else in any memory.
fn rare_value() -> Vec<u8> {
    let started = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = started.as_nanos() as u64 ^ u64::from(std::process::id());
    let byte = |place: u64| (seed ^ place).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[0];
    (0..64).map(byte).collect()
}

/// Flips one bit of `value` in each place of the process's writable memory where it is. Returns
/// the number of places, and the time of the first change.
fn flip_bit_in_memory(pid: u32, value: &[u8]) -> (usize, Instant) {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("our child has maps");
    let memory = File::options().read(true).write(true).open(format!("/proc/{pid}/mem"));
    let memory = memory.expect("this test needs a kernel that lets it write to its child's memory");
    let (mut flipped, mut began) = (0, None);
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|address| u64::from_str_radix(address, 16).unwrap());
        let mut bytes = vec![0; (to - from) as usize];
        // Some maps of the kernel's own cannot be read, and the process may give one back.
        if memory.read_exact_at(&mut bytes, from).is_err() {
            continue;
        }
        for place in 0..bytes.len().saturating_sub(value.len()) {
            if bytes[place..].starts_with(value) {
                let address = from + place as u64 + 30;
                let changed = [value[30] ^ 4];
                memory.write_all_at(&changed, address).expect("a writable map can be written to");
                began.get_or_insert_with(Instant::now);
                flipped += 1;
            }
        }
    }
    (flipped, began.expect("the value is in the memory"))
}

#[test]
fn a_follower_whose_memory_changes_stops_and_comes_back_whole() {
    a_changed_memory_stops_its_server(false);
}

#[test]
fn a_leader_whose_memory_changes_stops_and_comes_back_whole() {
    a_changed_memory_stops_its_server(true);
}

fn a_changed_memory_stops_its_server(is_leader: bool) {
    let mut cluster = five_servers();
    let value = rare_value();
    block_on(async {
        let mut client = connect(&cluster).await;
        client.set("rare", 0, &value).await.unwrap();
        // The buffers that the value went through have other bytes in them after these.
        for number in 0..300 {
            client.set(format!("other{number}"), 0, &[7; 200]).await.unwrap();
        }
    });
    cluster.wait_for_quiet();
    let writer = Writer::start(cluster.addresses());
    writer.wait_for_more(&cluster, 50);
    let leader = cluster.wait_for_leader();
    let victim = if is_leader { leader } else { leader % 5 + 1 };

    let (flipped, began) = flip_bit_in_memory(cluster.pid(victim), &value);
    let status = cluster.wait_for_end(victim);
    println!("server {victim} ended {:?} after {flipped} bits were flipped", began.elapsed());
    let said = cluster.log(victim);
    assert_eq!(status.code(), Some(1), "{said}");
    let sentence = said.lines().last().unwrap();
    let expected = "holds other bytes than were written there: the record of key \"rare\"";
    assert!(sentence.contains(expected) && sentence.contains("found at entry "), "{sentence}");

    // The others go on, and all of them.
    writer.wait_for_more(&cluster, 50);
    let next = cluster.wait_for_leader();
    assert_eq!(next == leader, !is_leader);
    for id in cluster.ids().into_iter().filter(|id| *id != victim) {
        assert!(cluster.status(id).is_some(), "server {id} goes on");
    }

    cluster.start_server(victim);
    cluster.wait_for("the server to be counted again", || {
        cluster.status(victim).filter(|status| status["role"] == "follower")
    });
    writer.wait_for_more(&cluster, 50);
    let acknowledged = writer.stop();
    let statuses = cluster.wait_for_quiet();
    assert_eq!(statuses.len(), 5);
    for status in &statuses {
        assert_eq!(status["store_digest"], statuses[0]["store_digest"], "{statuses:#?}");
    }
    let found = scan_all(&cluster);
    let rare = found.iter().find(|item| item.key == b"rare").expect("it was acknowledged");
    assert_eq!(rare.value, value);
    for (key, version) in &acknowledged {
        let item = found.iter().find(|item| item.key == key.as_bytes());
        let item = item.unwrap_or_else(|| panic!("{key}, acknowledged at {version}, is gone"));
        assert_eq!(item.version, *version);
    }
}
