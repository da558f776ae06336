//! Changes of keys as commands print them: for people, and for programs.

use clap::Args;
use coracle::client::{Change, ChangeKind, Changes};

use super::json::{AsJson, Object, json_bytes};
use super::paint::{KEY, Paint};
use super::text::quoted;

/// The option that says how changes are printed.
#[derive(Args, Clone, Copy, Debug)]
pub struct Form {
    #[command(flatten)]
    json: AsJson,
}

impl Form {
    /// The changes of one revision, each on lines of its own.
    pub fn bytes(self, changes: &Changes, paint: Paint) -> Vec<u8> {
        let mut bytes = Vec::new();
        for change in &changes.changes {
            match self.json.is_wanted() {
                true => bytes.extend(object(changes.revision, change).line().into_bytes()),
                false => text(changes.revision, change, paint, &mut bytes),
            }
        }
        bytes
    }
}

/// A line `set key revision seconds size` and a line with the value, `deleted key revision`, or
/// `expired key revision`; before it perhaps `prev key revision size`, and that value.
fn text(revision: u64, change: &Change, paint: Paint, bytes: &mut Vec<u8>) {
    let key = paint.text(KEY, &quoted(&change.key));
    let mut line = |word: &str, numbers: String, value: Option<&[u8]>| {
        bytes.extend(format!("{word} {key} {numbers}\n").into_bytes());
        if let Some(value) = value {
            bytes.extend(format!("{}\n", quoted(value)).into_bytes());
        }
    };
    if let Some(previous) = &change.previous {
        let numbers = format!("{} {}", previous.version, previous.value.len());
        line("prev", numbers, Some(&previous.value));
    }
    match &change.kind {
        ChangeKind::Set { value, exptime } => {
            line("set", format!("{revision} {exptime} {}", value.len()), Some(value));
        }
        ChangeKind::Deleted => line("deleted", revision.to_string(), None),
        ChangeKind::Expired => line("expired", revision.to_string(), None),
    }
}

fn object(revision: u64, change: &Change) -> Object {
    let key = json_bytes(&change.key);
    let object = |word| Object::new().raw("revision", revision).text("change", word);
    let object = match &change.kind {
        ChangeKind::Set { value, exptime } => {
            let object = object("set").raw("key", key).raw("exptime", exptime);
            object.raw("value", json_bytes(value))
        }
        ChangeKind::Deleted => object("deleted").raw("key", key),
        ChangeKind::Expired => object("expired").raw("key", key),
    };
    match &change.previous {
        Some(previous) => {
            let replaced = Object::new().raw("version", previous.version);
            object.raw("previous", replaced.raw("value", json_bytes(&previous.value)))
        }
        None => object,
    }
}

#[cfg(test)]
mod tests;
