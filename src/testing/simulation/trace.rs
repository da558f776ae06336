//! What happened, as a number: two runs of one seed must give the same. And, for
//! those who look for a fault, as text.

use std::cell::Cell;
use std::fmt::Display;

use tokio::time::Instant;

/// Prints what happens, if anybody wants to know.
#[derive(Clone, Copy, Debug)]
pub struct Teller {
    begin: Instant,
    /// Somebody does.
    pub is_told: bool,
}

impl Teller {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Prints a line.
    pub fn tell(&self, what: &dyn Display) {
        if self.is_told {
            // Values are filled up with dots and zeros, which tell a reader nothing.
            let text = what.to_string();
            let text = text.replace(&".".repeat(10), "").replace(&r"\0".repeat(10), "");
            println!("{:>8} ms  {text}", self.now_ms());
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Trace {
    teller: Teller,
    hash: Cell<u64>,
    events: Cell<u64>,
}

impl Trace {
    /// A trace that begins now; it prints as it goes when `is_told`.
    pub fn new(is_told: bool) -> Trace {
        Trace {
            teller: Teller { begin: Instant::now(), is_told },
            hash: Cell::new(0xcbf2_9ce4_8422_2325),
            events: Cell::new(0),
        }
    }

    /// Milliseconds of simulated time.
    pub fn now_ms(&self) -> u64 {
        self.teller.now_ms()
    }

    /// Prints without taking anything in.
    pub fn teller(&self) -> Teller {
        self.teller
    }

    /// Takes numbers in, with the time.
    pub fn count(&self, numbers: &[u64]) {
        self.events.set(self.events.get() + 1);
        let mut hash = self.hash.get();
        for number in std::iter::once(&self.now_ms()).chain(numbers) {
            // FNV-1a over words: every earlier bit matters to every later one.
            hash = (hash ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        self.hash.set(hash);
    }

    /// Takes a sentence in.
    pub fn say(&self, what: &dyn Display) {
        let text = what.to_string();
        let words: Vec<u64> = text.bytes().map(u64::from).collect();
        self.count(&words);
        self.teller.tell(&text);
    }

    /// The number that stands for all that happened.
    pub fn hash(&self) -> u64 {
        self.hash.get()
    }

    /// How much was taken in.
    pub fn events(&self) -> u64 {
        self.events.get()
    }
}
