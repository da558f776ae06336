//! Transactions: several commands that are executed at one moment, all of them or none.

#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::connection::Command;
use super::item::Item;
use super::{Client, Error, name_of};
use crate::commands::{Operation, Query};
use crate::protocol::{ErrorReply, Reply, Request};

/// A transaction in the making.
///
/// All its checks are judged at one moment. If they hold, all its other commands are executed at
/// that moment, in their order, each seeing what those before it wrote; if one does not hold,
/// nothing is. All writes of a transaction get one version. A key is written once at most.
///
/// ```no_run
/// # use coracle::client::{Client, Error, Transaction};
/// # async fn example(client: &mut Client) -> Result<(), Error> {
/// let from = client.getm("account/1").await?;
/// let transfer = Transaction::new()
///     .check("account/1", from.version)
///     .check("transfer/77", 0)
///     .set("account/1", 0, b"90")
///     .set("transfer/77", 0, b"10");
/// match client.transaction(transfer).await {
///     Ok(committed) => println!("done at revision {}", committed.revision),
///     Err(Error::Aborted { .. }) => println!("somebody was faster"),
///     Err(error) => return Err(error),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    requests: Vec<Request>,
    /// The first argument that the protocol cannot express.
    fault: Option<Error>,
}

/// The result of a transaction that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The store's revision after the transaction. It is the version of all that the transaction
    /// has written.
    pub revision: u64,
    /// The results of its commands other than checks, in their order.
    pub results: Vec<OperationResult>,
}

/// The result of one command of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationResult {
    /// `set`: the value is stored.
    Stored {
        /// Its version.
        version: u64,
    },
    /// `delete`: the key is absent now.
    Deleted {
        /// True when it was there before.
        was_there: bool,
    },
    /// `get`: the value; `None` when there is no such key.
    Value(Option<Vec<u8>>),
    /// `getm`: the value with its version and remaining time; `None` when there is no such key.
    Item(Option<Item>),
    /// `get`, `getm`: the transaction was executed with a try whose reply was lost, and what it
    /// read is no longer kept.
    Compacted {
        /// The oldest revision that can be read.
        revision: u64,
    },
}

/// The proof of an acquisition, of a lock for example: a key that exists at this version as long
/// as the acquisition lasts, and never again afterwards. [`Transaction::fence`] makes a
/// transaction depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The key.
    pub key: Vec<u8>,
    /// Its version. A later acquisition has a higher one.
    pub token: u64,
}

impl Transaction {
    /// A transaction without commands. To execute it tells the store's revision.
    pub fn new() -> Transaction {
        Transaction::default()
    }

    /// The transaction is executed only if the key has this version; 0: only if it is absent.
    #[must_use]
    pub fn check(mut self, key: impl AsRef<[u8]>, version: u64) -> Transaction {
        if let Some(key) = self.name(key) {
            self.requests.push(Request::Check { key, version });
        }
        self
    }

    /// The transaction is executed only while this acquisition lasts.
    #[must_use]
    pub fn fence(self, fence: &Fence) -> Transaction {
        self.check(&fence.key, fence.token)
    }

    /// Writes the value; `exptime` in seconds, 0 for never.
    #[must_use]
    pub fn set(self, key: impl AsRef<[u8]>, exptime: u64, value: &[u8]) -> Transaction {
        self.set_with_lease(key, exptime, value, 0)
    }

    /// Writes the value, which goes with this lease; 0 for none.
    #[must_use]
    pub fn set_with_lease(
        mut self,
        key: impl AsRef<[u8]>,
        exptime: u64,
        value: &[u8],
        lease: u64,
    ) -> Transaction {
        if let Some(key) = self.name(key) {
            let value = Bytes::copy_from_slice(value);
            self.write(Operation::Set { key, exptime, value, lease });
        }
        self
    }

    /// Removes the key. That it is absent is no failure.
    #[must_use]
    pub fn delete(mut self, key: impl AsRef<[u8]>) -> Transaction {
        if let Some(key) = self.name(key) {
            self.write(Operation::Delete { key });
        }
        self
    }

    /// Reads the value.
    #[must_use]
    pub fn get(mut self, key: impl AsRef<[u8]>) -> Transaction {
        if let Some(key) = self.name(key) {
            self.requests.push(Request::Read(Query::Get { key, at: 0 }));
        }
        self
    }

    /// Reads the value with its version and remaining time.
    #[must_use]
    pub fn getm(mut self, key: impl AsRef<[u8]>) -> Transaction {
        if let Some(key) = self.name(key) {
            self.requests.push(Request::Read(Query::GetMeta { key, at: 0 }));
        }
        self
    }

    fn write(&mut self, operation: Operation) {
        self.requests.push(Request::Write { operation, once: None, noreply: false });
    }

    fn name(&mut self, key: impl AsRef<[u8]>) -> Option<Bytes> {
        match name_of(key) {
            Ok(key) => Some(key),
            Err(error) => {
                self.fault.get_or_insert(error);
                None
            }
        }
    }

    fn has_writes(&self) -> bool {
        self.requests.iter().any(|request| matches!(request, Request::Write { .. }))
    }
}

impl Client {
    /// Executes a transaction, exactly once like every write. One that only reads is linearizable
    /// as other reads are, and writes nothing.
    ///
    /// # Errors
    /// [`Error::Aborted`] when a check does not hold; [`Error::Refused`] when a limit of the server
    /// forbids the transaction, or it writes a key twice; [`Error::NoLease`] when a lease is not
    /// there; see [`Error`].
    pub async fn transaction(&mut self, transaction: Transaction) -> Result<Committed, Error> {
        let once = transaction.has_writes().then(|| self.next_once());
        let Transaction { requests, fault } = transaction;
        if let Some(fault) = fault {
            return Err(fault);
        }
        let is_check = |request: &&Request| matches!(request, Request::Check { .. });
        let asked: Vec<Request> =
            requests.iter().filter(|request| !is_check(request)).cloned().collect();
        match self.execute_command(Command::transaction(requests, once)).await? {
            Reply::Committed { revision, replies } => {
                let results: Option<Vec<OperationResult>> = match replies.len() == asked.len() {
                    true => {
                        asked.iter().zip(replies).map(|(one, reply)| result(one, reply)).collect()
                    }
                    false => None,
                };
                let results = results.ok_or_else(|| Error::Unknown {
                    last: self.at_target("it answered another transaction"),
                })?;
                Ok(Committed { revision, results })
            }
            Reply::Aborted { key, version } => Err(Error::Aborted { key: key.to_vec(), version }),
            _ => unreachable!("the parser gives what is expected"),
        }
    }
}

/// The result of a command of a transaction from its reply; `None` when it is that of another
/// command.
fn result(asked: &Request, reply: Reply) -> Option<OperationResult> {
    let is_delete = matches!(asked, Request::Write { operation: Operation::Delete { .. }, .. });
    Some(match (asked, reply) {
        (Request::Write { .. }, Reply::Stored { version }) if !is_delete => {
            OperationResult::Stored { version }
        }
        (Request::Write { .. }, Reply::Deleted) if is_delete => {
            OperationResult::Deleted { was_there: true }
        }
        (Request::Write { .. }, Reply::Error(ErrorReply::NotFound)) if is_delete => {
            OperationResult::Deleted { was_there: false }
        }
        (Request::Read(Query::Get { .. }), Reply::Value(value)) => {
            OperationResult::Value(Some(value.to_vec()))
        }
        (Request::Read(Query::Get { .. }), Reply::Error(ErrorReply::NotFound)) => {
            OperationResult::Value(None)
        }
        (Request::Read(Query::GetMeta { key, .. }), Reply::Meta(item)) => {
            OperationResult::Item(Some(Item::new(key, &item)))
        }
        (Request::Read(Query::GetMeta { .. }), Reply::Error(ErrorReply::NotFound)) => {
            OperationResult::Item(None)
        }
        (Request::Read(_), Reply::Error(ErrorReply::Compacted { revision })) => {
            OperationResult::Compacted { revision }
        }
        _ => return None,
    })
}
