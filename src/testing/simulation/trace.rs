//! A digest of everything that happened, which must be equal for two runs of one seed. For people
//! who look for a fault the trace is also printed.

use std::cell::Cell;
use std::fmt::Display;

use tokio::time::Instant;

/// Prints what happens, if it is switched on.
#[derive(Clone, Copy, Debug)]
pub struct TracePrinter {
    begin: Instant,
    /// True when lines are printed.
    pub is_on: bool,
}

impl TracePrinter {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Prints a line.
    pub fn print(&self, what: &dyn Display) {
        if self.is_on {
            // The padding of values, dots and zeros, is not printed.
            let text = what.to_string();
            let text = text.replace(&".".repeat(10), "").replace(&r"\0".repeat(10), "");
            println!("{:>8} ms  {text}", self.now_ms());
        }
    }
}

/// The trace of a run.
#[derive(Debug)]
pub struct Trace {
    printer: TracePrinter,
    hash: Cell<u64>,
    events: Cell<u64>,
}

impl Trace {
    /// A trace that begins now. It prints lines as they come when `is_printed`.
    pub fn new(is_printed: bool) -> Trace {
        Trace {
            printer: TracePrinter { begin: Instant::now(), is_on: is_printed },
            hash: Cell::new(0xcbf2_9ce4_8422_2325),
            events: Cell::new(0),
        }
    }

    /// The simulated time since the beginning, in milliseconds.
    pub fn now_ms(&self) -> u64 {
        self.printer.now_ms()
    }

    /// Prints lines without adding them to the digest.
    pub fn printer(&self) -> TracePrinter {
        self.printer
    }

    /// Adds numbers to the digest, with the time.
    pub fn count(&self, numbers: &[u64]) {
        self.events.set(self.events.get() + 1);
        let mut hash = self.hash.get();
        for number in std::iter::once(&self.now_ms()).chain(numbers) {
            // This is FNV-1a over words: every earlier bit affects every later one.
            hash = (hash ^ number).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
        }
        self.hash.set(hash);
    }

    /// Adds a line to the digest, and prints it.
    pub fn say(&self, what: &dyn Display) {
        let text = what.to_string();
        let words: Vec<u64> = text.bytes().map(u64::from).collect();
        self.count(&words);
        self.printer.print(&text);
    }

    /// The digest of everything so far.
    pub fn hash(&self) -> u64 {
        self.hash.get()
    }

    /// The number of additions to the digest.
    pub fn events(&self) -> u64 {
        self.events.get()
    }
}
