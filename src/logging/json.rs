//! A line of the log as one object of JSON.

use log::{Level, Record};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::line_of;
use crate::types::{Fact, LogLine, NodeId};

/// The keys that every line has, in their order. A fact cannot take the place of one.
const OWN_KEYS: [&str; 4] = ["time", "level", "node", "message"];

/// A record as an object of JSON, without a line end: `time`, `level`, `node`, `message`, and
/// each fact under its key with its own type. `time` is printed as it is.
pub fn json(time: &str, node: NodeId, record: &Record<'_>) -> String {
    let object = Object { time, node, level: record.level(), line: line_of(record) };
    serde_json::to_string(&object).expect("keys are text, and nothing here fails")
}

struct Object<'a> {
    time: &'a str,
    node: NodeId,
    level: Level,
    line: LogLine,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let [time, level, node, message] = OWN_KEYS;
        map.serialize_entry(time, self.time)?;
        map.serialize_entry(level, &self.level.as_str().to_ascii_lowercase())?;
        map.serialize_entry(node, &self.node.0)?;
        map.serialize_entry(message, &self.line.message)?;
        for (key, fact) in &self.line.facts {
            if OWN_KEYS.contains(&key.as_ref()) {
                continue;
            }
            match fact {
                Fact::Flag(flag) => map.serialize_entry(key, flag),
                Fact::Number(number) => map.serialize_entry(key, number),
                Fact::Signed(number) => map.serialize_entry(key, number),
                Fact::Fraction(number) => map.serialize_entry(key, number),
                Fact::Text(text) => map.serialize_entry(key, text),
            }?;
        }
        map.end()
    }
}
