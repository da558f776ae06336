//! The commands of operators, with their answers.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// A change that a node has said has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// The index of the entry that began it.
    pub(crate) number: u64,
    /// The member that it is about.
    pub(crate) id: u64,
    /// The command.
    pub(crate) command: String,
}

/// The commands of operators.
#[derive(Default)]
pub(crate) struct Operators {
    /// The changes that have begun, in the order of the answers.
    pub(crate) accepted: RefCell<Vec<Accepted>>,
    /// The number of answers of each kind, without their numbers.
    pub(crate) answers: RefCell<BTreeMap<String, u64>>,
    /// The removed machines whose further life is decided.
    pub(crate) dismissed: RefCell<BTreeSet<u64>>,
    /// The ports of the machines as the files say them that are read at a start.
    pub(crate) ports_in_files: RefCell<BTreeMap<u64, u16>>,
    /// The machines that new files list besides those that have joined.
    pub(crate) listed: RefCell<BTreeSet<u64>>,
    /// The number of commands that may take a voter away and are on their way, or may be.
    pub(crate) leaving: Cell<u32>,
    /// True once the members have to come to rest.
    pub(crate) is_over: Cell<bool>,
}

impl Operators {
    /// Counts an answer. Answers that differ only in their numbers are of one kind.
    pub(crate) fn count(&self, word: &str, answer: &str) {
        let kind: String =
            answer.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        let mut kind = format!("{word}: {kind}");
        while kind.contains("##") {
            kind = kind.replace("##", "#");
        }
        *self.answers.borrow_mut().entry(kind).or_default() += 1;
    }
}
