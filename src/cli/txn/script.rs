//! The script of a transaction: a command a line.

use coracle::client::Transaction;

use crate::cli::words::words;

/// A transaction as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    steps: Vec<Step>,
}

/// A command of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Check { key: Vec<u8>, version: u64 },
    Set { key: Vec<u8>, value: Vec<u8>, exptime: u64, lease: u64 },
    Delete { key: Vec<u8> },
    Get { key: Vec<u8> },
    GetMeta { key: Vec<u8> },
}

/// A line that is no command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct Malformed {
    line: usize,
    reason: String,
}

impl Script {
    /// Reads the lines of a script.
    pub fn parse(text: &[u8]) -> Result<Script, Malformed> {
        let mut steps = Vec::new();
        for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let words = words(line).map_err(|error| error.to_string());
            let step = words.and_then(|words| step(&words));
            let malformed = |reason| Malformed { line: number + 1, reason };
            steps.extend(step.map_err(malformed)?);
        }
        Ok(Script { steps })
    }

    /// The transaction.
    pub fn transaction(&self) -> Transaction {
        self.steps.iter().fold(Transaction::new(), |transaction, step| match step {
            Step::Check { key, version } => transaction.check(key, *version),
            Step::Set { key, value, exptime, lease } => {
                transaction.set_with_lease(key, *exptime, value, *lease)
            }
            Step::Delete { key } => transaction.delete(key),
            Step::Get { key } => transaction.get(key),
            Step::GetMeta { key } => transaction.getm(key),
        })
    }

    /// The commands that have a result, in their order: all but the checks.
    pub fn answered(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| !matches!(step, Step::Check { .. }))
    }
}

impl Step {
    pub fn key(&self) -> &[u8] {
        match self {
            Step::Check { key, .. }
            | Step::Set { key, .. }
            | Step::Delete { key }
            | Step::Get { key }
            | Step::GetMeta { key } => key,
        }
    }

    /// Its first word.
    pub fn word(&self) -> &'static str {
        match self {
            Step::Check { .. } => "check",
            Step::Set { .. } => "set",
            Step::Delete { .. } => "delete",
            Step::Get { .. } => "get",
            Step::GetMeta { .. } => "getm",
        }
    }
}

/// The command of a line; `None` when it has no words.
fn step(words: &[Vec<u8>]) -> Result<Option<Step>, String> {
    let words: Vec<&[u8]> = words.iter().map(|word| &word[..]).collect();
    let Some((command, rest)) = words.split_first() else { return Ok(None) };
    let step = match (command.to_ascii_lowercase().as_slice(), rest) {
        (b"check", [key, version]) => {
            Step::Check { key: key.to_vec(), version: number(version, "a version")? }
        }
        (b"set", [key, value, options @ ..]) => {
            let (exptime, lease) = write_options(options)?;
            Step::Set { key: key.to_vec(), value: value.to_vec(), exptime, lease }
        }
        (b"delete", [key]) => Step::Delete { key: key.to_vec() },
        (b"get", [key]) => Step::Get { key: key.to_vec() },
        (b"getm", [key]) => Step::GetMeta { key: key.to_vec() },
        (b"check", _) => return Err("it is `check KEY VERSION`".into()),
        (b"set", _) => return Err("it is `set KEY VALUE [exptime SECONDS] [lease ID]`".into()),
        (word @ (b"delete" | b"get" | b"getm"), _) => {
            return Err(format!("it is `{} KEY`", String::from_utf8_lossy(word)));
        }
        (word, _) => {
            let word = String::from_utf8_lossy(word);
            return Err(format!("{word} is none of check, set, delete, get and getm"));
        }
    };
    Ok(Some(step))
}

/// The seconds and the lease of a write.
fn write_options(options: &[&[u8]]) -> Result<(u64, u64), String> {
    let (mut exptime, mut lease) = (None, None);
    for option in options.chunks(2) {
        let (name, value) = match option {
            [name, value] => (name.to_ascii_lowercase(), *value),
            _ => return Err(format!("{} has no number", String::from_utf8_lossy(option[0]))),
        };
        let option = match name.as_slice() {
            b"exptime" => &mut exptime,
            b"lease" => &mut lease,
            name => {
                let name = String::from_utf8_lossy(name);
                return Err(format!("{name} is neither exptime nor lease"));
            }
        };
        if option.replace(number(value, "a number")?).is_some() {
            return Err(format!("{} is there twice", String::from_utf8_lossy(&name)));
        }
    }
    Ok((exptime.unwrap_or(0), lease.unwrap_or(0)))
}

fn number(word: &[u8], what: &str) -> Result<u64, String> {
    let digits = std::str::from_utf8(word).ok().filter(|word| !word.starts_with('+'));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| format!("{} is not {what}", String::from_utf8_lossy(word)))
}

#[cfg(test)]
mod tests;
