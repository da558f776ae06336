//! Complaints, and the test's verdict on them.

use std::fmt;

use super::source::Tree;

/// A breach of a rule at a line of a file. Lines count from one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    path: String,
    line: usize,
    rule: String,
}

impl Complaint {
    pub fn new(path: &str, line: usize, rule: impl Into<String>) -> Complaint {
        Complaint { path: path.to_owned(), line, rule: rule.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.rule)
    }
}

/// Fails with all complaints about the crate's own tree, if there are any.
pub fn assert_none(rule: &str, check: impl Fn(&Tree) -> Vec<Complaint>) {
    let mut complaints = check(Tree::of_the_crate());
    complaints.sort();
    complaints.dedup();
    let text: Vec<String> = complaints.iter().map(Complaint::to_string).collect();
    assert!(text.is_empty(), "{rule}: {} breaches\n{}\n", text.len(), text.join("\n"));
}

/// The complaints about a made-up tree of files with their texts.
pub fn found(check: impl Fn(&Tree) -> Vec<Complaint>, files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let mut complaints = check(&Tree::of(files.collect()));
    complaints.sort();
    complaints.dedup();
    complaints.iter().map(Complaint::to_string).collect()
}
