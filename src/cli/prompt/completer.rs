//! Completion, and the lines that go on: what the editor of the line has to ask about.

use clap::Command;
use rustyline::completion::{Completer, Pair};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Result};

use super::keys::Keys;
use super::place::{Wanted, wanted};
use crate::cli::words::{LastWord, WordsError, commands, typed};

/// The words that end the prompt. They are no commands of the command line.
pub const ENDS: [&str; 2] = ["exit", "quit"];

/// Everything that the editor of the line asks for.
pub struct LineHelper {
    program: Command,
    keys: Keys,
}

impl LineHelper {
    /// Completes the commands of this program, and these keys.
    pub fn new(mut program: Command, keys: Keys) -> LineHelper {
        // Without this it does not know its own `help`.
        program.build();
        LineHelper { program, keys }
    }

    /// The words that may stand at the end of a text, and the place of those that they replace.
    fn candidates(&self, text: &str) -> Option<(usize, Vec<Pair>)> {
        let LastWord { before, start, word } = LastWord::of(text.as_bytes())?;
        let before: Vec<String> =
            before.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let before = before.strip_prefix(&["coracle".to_owned()]).unwrap_or(&before);
        let pairs = match wanted(&self.program, before, word.starts_with(b"-")) {
            Wanted::Anything => Vec::new(),
            Wanted::Key => {
                self.keys.beginning_with(&word).iter().map(|key| key_pair(key)).collect()
            }
            Wanted::Words(mut words) => {
                if before.is_empty() {
                    words.extend(ENDS.map(str::to_owned));
                }
                words.sort();
                words.retain(|candidate| candidate.as_bytes().starts_with(&word));
                words.into_iter().map(word_pair).collect()
            }
        };
        Some((start, pairs))
    }
}

/// A word that is whole.
fn word_pair(word: String) -> Pair {
    Pair { replacement: format!("{word} "), display: word }
}

/// A key, or the beginning of keys behind a slash, which goes on.
fn key_pair(key: &[u8]) -> Pair {
    let typed = typed(key);
    let replacement = match key.ends_with(b"/") {
        true => typed.strip_suffix('"').unwrap_or(&typed).to_owned(),
        false => format!("{typed} "),
    };
    Pair { display: typed, replacement }
}

impl Completer for LineHelper {
    type Candidate = Pair;

    fn complete(&self, line: &str, place: usize, _: &Context<'_>) -> Result<(usize, Vec<Pair>)> {
        Ok(self.candidates(&line[..place]).unwrap_or((place, Vec::new())))
    }
}

impl Validator for LineHelper {
    /// A line whose quote is open goes on.
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        Ok(match commands(context.input().as_bytes()) {
            Err(WordsError::Open { .. }) => ValidationResult::Incomplete,
            _ => ValidationResult::Valid(None),
        })
    }
}

impl Highlighter for LineHelper {}

impl Hinter for LineHelper {
    type Hint = String;
}

impl Helper for LineHelper {}
