//! The text of servers.toml: its path and the lines of its keys, for errors.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Table;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Place};

/// The file that is being read.
pub(super) struct Source {
    path: PathBuf,
    /// The line of each table and key, by the name that errors give it.
    lines: BTreeMap<String, usize>,
}

impl Source {
    /// Parses the text of the file at `path`.
    pub(super) fn parse(path: &Path, text: &str) -> Result<(Source, Table), ConfigError> {
        let syntax = |error: toml::de::Error| {
            let offset = error.span().map_or(0, |span| span.start);
            let message = error.message().replace('\n', ", ");
            ConfigError::Syntax { path: path.into(), line: line_at(text, offset), message }
        };
        let table = text.parse::<Table>().map_err(syntax)?;
        let spans = DeTable::parse(text).map_err(syntax)?;
        let mut source = Source { path: path.into(), lines: BTreeMap::new() };
        source.add_lines(text, "", spans.get_ref());
        Ok((source, table))
    }

    /// The place of `key` in `table`. A key that is absent is where its table begins.
    pub(super) fn place(&self, table: &str, key: &str) -> Place {
        let name = name(table, key);
        let line = self.lines.get(&name).or_else(|| self.lines.get(table)).copied();
        Place::File { path: self.path.clone(), line, key: name }
    }

    fn add_lines(&mut self, text: &str, table: &str, keys: &DeTable<'_>) {
        for (key, value) in keys {
            let line = line_at(text, key.span().start);
            self.lines.insert(name(table, key.get_ref()), line);
            if !table.is_empty() {
                continue;
            }
            match value.get_ref() {
                DeValue::Table(keys) => {
                    let table = format!("[{}]", key.get_ref());
                    self.lines.insert(table.clone(), line);
                    self.add_lines(text, &table, keys);
                }
                DeValue::Array(values) => {
                    for (offset, value) in values.iter().enumerate() {
                        let table = element_name(key.get_ref(), offset);
                        self.lines.insert(table.clone(), line_at(text, value.span().start));
                        if let DeValue::Table(keys) = value.get_ref() {
                            self.add_lines(text, &table, keys);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// The name of an element of an array of tables, as errors give it.
pub(super) fn element_name(array: &str, offset: usize) -> String {
    format!("[[{array}]] number {}", offset + 1)
}

/// The line of a byte of a text, from 1.
pub(super) fn line_at(text: impl AsRef<[u8]>, offset: usize) -> usize {
    let text = text.as_ref();
    text[..offset.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn name(table: &str, key: &str) -> String {
    format!("{table} {key}").trim_start().to_owned()
}
