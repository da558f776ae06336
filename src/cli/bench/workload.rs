//! The commands that the load generator sends.

use std::cell::Cell;
use std::fmt;

use bytes::Bytes;
use clap::ValueEnum;
use coracle::kv::{Operation, Query};
use coracle::protocol::Request;
use rand::RngExt;
use rand::distr::Distribution as _;
use rand::rngs::StdRng;
use rand_distr::Zipf;

/// The kind of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A `get`.
    Read,
    /// A `set`.
    Write,
}

/// The frequency with which keys are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Distribution {
    /// All keys alike
    Uniform,
    /// The n-th key n^0.99 times as seldom as the first, as YCSB does it
    Zipf,
    /// One after the other, over all connections, and then again from the first
    Sequential,
}

/// The exponent that YCSB uses: of 10,000 keys the first is chosen for a tenth of the
/// commands.
const ZIPF_EXPONENT: f64 = 0.99;

/// A [`Distribution`] with its state.
enum Keys {
    Uniform,
    Zipf(Zipf<f64>),
    /// The next key.
    Sequential(Cell<u64>),
}

/// Commands at random over a range of keys.
#[derive(Debug)]
pub struct Workload {
    keys: u64,
    choice: Keys,
    read_percent: u32,
    read: Template,
    write: Template,
}

/// A command that was printed once, and into which any key fits.
#[derive(Debug)]
struct Template {
    before_key: Vec<u8>,
    after_key: Vec<u8>,
}

impl Workload {
    /// A workload of which `read_percent` of the commands are reads, while the others write
    /// `value_bytes` bytes. The keys are 0 to `keys` - 1; there is at least one.
    pub fn new(
        keys: u64,
        distribution: Distribution,
        value_bytes: usize,
        read_percent: u32,
    ) -> Workload {
        let key = Bytes::copy_from_slice(&key_bytes(0));
        let value = value(value_bytes).collect();
        let operation = Operation::Set { key: key.clone(), exptime: 0, value, lease: 0 };
        let write = Template::new(Request::Write { operation, once: None, noreply: false });
        let read = Template::new(Request::Read(Query::Get { key, at: 0 }));
        let choice = match distribution {
            Distribution::Uniform => Keys::Uniform,
            Distribution::Zipf => Keys::Zipf(
                Zipf::new(keys as f64, ZIPF_EXPONENT).expect("there is a key, and an exponent"),
            ),
            Distribution::Sequential => Keys::Sequential(Cell::new(0)),
        };
        Workload { keys, choice, read_percent, read, write }
    }

    /// The number of keys.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// True when some of the commands are reads.
    pub fn has_reads(&self) -> bool {
        self.read_percent > 0
    }

    /// Draws the next command: its kind and its key.
    pub fn draw(&self, rng: &mut StdRng) -> (Kind, u64) {
        let key = match &self.choice {
            Keys::Uniform => rng.random_range(0..self.keys),
            // The sample is 1 to the number of keys.
            Keys::Zipf(zipf) => zipf.sample(rng) as u64 - 1,
            Keys::Sequential(next) => next.replace((next.get() + 1) % self.keys),
        };
        // Drawn even when it is decided, so that the keys are the same at any percentage.
        let is_read = rng.random_range(0..100) < self.read_percent;
        (if is_read { Kind::Read } else { Kind::Write }, key)
    }

    /// Draws the next command, appends it to `output`, and returns its kind.
    pub fn put_any(&self, rng: &mut StdRng, output: &mut Vec<u8>) -> Kind {
        let (kind, key) = self.draw(rng);
        match kind {
            Kind::Read => self.put_read(key, output),
            Kind::Write => self.put_write(key, output),
        }
        kind
    }

    /// Appends a `get` to `output`.
    pub fn put_read(&self, key: u64, output: &mut Vec<u8>) {
        self.read.put(key, output);
    }

    /// Appends a `set` to `output`.
    pub fn put_write(&self, key: u64, output: &mut Vec<u8>) {
        self.write.put(key, output);
    }
}

impl Template {
    /// A template of a command whose key is number 0.
    fn new(request: Request) -> Template {
        let key = key_bytes(0);
        let mut before_key = Vec::new();
        request.print(&mut before_key);
        let place = before_key.windows(key.len()).position(|bytes| bytes == key);
        let place = place.expect("the key is printed as it is");
        let after_key = before_key.split_off(place).split_off(key.len());
        Template { before_key, after_key }
    }

    fn put(&self, key: u64, output: &mut Vec<u8>) {
        output.extend_from_slice(&self.before_key);
        output.extend_from_slice(&key_bytes(key));
        output.extend_from_slice(&self.after_key);
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

/// The value of every write: printable, and no two neighbours alike.
pub fn value(bytes: usize) -> impl Iterator<Item = u8> {
    (b'a'..=b'z').cycle().take(bytes)
}

/// The key of this number: `k` and seven digits, because there are at most ten million
/// keys.
pub fn key_bytes(mut key: u64) -> [u8; 8] {
    let mut bytes = [b'k'; 8];
    for digit in bytes[1..].iter_mut().rev() {
        *digit = b'0' + (key % 10) as u8;
        key /= 10;
    }
    bytes
}

#[cfg(test)]
mod tests;
