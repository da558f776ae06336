//! This machine: its memory, and the limit on open files.

use std::fs;

use rustix::process::{Resource, getrlimit};

use super::super::facts::Machine;

/// Looks at this machine.
pub fn look() -> Machine {
    // A server raises its soft limit to the hard one.
    let open_files_max = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let memory = memory_bytes(&read("/proc/meminfo"), &read("/sys/fs/cgroup/memory.max"));
    Machine { memory_bytes: memory, open_files_max }
}

/// The memory of the machine, or the part of it that a container has.
fn memory_bytes(meminfo: &str, container: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    // The file says `max` when there is no limit.
    let limit = container.trim().parse().ok();
    kib.map(|kib| 1024 * kib).into_iter().chain(limit).min()
}

#[cfg(test)]
mod tests;
