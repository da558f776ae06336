//! The replies to the answers of the store. The store answers in its own words, which do not repeat
//! what it was asked, so a reply depends on the question as well.

use super::error_reply::ErrorReply;
use super::queue::Queued;
use super::reply::Reply;
use super::request::LEASE_KEYS_MAX;
use crate::kv::{
    Answer, FailedCompare, Item, OperationOutcome, Outcome, Record, TransactionOutcome,
};

/// The question, as far as it shows in the reply.
#[derive(Debug, Default)]
pub(super) enum Asked {
    /// It does not.
    #[default]
    Plain,
    /// It was about this lease.
    Lease(u64),
    /// A transaction of these commands.
    Transaction(Vec<Queued>),
}

impl Asked {
    /// The reply to a write with this outcome. A `once` whose number was used gets the outcome
    /// that is remembered, which may be one of a command of another kind.
    pub(super) fn reply_to_write(&self, outcome: Outcome) -> Reply {
        Reply::Error(match outcome {
            Outcome::Stored { version } => return Reply::Stored { version },
            Outcome::Deleted => return Reply::Deleted,
            Outcome::Ended => return Reply::Ended,
            Outcome::NotFound | Outcome::NoKey => ErrorReply::NotFound,
            Outcome::VersionMismatch { version } => ErrorReply::Version { version },
            Outcome::Exists { version } => ErrorReply::Exists { version },
            Outcome::Stale => ErrorReply::Stale,
            Outcome::Full => ErrorReply::Full,
            Outcome::Busy => ErrorReply::Busy,
            Outcome::Transaction(outcome) => return self.committed(&outcome),
            Outcome::NoLease => ErrorReply::NoLease,
            Outcome::LeaseExists => ErrorReply::LeaseExists,
            Outcome::Granted { id, ttl } => return Reply::Lease { id, seconds: ttl },
            Outcome::Renewed(renewed) => match renewed.first() {
                Some(Some(seconds)) => {
                    return Reply::Lease { id: self.lease(), seconds: *seconds };
                }
                _ => ErrorReply::NoLease,
            },
            Outcome::Revoked => return Reply::Revoked,
            Outcome::Compacted { revision } => return Reply::Compacted { revision },
            Outcome::AlreadyCompacted { revision } => ErrorReply::Compacted { revision },
            Outcome::Future { revision } => ErrorReply::Future { revision },
            Outcome::HistorySet => return Reply::Done,
        })
    }

    /// The reply to a read with this answer.
    pub(super) fn reply_to_read(&self, answer: Answer) -> Reply {
        Reply::Error(match answer {
            Answer::NotFound => ErrorReply::NotFound,
            Answer::Value(value) => return Reply::Value(value),
            Answer::Meta(item) => return Reply::Meta(item),
            Answer::Scan { items, more } => return Reply::Scan { items, more },
            Answer::Compacted { revision } => ErrorReply::Compacted { revision },
            Answer::Future { revision } => ErrorReply::Future { revision },
            Answer::NoLease => ErrorReply::NoLease,
            Answer::Transaction(outcome) => return self.committed(&outcome),
            Answer::Lease { left, mut keys, .. } => {
                let more = keys.len() > LEASE_KEYS_MAX;
                keys.truncate(LEASE_KEYS_MAX);
                return Reply::LeaseKeys { id: self.lease(), left, keys, more };
            }
            Answer::Range { .. } | Answer::Leases(_) | Answer::Page(_) | Answer::Versions(_) => {
                ErrorReply::Internal("the store has answered another question".into())
            }
        })
    }

    fn lease(&self) -> u64 {
        match self {
            Asked::Lease(id) => *id,
            Asked::Plain | Asked::Transaction(_) => 0,
        }
    }

    fn committed(&self, outcome: &TransactionOutcome) -> Reply {
        if let Some(FailedCompare { key, mod_revision }) = &outcome.failed {
            return Reply::Aborted { key: key.clone(), version: *mod_revision };
        }
        let commands = match self {
            Asked::Transaction(commands) => &commands[..],
            Asked::Plain | Asked::Lease(_) => &[],
        };
        let replies = outcome.operations.iter().enumerate().map(|(at, operation)| {
            let wants_meta = commands.get(at) == Some(&Queued::GetMeta);
            part(operation, wants_meta, outcome)
        });
        Reply::Committed { revision: outcome.revision, replies: replies.collect() }
    }
}

/// The reply to one command of a transaction.
fn part(operation: &OperationOutcome, wants_meta: bool, of: &TransactionOutcome) -> Reply {
    match operation {
        OperationOutcome::Put { .. } => Reply::Stored { version: of.revision },
        OperationOutcome::Delete { deleted: 0, .. } => Reply::Error(ErrorReply::NotFound),
        OperationOutcome::Delete { .. } => Reply::Deleted,
        OperationOutcome::Read(answer) => match answer.records.first() {
            None => Reply::Error(ErrorReply::NotFound),
            Some((_, record)) if wants_meta => Reply::Meta(item(record, of.clock_ms)),
            Some((_, record)) => Reply::Value(record.value_bytes()),
        },
        OperationOutcome::Compacted { revision } => {
            Reply::Error(ErrorReply::Compacted { revision: *revision })
        }
        OperationOutcome::Nested(nested) => Asked::Plain.committed(nested),
    }
}

fn item(record: &Record, clock_ms: u64) -> Item {
    Item {
        value: record.value_bytes(),
        version: record.mod_revision,
        exptime: record.seconds_left(clock_ms),
    }
}

#[cfg(test)]
mod tests;
