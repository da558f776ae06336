//! Keys with their values, as commands read and print them.

use clap::Args;
use coracle::client::Item;

use super::json::{Object, json_bytes};

/// The option of reads of the past.
#[derive(Args, Clone, Copy, Debug)]
pub struct At {
    /// Read the store as it was at this revision
    #[arg(long, value_name = "REVISION")]
    at: Option<u64>,
}

impl At {
    /// The revision to read at; none for the present.
    pub fn revision(self) -> Option<u64> {
        self.at
    }
}

/// The numbers of a value on a line: its version, the seconds left, its size.
pub fn numbers(item: &Item) -> String {
    format!("{} {} {}", item.version, item.exptime, item.value.len())
}

/// A key with its value as JSON.
pub fn object(key: &[u8], item: &Item) -> Object {
    let object = Object::new().raw("key", json_bytes(key)).raw("version", item.version);
    object.raw("exptime", item.exptime).raw("value", json_bytes(&item.value))
}
