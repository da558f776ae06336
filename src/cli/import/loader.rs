//! The writing of an import: batches of keys over several connections.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use coracle::client::{Client, Error, Item, OperationResult, Transaction};
use futures_util::future::try_join_all;
use indicatif::ProgressBar;
use tokio::sync::Mutex;
use tokio::sync::mpsc::Receiver;

use super::batch::{BATCH_KEYS, Batch};
use crate::cli::cluster::close;
use crate::cli::failure::Failure;
use crate::cli::key_lines::{KeyLine, ReadError};

/// Number of keys by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// They were written.
    pub written: u64,
    /// They were there already, as the file has them or as they are to be left.
    pub unchanged: u64,
}

/// One import.
pub struct Loader {
    only_missing: bool,
    /// False when the store had none of the keys as the import began.
    compares: bool,
    /// Number of keys that a transaction of the servers takes, as far as we know.
    transaction_keys: Cell<usize>,
    counts: RefCell<Counts>,
    /// The reason why the input ended before its last line.
    input_error: RefCell<Option<ReadError>>,
    progress: ProgressBar,
}

/// The batches that are still to be written.
type Batches = Mutex<Receiver<Result<Batch, ReadError>>>;

impl Loader {
    pub fn new(only_missing: bool, compares: bool, progress: ProgressBar) -> Loader {
        let transaction_keys = Cell::new(BATCH_KEYS);
        let (counts, input_error) = (RefCell::default(), RefCell::default());
        Loader { only_missing, compares, transaction_keys, counts, input_error, progress }
    }

    /// Writes all batches, one at a time with each client.
    ///
    /// # Errors
    /// The first failure of a batch: those that were in flight then may be written. Or that of the
    /// input, which `bad` puts into words, after all batches before it were written.
    pub async fn load(
        &self,
        clients: Vec<Client>,
        batches: Receiver<Result<Batch, ReadError>>,
        bad: &impl Fn(ReadError) -> Failure,
    ) -> Result<Counts, Failure> {
        let batches = Mutex::new(batches);
        let work = clients.into_iter().map(|client| self.work(client, &batches));
        let worked = try_join_all(work).await;
        self.progress.finish_and_clear();
        let worked = match self.input_error.take() {
            Some(error) => worked.and(Err(bad(error))),
            None => worked.map(|_| ()),
        };
        worked.map_err(|failure| self.with_counts(failure))?;
        Ok(*self.counts.borrow())
    }

    /// Writes batches until none is left.
    async fn work(&self, mut client: Client, batches: &Batches) -> Result<(), Failure> {
        loop {
            let next = batches.lock().await.recv().await;
            match next {
                Some(Ok(batch)) => self.write(&mut client, &batch).await?,
                // It is the last that is sent.
                Some(Err(error)) => {
                    self.input_error.replace(Some(error));
                }
                None => break,
            }
        }
        close(client).await;
        Ok(())
    }

    /// Writes a batch in as many transactions as the servers need for it.
    async fn write(&self, client: &mut Client, batch: &[KeyLine]) -> Result<(), Failure> {
        let mut left = batch;
        while !left.is_empty() {
            let (part, rest) = left.split_at(self.transaction_keys.get().min(left.len()));
            match self.write_part(client, part).await {
                Ok(written) => {
                    self.count(written, part.len() as u64);
                    left = rest;
                }
                // The servers may allow smaller transactions only.
                Err(Error::Refused { .. } | Error::NotYet { .. }) if part.len() > 1 => {
                    let smaller = self.transaction_keys.get().min(part.len() / 2);
                    self.transaction_keys.set(smaller);
                }
                Err(error) => return Err(at_lines(part, error)),
            }
        }
        Ok(())
    }

    /// Writes the keys of a part that are to be written; returns their number.
    async fn write_part(&self, client: &mut Client, part: &[KeyLine]) -> Result<u64, Error> {
        let mut compares = self.compares;
        loop {
            let there = match compares {
                true => read(client, part).await?,
                false => BTreeMap::new(),
            };
            let is_to_be_written = |line: &&KeyLine| match there.get(&line.key[..]) {
                Some(item) => !self.only_missing && !is_equal(line, item),
                None => true,
            };
            let lines: Vec<&KeyLine> = part.iter().filter(is_to_be_written).collect();
            match self.store(client, &lines).await {
                // Somebody else was faster with one of the keys.
                Err(Error::Aborted { .. } | Error::Exists { .. }) => compares = true,
                stored => return stored.map(|()| lines.len() as u64),
            }
        }
    }

    /// Writes the keys at one moment.
    async fn store(&self, client: &mut Client, lines: &[&KeyLine]) -> Result<(), Error> {
        // A value may be larger than a transaction.
        if let [KeyLine { key, value, exptime, .. }] = lines {
            return match self.only_missing {
                true => client.add(key, *exptime, value).await.map(|_| ()),
                false => client.set(key, *exptime, value).await.map(|_| ()),
            };
        }
        if lines.is_empty() {
            return Ok(());
        }
        let mut transaction = Transaction::new();
        for KeyLine { key, value, exptime, .. } in lines {
            if self.only_missing {
                transaction = transaction.check(key, 0);
            }
            transaction = transaction.set(key, *exptime, value);
        }
        client.transaction(transaction).await.map(|_| ())
    }

    fn count(&self, written: u64, keys: u64) {
        let mut counts = self.counts.borrow_mut();
        counts.written += written;
        counts.unchanged += keys - written;
        self.progress.inc(keys);
    }

    /// The failure with the number of keys that are there.
    fn with_counts(&self, failure: Failure) -> Failure {
        let Counts { written, unchanged } = *self.counts.borrow();
        failure.with_sentence(|sentence| {
            format!(
                "{sentence}; {written} keys were written and {unchanged} were there already, and \
                 the next import of the same keys goes on from there"
            )
        })
    }
}

/// The keys of a part that are there, at one moment.
async fn read<'a>(
    client: &mut Client,
    part: &'a [KeyLine],
) -> Result<BTreeMap<&'a [u8], Item>, Error> {
    if let [line] = part {
        return match client.getm(&line.key).await {
            Ok(item) => Ok(BTreeMap::from([(&line.key[..], item)])),
            Err(Error::NotFound) => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        };
    }
    let ask = |transaction: Transaction, line: &KeyLine| transaction.getm(&line.key);
    let results = client.transaction(part.iter().fold(Transaction::new(), ask)).await?.results;
    let item = |(line, result): (&'a KeyLine, OperationResult)| match result {
        OperationResult::Item(Some(item)) => Some((&line.key[..], item)),
        _ => None,
    };
    Ok(part.iter().zip(results).filter_map(item).collect())
}

/// True when the store has what the line says. The time that is left is that of another moment, so
/// only whether there is one is compared.
fn is_equal(line: &KeyLine, item: &Item) -> bool {
    line.value == item.value && (line.exptime > 0) == (item.exptime > 0)
}

/// The failure to write the keys of some lines.
fn at_lines(lines: &[KeyLine], error: Error) -> Failure {
    let place = match lines {
        [line] => format!("line {}", line.number),
        lines => format!("lines {} to {}", lines[0].number, lines[lines.len() - 1].number),
    };
    Failure::from(error).with_sentence(|sentence| format!("{place}: {sentence}"))
}
