//! Typed access to one table of a TOML file, key by key. Every key that was asked for is
//! known. A key that is left at the end is unknown: the error names the nearest known key.

use std::ops::RangeInclusive;
use std::path::Path;

use toml::{Table, Value};

use super::error::{ConfigError, Place};

/// Milliseconds that a time may last.
pub(super) const MS: RangeInclusive<u64> = 1..=600_000;
/// The values that a count may have.
pub(super) const COUNT: RangeInclusive<u64> = 1..=1_000_000;
/// The values that a size in bytes may have.
pub(super) const BYTES: RangeInclusive<u64> = 1..=1 << 40;

/// One table that is being read.
pub(super) struct Section<'a> {
    path: &'a Path,
    /// The name as the file writes it; empty for the top level.
    name: String,
    table: Table,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// A table named `name`.
    pub(super) fn new(path: &'a Path, name: impl Into<String>, table: Table) -> Section<'a> {
        Section { path, name: name.into(), table, known: Vec::new() }
    }

    /// The place of `key`, for errors.
    pub(super) fn place(&self, key: &str) -> Place {
        let key = format!("{} {key}", self.name).trim_start().to_owned();
        Place::File { path: self.path.into(), key }
    }

    /// The number at `key`, or `default`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        match self.take(key) {
            None => Ok(default),
            Some(value) => in_range(self.integer(key, value, &range)?, &range, || self.place(key)),
        }
    }

    /// The number at `key`, which must be present.
    pub(super) fn required_number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        match self.take(key) {
            None => {
                let expected = format!("a number from {} to {}", range.start(), range.end());
                Err(ConfigError::Missing { place: self.place(key), expected })
            }
            Some(value) => in_range(self.integer(key, value, &range)?, &range, || self.place(key)),
        }
    }

    /// The pair of numbers at `key`, or `default`.
    pub(super) fn pair(
        &mut self,
        key: &'static str,
        default: [u64; 2],
        range: RangeInclusive<u64>,
    ) -> Result<[u64; 2], ConfigError> {
        let Some(value) = self.take(key) else { return Ok(default) };
        let wrong = |value: &Value| self.wrong_type(key, value, "two numbers: [min, max]");
        let Value::Array(values) = &value else { return Err(wrong(&value)) };
        let [Value::Integer(min), Value::Integer(max)] = values.as_slice() else {
            return Err(wrong(&value));
        };
        Ok([
            in_range(i128::from(*min), &range, || self.place(key))?,
            in_range(i128::from(*max), &range, || self.place(key))?,
        ])
    }

    /// The boolean at `key`, or `default`.
    pub(super) fn flag(&mut self, key: &'static str, default: bool) -> Result<bool, ConfigError> {
        match self.take(key) {
            None => Ok(default),
            Some(Value::Boolean(value)) => Ok(value),
            Some(value) => Err(self.wrong_type(key, &value, "true or false")),
        }
    }

    /// The text at `key`; `None` when it is absent.
    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, ConfigError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(value) => Err(self.wrong_type(key, &value, "text in quotes")),
        }
    }

    /// The table at `key`; empty when it is absent.
    pub(super) fn table(&mut self, key: &'static str) -> Result<Section<'a>, ConfigError> {
        let table = match self.take(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(value) => {
                return Err(self.wrong_type(key, &value, &format!("a table: [{key}]")));
            }
        };
        Ok(Section::new(self.path, format!("[{key}]"), table))
    }

    /// The array of tables at `key`; empty when it is absent.
    pub(super) fn tables(&mut self, key: &'static str) -> Result<Vec<Section<'a>>, ConfigError> {
        let expected = format!("tables: [[{key}]]");
        let values = match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(values)) => values,
            Some(value) => return Err(self.wrong_type(key, &value, &expected)),
        };
        let section = |(offset, value)| match value {
            Value::Table(table) => {
                let name = format!("[[{key}]] number {}", offset + 1);
                Ok(Section::new(self.path, name, table))
            }
            value => Err(self.wrong_type(key, &value, &expected)),
        };
        values.into_iter().enumerate().map(section).collect()
    }

    /// Ends the reading: every key that is left is unknown, and the first of them an error.
    pub(super) fn end(self) -> Result<(), ConfigError> {
        let Some((key, _)) = self.table.iter().next() else { return Ok(()) };
        let nearest = self
            .known
            .iter()
            .map(|known| (strsim::jaro_winkler(known, key), *known))
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
        let advice = match nearest {
            Some((_, known)) => format!("did you mean {known}?"),
            None => format!("the keys are {}", self.known.join(", ")),
        };
        Err(ConfigError::UnknownKey { place: self.place(key), advice })
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    fn integer(
        &self,
        key: &str,
        value: Value,
        range: &RangeInclusive<u64>,
    ) -> Result<i128, ConfigError> {
        let Value::Integer(number) = value else {
            let expected = format!("a number from {} to {}", range.start(), range.end());
            return Err(self.wrong_type(key, &value, &expected));
        };
        Ok(i128::from(number))
    }

    fn wrong_type(&self, key: &str, value: &Value, expected: &str) -> ConfigError {
        ConfigError::WrongType {
            place: self.place(key),
            found: short(value),
            expected: expected.into(),
        }
    }
}

/// The least likeness, from 0 to 1, at which an error suggests a known key.
const LIKENESS_MIN: f64 = 0.75;

/// Maximum length in characters at which an error repeats a value.
const SHOWN_CHARS_MAX: usize = 40;

/// Returns `number` if it is in `range`, and an error otherwise.
pub(super) fn in_range(
    number: i128,
    range: &RangeInclusive<u64>,
    place: impl Fn() -> Place,
) -> Result<u64, ConfigError> {
    u64::try_from(number).ok().filter(|number| range.contains(number)).ok_or_else(|| {
        ConfigError::OutOfRange {
            place: place(),
            value: number,
            min: *range.start(),
            max: *range.end(),
        }
    })
}

/// A value as an error repeats it, in one line.
fn short(value: &Value) -> String {
    let text = match value {
        Value::Table(_) => "a table".to_owned(),
        value => value.to_string().replace('\n', " "),
    };
    if text.chars().count() <= SHOWN_CHARS_MAX {
        return text;
    }
    text.chars().take(SHOWN_CHARS_MAX).chain("...".chars()).collect()
}
