//! A line of the log: a message in words, and its facts by key.
//!
//! The message is the same for all lines of a kind, or a sentence. A program takes the facts from
//! their keys and need not read the message.

use std::borrow::Cow;
use std::fmt::{self, Write};

use super::{Format, LogIndex, NodeId, Term};

/// The key of a sentence that says more. As text it stands at the end, after a colon.
pub const DETAIL: &str = "detail";

/// A message and its facts. Its text is the line as people read it: `granted vote candidate=3
/// term=2`. A fact that the message has in it as `key=value` is not repeated.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// The message.
    pub message: Cow<'static, str>,
    /// The facts with their keys, in the order in which they are printed.
    pub facts: Vec<(Cow<'static, str>, Fact)>,
}

/// The value of a fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// True or false.
    Flag(bool),
    /// A number that is not negative.
    Number(u64),
    /// A number that may be negative.
    Signed(i64),
    /// A number with a fraction. As text it has three digits after the point.
    Fraction(f64),
    /// Anything else.
    Text(String),
}

impl LogLine {
    /// A line without facts.
    pub fn new(message: impl Into<Cow<'static, str>>) -> LogLine {
        LogLine { message: message.into(), facts: Vec::new() }
    }

    /// Adds a fact after the others.
    #[must_use]
    pub fn with(mut self, key: &'static str, fact: impl Into<Fact>) -> LogLine {
        self.facts.push((key.into(), fact.into()));
        self
    }

    /// True if the message has `key=value` in it, between spaces or punctuation.
    fn tells(&self, fact: &str) -> bool {
        let is_apart = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        self.message.match_indices(fact).any(|(at, _)| {
            let (before, after) = (&self.message[..at], &self.message[at + fact.len()..]);
            (before.is_empty() || before.ends_with(' ')) && is_apart(after)
        })
    }
}

impl fmt::Display for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, &self.message, &[])?;
        let mut detail = None;
        for (key, fact) in &self.facts {
            if key == DETAIL {
                detail = Some(fact);
                continue;
            }
            let told = format!("{key}={fact}");
            if !self.tells(&told) {
                write!(f, " {told}")?;
            }
        }
        match detail {
            None => Ok(()),
            Some(Fact::Text(detail)) => {
                f.write_str(": ")?;
                escape(f, detail, &[])
            }
            Some(detail) => write!(f, ": {detail}"),
        }
    }
}

/// The value behind `key=`: in quotes if its end would not be seen otherwise.
impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Flag(flag) => flag.fmt(f),
            Fact::Number(number) => number.fmt(f),
            Fact::Signed(number) => number.fmt(f),
            Fact::Fraction(number) => write!(f, "{number:.3}"),
            Fact::Text(text) => {
                let is_hard = |c: char| c.is_whitespace() || c.is_control() || "\"\\".contains(c);
                if !text.is_empty() && !text.contains(is_hard) {
                    return f.write_str(text);
                }
                f.write_char('"')?;
                escape(f, text, &['"', '\\'])?;
                f.write_char('"')
            }
        }
    }
}

/// Writes a text in one line: control characters, and `others`, are escaped as in a literal of
/// Rust. Some of the text comes from other machines, and must not look like lines of its own.
fn escape(f: &mut fmt::Formatter<'_>, text: &str, others: &[char]) -> fmt::Result {
    for c in text.chars() {
        if c.is_control() || others.contains(&c) {
            write!(f, "{}", c.escape_default())?;
        } else {
            f.write_char(c)?;
        }
    }
    Ok(())
}

impl From<bool> for Fact {
    fn from(flag: bool) -> Fact {
        Fact::Flag(flag)
    }
}

impl From<u64> for Fact {
    fn from(number: u64) -> Fact {
        Fact::Number(number)
    }
}

impl From<u32> for Fact {
    fn from(number: u32) -> Fact {
        Fact::Number(number.into())
    }
}

impl From<NodeId> for Fact {
    fn from(id: NodeId) -> Fact {
        Fact::Number(id.0)
    }
}

impl From<Term> for Fact {
    fn from(term: Term) -> Fact {
        Fact::Number(term.0)
    }
}

impl From<LogIndex> for Fact {
    fn from(index: LogIndex) -> Fact {
        Fact::Number(index.0)
    }
}

impl From<Format> for Fact {
    fn from(format: Format) -> Fact {
        Fact::Number(format.0.into())
    }
}

impl From<&str> for Fact {
    fn from(text: &str) -> Fact {
        Fact::Text(text.to_owned())
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Fact {
        Fact::Text(text)
    }
}

#[cfg(test)]
mod tests;
