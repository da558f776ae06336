//! Entries of the log, and the encoding of their payloads.

use std::borrow::Cow;

use bytes::Bytes;

use super::exact::decode_exact;
use super::format::{FormatInForce, SINCE_BYTES_MAX};
use super::identity::ClusterId;
use super::ids::{LogIndex, LogPosition, Term};
use super::membership::{Member, Membership, SeedMembership};

/// One record of the replicated log. Cloning shares the payload's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The entry's place in the log.
    pub index: LogIndex,
    /// The term of the leader that created it.
    pub term: Term,
    /// The store's time when that leader created the entry: the elapsed time of the cluster in
    /// milliseconds (docs/adr/0020). A stamp is never below the stamp of the entry before. It
    /// is the only time that the state machine knows.
    pub stamp_ms: u64,
    /// The content of the entry.
    pub payload: Payload,
}

impl Entry {
    /// The entry's term and index.
    pub fn position(&self) -> LogPosition {
        LogPosition { term: self.term, index: self.index }
    }

    /// The size by which windows, batches and budgets count the entry: the payload, and
    /// [`ENTRY_OVERHEAD_BYTES`] for the rest.
    pub fn weight_bytes(&self) -> u64 {
        let payload = match &self.payload {
            Payload::Noop => 0,
            Payload::Command(bytes) => bytes.len(),
            Payload::Membership(membership) => membership_bytes(membership),
            Payload::Format(format) => format.text().len(),
            Payload::ClusterId(_) => 16,
        };
        payload as u64 + ENTRY_OVERHEAD_BYTES
    }
}

/// The greatest stamp that an entry may have, in milliseconds: in the year 287396. A stamp
/// never falls, so one from a broken clock would move the store's time to it for ever.
pub const STAMP_MS_MAX: u64 = 1 << 53;

/// The cost of an entry besides its payload, in memory, on the wire and on disk. It is
/// a round figure for budgets, not an exact size.
pub const ENTRY_OVERHEAD_BYTES: u64 = 64;

/// Maximum weight of an entry in bytes, see [`Entry::weight_bytes`]: a command with a value of
/// 64 MiB, a key of 64 KiB, a client's name and the numbers between them. It is a constant of
/// the format. The settings of a server bound what its own clients may write, and can be
/// lowered. So a log may hold entries that no client could write any more.
pub const ENTRY_BYTES_MAX: u64 = 64 * 1024 * 1024 + 64 * 1024 + 512;

/// The content of an [`Entry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// No content. By such an entry a new leader commits the entries that it inherited
    /// (§8), and time passes in an idle store.
    Noop,
    /// A command of the state machine. The session that received it encoded it, and no
    /// other part encodes it again.
    Command(Bytes),
    /// The members from this entry on. A membership is in force as soon as it is in the
    /// log (dissertation §4.1).
    Membership(Membership),
    /// The format in force from this entry on, once it is committed (docs/adr/0023).
    Format(FormatInForce),
    /// The id of the cluster (docs/adr/0024). It is made once.
    ClusterId(ClusterId),
}

/// The reason why bytes are not a [`Payload`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// A kind that this version does not know.
    #[error("entry of unknown kind {0}")]
    UnknownKind(u8),
    /// A no-op that carries bytes.
    #[error("a no-op entry carries {0} bytes")]
    NoopWithBytes(usize),
    /// The body of a membership does not decode, or names no voter.
    #[error("membership entry does not decode: {0}")]
    Membership(String),
    /// The body of a format does not decode, or names no format.
    #[error("format entry does not decode: {0}")]
    Format(String),
    /// The body of a cluster id does not decode.
    #[error("cluster id entry does not decode: {0}")]
    ClusterId(String),
}

impl Payload {
    /// The kind's number in log records and frames.
    pub fn kind(&self) -> u8 {
        match self {
            Payload::Noop => 0,
            Payload::Command(_) => 1,
            Payload::Membership(membership) if membership.is_seed() => 2,
            Payload::Membership(_) => 5,
            Payload::Format(_) => 3,
            Payload::ClusterId(_) => 4,
        }
    }

    /// The body in log records and frames. The bytes of a command are not copied.
    ///
    /// # Panics
    /// Never: such values always encode.
    pub fn body(&self) -> Cow<'_, [u8]> {
        match self {
            Payload::Noop => Cow::default(),
            Payload::Command(bytes) => Cow::Borrowed(bytes),
            Payload::Membership(membership) if membership.is_seed() => {
                let seed = SeedMembership { voters: membership.voters.clone() };
                rmp_serde::to_vec_named(&seed)
                    .expect("a set of numbers always encodes to MessagePack in memory")
                    .into()
            }
            Payload::Membership(membership) => rmp_serde::to_vec_named(membership)
                .expect("numbers and texts always encode to MessagePack in memory")
                .into(),
            Payload::Format(format) => rmp_serde::to_vec_named(format)
                .expect("a number and a text always encode to MessagePack in memory")
                .into(),
            Payload::ClusterId(cluster_id) => rmp_serde::to_vec_named(cluster_id)
                .expect("bytes always encode to MessagePack in memory")
                .into(),
        }
    }

    /// The payload of a kind and a body: the inverse of [`Payload::kind`] and
    /// [`Payload::body`].
    ///
    /// # Errors
    /// When the kind is unknown or the body does not fit it. The bytes of a command are
    /// not examined.
    pub fn decode(kind: u8, body: Bytes) -> Result<Payload, PayloadError> {
        match kind {
            0 if body.is_empty() => Ok(Payload::Noop),
            0 => Err(PayloadError::NoopWithBytes(body.len())),
            1 => Ok(Payload::Command(body)),
            2 => {
                let seed: SeedMembership = decode_exact(&body).map_err(PayloadError::Membership)?;
                checked(Membership::seed(seed.voters))
            }
            3 => {
                let format: FormatInForce = decode_exact(&body).map_err(PayloadError::Format)?;
                if format.format.0 == 0 || format.text().len() > SINCE_BYTES_MAX {
                    return Err(PayloadError::Format("a format of 0, or a long version".into()));
                }
                Ok(Payload::Format(format))
            }
            4 => decode_exact(&body).map(Payload::ClusterId).map_err(PayloadError::ClusterId),
            5 => {
                let membership: Membership =
                    decode_exact(&body).map_err(PayloadError::Membership)?;
                if membership.is_seed() {
                    return Err(PayloadError::Membership("its members have no addresses".into()));
                }
                checked(membership)
            }
            kind => Err(PayloadError::UnknownKind(kind)),
        }
    }
}

/// The weight of a membership: at least the size of its encoding without the names of its fields,
/// and of all of it when it has addresses.
fn membership_bytes(membership: &Membership) -> usize {
    const ID_BYTES: usize = 9;
    const NAMES_BYTES: usize = 192;
    const ADDRESSES_BYTES: usize = 64;
    const ENDED_BYTES: usize = 80;
    let ids = membership.voters.len() + membership.outgoing.len() + 2 * membership.removed.len();
    if membership.is_seed() {
        return ids * ID_BYTES;
    }
    let address_bytes =
        |member: &Member| ADDRESSES_BYTES + member.peer.host.len() + member.client.host.len();
    let members: usize = membership.members.values().map(address_bytes).sum();
    NAMES_BYTES + ids * ID_BYTES + members + membership.ended.len() * ENDED_BYTES
}

fn checked(membership: Membership) -> Result<Payload, PayloadError> {
    match membership.fault() {
        None => Ok(Payload::Membership(membership)),
        Some(fault) => Err(PayloadError::Membership(fault.to_owned())),
    }
}

#[cfg(test)]
mod tests;
