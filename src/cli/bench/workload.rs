//! What the load generator sends.

use std::io::Write;

use rand::RngExt;
use rand::rngs::StdRng;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A `get`.
    Read,
    /// A `set`.
    Write,
}

/// Commands at random over a range of keys.
#[derive(Debug)]
pub struct Workload {
    keys: u64,
    read_percent: u32,
    /// Behind the key of every `set`: the rest of its line, and its data block.
    write_end: Vec<u8>,
}

impl Workload {
    /// `read_percent` of the commands are reads, the others write `value_bytes`
    /// bytes; keys are those below `keys`, all alike.
    pub fn new(keys: u64, value_bytes: usize, read_percent: u32) -> Workload {
        let mut write_end = format!(" 0 {value_bytes}\r\n").into_bytes();
        // Printable, and no two neighbours alike.
        write_end.extend((b'a'..=b'z').cycle().take(value_bytes));
        write_end.extend(b"\r\n");
        Workload { keys, read_percent, write_end }
    }

    pub fn keys(&self) -> u64 {
        self.keys
    }

    pub fn has_reads(&self) -> bool {
        self.read_percent > 0
    }

    /// Appends a command to `output`.
    pub fn put_any(&self, rng: &mut StdRng, output: &mut Vec<u8>) -> Kind {
        let key = rng.random_range(0..self.keys);
        // Asked even when it is decided: the keys are the same at any percentage.
        if rng.random_range(0..100) < self.read_percent {
            put_read(key, output);
            Kind::Read
        } else {
            self.put_write(key, output);
            Kind::Write
        }
    }

    pub fn put_write(&self, key: u64, output: &mut Vec<u8>) {
        output.extend(b"set ");
        put_key(key, output);
        output.extend(&self.write_end);
    }
}

pub fn put_read(key: u64, output: &mut Vec<u8>) {
    output.extend(b"get ");
    put_key(key, output);
    output.extend(b"\r\n");
}

/// Eight bytes, as long as there are no more than ten million keys.
fn put_key(key: u64, output: &mut Vec<u8>) {
    write!(output, "k{key:07}").expect("memory takes every write");
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn drawn(workload: &Workload, count: usize) -> (usize, String) {
        let mut rng = StdRng::seed_from_u64(1);
        let mut output = Vec::new();
        let reads =
            (0..count).filter(|_| workload.put_any(&mut rng, &mut output) == Kind::Read).count();
        (reads, String::from_utf8(output).unwrap())
    }

    #[test]
    fn a_write_is_a_set_with_its_data_block() {
        let mut output = Vec::new();
        Workload::new(10, 30, 0).put_write(7, &mut output);
        assert_eq!(output, b"set k0000007 0 30\r\nabcdefghijklmnopqrstuvwxyzabcd\r\n");
    }

    #[test]
    fn reads_and_writes_come_in_the_given_proportion() {
        assert_eq!(drawn(&Workload::new(10, 1, 0), 100).0, 0);
        assert_eq!(drawn(&Workload::new(10, 1, 100), 100).0, 100);
        let reads = drawn(&Workload::new(10, 1, 90), 10_000).0;
        assert!((8_800..9_200).contains(&reads), "{reads} of 10,000 at 90 percent");
    }

    #[test]
    fn every_key_is_drawn_and_none_beyond() {
        let text = drawn(&Workload::new(3, 1, 100), 100).1;
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines, ["get k0000000", "get k0000001", "get k0000002"]);
    }
}
