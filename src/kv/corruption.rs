//! The finding that a part of the store in memory is not what was written there
//! (docs/adr/0025).

/// Maximum number of a name's bytes that an error shows.
const SHOWN_BYTES_MAX: usize = 64;

/// A part of the store that is not what was written there. Nothing of the store may be answered
/// any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corruption {
    /// The record of a key.
    #[error("the record of key \"{key}\", version {version}, does not match its hash")]
    Key {
        /// The key, escaped and cut.
        key: String,
        /// The version in the record, which may itself be what has changed.
        version: u64,
    },
    /// The record of a client that is remembered for its retries.
    #[error("the record of client \"{name}\" does not match its hash")]
    Client {
        /// The client's name, escaped and cut.
        name: String,
    },
    /// A lease.
    #[error("lease {id} does not match its hash")]
    Lease {
        /// The id of the lease.
        id: u64,
    },
    /// A name that is stored is not found when it is asked for.
    #[error("\"{name}\" is stored, and a search does not find it")]
    Unreachable {
        /// The key or the client's name, escaped and cut.
        name: String,
    },
    /// The records do not add up to the totals of the store.
    #[error("the records add up to {found}, and the store counts {kept}")]
    Totals {
        /// The totals of the records.
        found: Totals,
        /// The totals that the store keeps.
        kept: Totals,
    },
}

/// The totals of a store: all that is stored, with what has expired and is not removed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// The number of keys.
    pub keys: u64,
    /// The size of the keys in bytes, as `store_bytes_max` counts it.
    pub bytes: u64,
    /// The number of changes in the history.
    pub changes: u64,
    /// The number of clients.
    pub clients: u64,
    /// The sum of the hashes of all records.
    pub digest: u64,
}

impl std::fmt::Display for Totals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Totals { keys, bytes, changes, clients, digest } = self;
        write!(
            f,
            "{keys} keys of {bytes} bytes, {changes} changes, {clients} clients and digest \
             {digest:016x}"
        )
    }
}

impl Corruption {
    /// The record of `key` does not match its hash.
    pub(super) fn of_key(key: &[u8], version: u64) -> Corruption {
        Corruption::Key { key: shown(key), version }
    }

    /// The record of the client does not match its hash.
    pub(super) fn of_client(name: &[u8]) -> Corruption {
        Corruption::Client { name: shown(name) }
    }

    /// A key or client is stored and not found.
    pub(super) fn unreachable(name: &[u8]) -> Corruption {
        Corruption::Unreachable { name: shown(name) }
    }
}

/// A name as an error shows it.
fn shown(name: &[u8]) -> String {
    let cut = &name[..name.len().min(SHOWN_BYTES_MAX)];
    let more = if cut.len() < name.len() { "..." } else { "" };
    format!("{}{more}", cut.escape_ascii())
}

#[cfg(test)]
mod tests;
