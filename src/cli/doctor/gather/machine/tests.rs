//! The memory of a machine and of a container.

use super::*;

#[test]
fn a_container_has_a_part_of_the_memory() {
    let meminfo = "MemTotal:       2048 kB\nMemFree:        1000 kB\n";
    assert_eq!(memory_bytes(meminfo, "max\n"), Some(2048 * 1024));
    assert_eq!(memory_bytes(meminfo, "1000\n"), Some(1000));
    assert_eq!(memory_bytes(meminfo, "99999999\n"), Some(2048 * 1024));
    assert_eq!(memory_bytes("", ""), None);
}
