//! The manifest of an archive: the parts that are there, and the reasons why others are not.

use super::super::json::{Object, json_list};

/// One file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its path in the archive.
    pub name: String,
    /// Its bytes, or a sentence that says why there are none.
    pub content: Result<Vec<u8>, String>,
}

/// The contents of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The name of the cluster.
    pub cluster: String,
    /// Milliseconds since the Unix epoch.
    pub made_at_ms: u64,
    pub parts: Vec<Part>,
}

impl Manifest {
    /// The parts that could not be had, each with the reason.
    pub fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        let parts = self.parts.iter();
        parts.filter_map(|part| Some((part.name.as_str(), part.content.as_ref().err()?.as_str())))
    }

    /// The parts that are there, each with its bytes.
    pub fn present(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let parts = self.parts.iter();
        parts.filter_map(|part| Some((part.name.as_str(), part.content.as_ref().ok()?.as_slice())))
    }

    /// The manifest as JSON.
    pub fn json(&self) -> Object {
        let present = self
            .present()
            .map(|(name, bytes)| Object::new().text("name", name).raw("bytes", bytes.len()));
        let missing = self
            .missing()
            .map(|(name, reason)| Object::new().text("name", name).text("reason", reason));
        Object::new()
            .text("program_version", env!("CARGO_PKG_VERSION"))
            .text("cluster", &self.cluster)
            .raw("made_at_ms", self.made_at_ms)
            .raw("parts", json_list(present))
            .raw("missing", json_list(missing))
    }
}

#[cfg(test)]
pub mod tests;
