//! JSON as commands print it.

use std::fmt::{self, Display};

use clap::Args;

use super::failure::Failure;
use super::output::print;
use super::text::is_harmless;

/// The option of commands that print for programs, too.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct AsJson {
    /// Print JSON for programs, as docs/command-line-json.md says
    #[arg(long)]
    pub json: bool,
}

impl AsJson {
    /// True when JSON is wanted.
    pub fn is_wanted(self) -> bool {
        self.json
    }

    /// Prints the object, or else the text.
    pub fn print(
        self,
        object: impl FnOnce() -> Object,
        text: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        print(if self.json { object().line() } else { text() }.as_bytes())
    }
}

/// A string of JSON.
pub fn json_text(text: &str) -> String {
    let mut json = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => json.extend(['\\', character]),
            other if is_harmless(other) => json.push(other),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    json += &format!("\\u{unit:04x}");
                }
            }
        }
    }
    json.push('"');
    json
}

/// Bytes as JSON: a string when they are text, and otherwise an object with their digits.
pub fn json_bytes(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => json_text(text),
        Err(_) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Object::new().text("hex", &digits).to_string()
        }
    }
}

/// An object of JSON, in the order in which its values are added.
#[derive(Clone, Debug, Default)]
pub struct Object {
    members: Vec<String>,
}

impl Object {
    pub fn new() -> Object {
        Object::default()
    }

    /// Adds a value that is JSON as it prints: a number, a word, an object or a list.
    pub fn raw(mut self, name: &str, value: impl Display) -> Object {
        self.members.push(format!("{}:{value}", json_text(name)));
        self
    }

    /// Adds all values of another object.
    pub fn with(mut self, other: Object) -> Object {
        self.members.extend(other.members);
        self
    }

    /// Adds a text.
    pub fn text(self, name: &str, text: &str) -> Object {
        self.raw(name, json_text(text))
    }

    /// Adds a value that is JSON as it prints, or `null`.
    pub fn optional(self, name: &str, value: Option<impl Display>) -> Object {
        match value {
            Some(value) => self.raw(name, value),
            None => self.raw(name, "null"),
        }
    }

    /// Adds a text, or `null`.
    pub fn optional_text(self, name: &str, text: Option<&str>) -> Object {
        self.optional(name, text.map(json_text))
    }

    /// The object on a line of its own.
    pub fn line(&self) -> String {
        format!("{self}\n")
    }
}

impl Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.members.join(","))
    }
}

/// A list of JSON.
pub fn json_list(values: impl Iterator<Item = impl Display>) -> String {
    let values: Vec<String> = values.map(|value| value.to_string()).collect();
    format!("[{}]", values.join(","))
}

#[cfg(test)]
mod tests;
