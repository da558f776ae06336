//! Keys in batches, as they are read from the input.

use std::io::BufRead;

use tokio::sync::mpsc::Sender;

use crate::cli::key_lines::{KeyLine, KeyReader, ReadError};

/// Maximum number of keys that are written together: the default of `transaction_ops_max`.
pub const BATCH_KEYS: usize = 128;
/// The bytes of keys and values with which a batch is full, well below `transaction_bytes_max`.
const BATCH_BYTES: usize = 256 * 1024;

/// Keys that are written together.
pub type Batch = Vec<KeyLine>;

/// The keys of an import, from the first line on.
pub type Input = KeyReader<Box<dyn BufRead + Send>>;

/// Sends the keys in batches, until the input ends or nobody takes them any more. The keys before
/// an error are sent.
pub fn send_batches(mut input: Input, sender: &Sender<Result<Batch, ReadError>>) {
    loop {
        let (mut batch, mut bytes) = (Batch::new(), 0);
        let end = loop {
            if batch.len() >= BATCH_KEYS || bytes >= BATCH_BYTES {
                break None;
            }
            match input.next() {
                Ok(Some(line)) => {
                    bytes += line.key.len() + line.value.len();
                    batch.push(line);
                }
                Ok(None) => break Some(Ok(())),
                Err(error) => break Some(Err(error)),
            }
        };
        if !batch.is_empty() && sender.blocking_send(Ok(batch)).is_err() {
            return;
        }
        match end {
            None => {}
            Some(Ok(())) => return,
            Some(Err(error)) => {
                // An error means that the import has failed already.
                let _ = sender.blocking_send(Err(error));
                return;
            }
        }
    }
}
