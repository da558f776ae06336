//! Typed access to one table of a TOML file, key by key. A key that the table does not have is
//! reported before anything else: a key that is missing may be one that is misspelt.

use std::ops::RangeInclusive;

use toml::{Table, Value};

use super::error::{ConfigError, Place};
use super::keys;
use super::source::{Source, element_name};

/// Milliseconds that a time may last.
pub(super) const MS: RangeInclusive<u64> = 1..=600_000;
/// The values that a count may have.
pub(super) const COUNT: RangeInclusive<u64> = 1..=1_000_000;
/// The values that a size in bytes may have.
pub(super) const BYTES: RangeInclusive<u64> = 1..=1 << 40;

/// One table that is being read.
pub(super) struct Section<'a> {
    source: &'a Source,
    /// The name as the file writes it; empty for the top level.
    name: String,
    table: Table,
}

impl<'a> Section<'a> {
    /// A table named `name`.
    ///
    /// # Errors
    /// When the table has a key that is unknown.
    pub(super) fn new(
        source: &'a Source,
        name: impl Into<String>,
        table: Table,
    ) -> Result<Section<'a>, ConfigError> {
        let section = Section { source, name: name.into(), table };
        let known = keys::keys_of(&section.name);
        match section.table.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(section),
            Some(key) => {
                let advice = keys::advice(&section.name, key);
                Err(ConfigError::UnknownKey { place: section.place(key), advice })
            }
        }
    }

    /// The place of `key`, for errors.
    pub(super) fn place(&self, key: &str) -> Place {
        self.source.place(&self.name, key)
    }

    /// The number at `key`, or `default`.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> Result<u64, ConfigError> {
        Ok(self.optional_number(key, range)?.unwrap_or(default))
    }

    /// The number at `key`; `None` when it is absent.
    pub(super) fn optional_number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, ConfigError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        in_range(self.integer(key, value, &range)?, &range, || self.place(key)).map(Some)
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
        Section::new(self.source, format!("[{key}]"), table)
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
            Value::Table(table) => Section::new(self.source, element_name(key, offset), table),
            value => Err(self.wrong_type(key, &value, &expected)),
        };
        values.into_iter().enumerate().map(section).collect()
    }

    /// Ends the reading.
    ///
    /// # Panics
    /// In a debug build when a key of the table was not asked for.
    pub(super) fn end(self) {
        debug_assert!(self.table.is_empty(), "{} has {:?} left", self.name, self.table);
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        debug_assert!(keys::keys_of(&self.name).contains(&key), "{} has no {key}", self.name);
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
