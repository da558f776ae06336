//! What the load generator sends.

use std::cell::Cell;
use std::fmt;

use clap::ValueEnum;
use rand::RngExt;
use rand::distr::Distribution as _;
use rand::rngs::StdRng;
use rand_distr::Zipf;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A `get`.
    Read,
    /// A `set`.
    Write,
}

/// Which keys are chosen how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Distribution {
    /// All keys alike
    Uniform,
    /// The n-th key n^0.99 times as seldom as the first, as YCSB does it
    Zipf,
    /// One after the other, over all connections, and then again from the first
    Sequential,
}

/// YCSB's choice: of 10,000 keys the first takes a tenth.
const ZIPF_EXPONENT: f64 = 0.99;

/// How keys are chosen, with what that needs to know.
enum Keys {
    Uniform,
    Zipf(Zipf<f64>),
    /// The next one.
    Sequential(Cell<u64>),
}

/// Commands at random over a range of keys.
#[derive(Debug)]
pub struct Workload {
    keys: u64,
    choice: Keys,
    read_percent: u32,
    /// Behind the key of every `set`: the rest of its line, and its data block.
    write_end: Vec<u8>,
}

impl Workload {
    /// `read_percent` of the commands are reads, the others write `value_bytes`
    /// bytes; keys are those below `keys`, of which there is one at least.
    pub fn new(
        keys: u64,
        distribution: Distribution,
        value_bytes: usize,
        read_percent: u32,
    ) -> Workload {
        let mut write_end = format!(" 0 {value_bytes}\r\n").into_bytes();
        write_end.extend(value(value_bytes));
        write_end.extend(b"\r\n");
        let choice = match distribution {
            Distribution::Uniform => Keys::Uniform,
            Distribution::Zipf => Keys::Zipf(
                Zipf::new(keys as f64, ZIPF_EXPONENT).expect("there is a key, and an exponent"),
            ),
            Distribution::Sequential => Keys::Sequential(Cell::new(0)),
        };
        Workload { keys, choice, read_percent, write_end }
    }

    pub fn keys(&self) -> u64 {
        self.keys
    }

    pub fn has_reads(&self) -> bool {
        self.read_percent > 0
    }

    /// Which command is the next.
    pub fn draw(&self, rng: &mut StdRng) -> (Kind, u64) {
        let key = match &self.choice {
            Keys::Uniform => rng.random_range(0..self.keys),
            // Of 1 to the number of keys.
            Keys::Zipf(zipf) => zipf.sample(rng) as u64 - 1,
            Keys::Sequential(next) => next.replace((next.get() + 1) % self.keys),
        };
        // Asked even when it is decided: the keys are the same at any percentage.
        let is_read = rng.random_range(0..100) < self.read_percent;
        (if is_read { Kind::Read } else { Kind::Write }, key)
    }

    /// Appends a command to `output`.
    pub fn put_any(&self, rng: &mut StdRng, output: &mut Vec<u8>) -> Kind {
        let (kind, key) = self.draw(rng);
        match kind {
            Kind::Read => put_read(key, output),
            Kind::Write => self.put_write(key, output),
        }
        kind
    }

    pub fn put_write(&self, key: u64, output: &mut Vec<u8>) {
        output.extend(b"set ");
        output.extend(key_bytes(key));
        output.extend(&self.write_end);
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Keys::Uniform => "Uniform",
            Keys::Zipf(_) => "Zipf",
            Keys::Sequential(_) => "Sequential",
        })
    }
}

/// What is written: printable, and no two neighbours alike.
pub fn value(bytes: usize) -> impl Iterator<Item = u8> {
    (b'a'..=b'z').cycle().take(bytes)
}

pub fn put_read(key: u64, output: &mut Vec<u8>) {
    output.extend(b"get ");
    output.extend(key_bytes(key));
    output.extend(b"\r\n");
}

/// `k` and seven digits: there are no more than ten million keys.
pub fn key_bytes(mut key: u64) -> [u8; 8] {
    let mut bytes = [b'k'; 8];
    for digit in bytes[1..].iter_mut().rev() {
        *digit = b'0' + (key % 10) as u8;
        key /= 10;
    }
    bytes
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

    fn uniform(keys: u64, value_bytes: usize, read_percent: u32) -> Workload {
        Workload::new(keys, Distribution::Uniform, value_bytes, read_percent)
    }

    #[test]
    fn a_write_is_a_set_with_its_data_block() {
        let mut output = Vec::new();
        uniform(10, 30, 0).put_write(7, &mut output);
        assert_eq!(output, b"set k0000007 0 30\r\nabcdefghijklmnopqrstuvwxyzabcd\r\n");
    }

    #[test]
    fn every_key_has_eight_bytes() {
        for (key, bytes) in [(0, b"k0000000"), (1_234_567, b"k1234567"), (9_999_999, b"k9999999")] {
            assert_eq!(&key_bytes(key), bytes);
        }
    }

    #[test]
    fn reads_and_writes_come_in_the_given_proportion() {
        assert_eq!(drawn(&uniform(10, 1, 0), 100).0, 0);
        assert_eq!(drawn(&uniform(10, 1, 100), 100).0, 100);
        let reads = drawn(&uniform(10, 1, 90), 10_000).0;
        assert!((8_800..9_200).contains(&reads), "{reads} of 10,000 at 90 percent");
    }

    #[test]
    fn every_key_is_drawn_and_none_beyond() {
        for distribution in Distribution::value_variants() {
            for keys in [1, 3] {
                let text = drawn(&Workload::new(keys, *distribution, 1, 100), 200).1;
                let mut lines: Vec<&str> = text.lines().collect();
                lines.sort_unstable();
                lines.dedup();
                let all = ["get k0000000", "get k0000001", "get k0000002"];
                assert_eq!(lines, all[..keys as usize], "{distribution:?}");
            }
        }
    }

    #[test]
    fn keys_in_sequence_go_on_over_connections_and_begin_again() {
        let workload = Workload::new(5, Distribution::Sequential, 1, 50);
        let mut clients = [StdRng::seed_from_u64(1), StdRng::seed_from_u64(2)];
        let keys: Vec<u64> = (0..7).map(|turn| workload.draw(&mut clients[turn % 2]).1).collect();
        assert_eq!(keys, [0, 1, 2, 3, 4, 0, 1]);
    }

    #[test]
    fn zipf_prefers_the_first_keys_as_it_should() {
        let workload = Workload::new(10_000, Distribution::Zipf, 1, 0);
        let mut rng = StdRng::seed_from_u64(1);
        let mut counts = [0_u32; 10_000];
        for _ in 0..100_000 {
            counts[workload.draw(&mut rng).1 as usize] += 1;
        }
        // One over the sum of n^-0.99: 0.0981; and the tenth key 10^0.99 times as seldom.
        assert!((9_300..10_300).contains(&counts[0]), "the first: {}", counts[0]);
        assert!((850..1_150).contains(&counts[9]), "the tenth: {}", counts[9]);
    }
}
