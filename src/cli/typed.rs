//! Keys and values as people type them: text, or bytes in hexadecimal digits or base64; values also
//! from files and standard input.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use clap::Args;

use super::cluster::Cluster;
use super::failure::{Failure, usage};

/// Maximum number of bytes that are read for one value: more fits into none.
const VALUE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The least likeness, from 0 to 1, at which an option is suggested.
const LIKENESS_MIN: f64 = 0.85;

/// Base64 with its usual letters; the padding may be left out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The options that say how keys are typed.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct KeyForm {
    /// Keys on the command line are hexadecimal digits
    #[arg(long, conflicts_with = "key_base64")]
    key_hex: bool,
    /// Keys on the command line are base64
    #[arg(long)]
    key_base64: bool,
}

impl KeyForm {
    /// The bytes of a key, or of a prefix.
    ///
    /// # Errors
    /// When it is not what the options say.
    pub fn bytes(self, typed: &OsStr) -> Result<Vec<u8>, Failure> {
        let encoding = Encoding::new(self.key_hex, self.key_base64);
        encoding.decode(typed.as_bytes()).map_err(|reason| {
            let option = if self.key_hex { "--key-hex" } else { "--key-base64" };
            usage(format!("{option}: {}: {reason}", typed.display()))
        })
    }
}

/// The options that say how a value is typed or printed.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ValueForm {
    /// The value is hexadecimal digits
    #[arg(long, conflicts_with = "base64")]
    hex: bool,
    /// The value is base64
    #[arg(long)]
    base64: bool,
}

impl ValueForm {
    /// The value as it is printed on a line; `None` when no option says so.
    pub fn line(self, value: &[u8]) -> Option<String> {
        match Encoding::new(self.hex, self.base64) {
            Encoding::Bytes => None,
            Encoding::Hex => Some(value.iter().map(|byte| format!("{byte:02x}")).collect()),
            Encoding::Base64 => Some(BASE64.encode(value)),
        }
    }
}

/// The options of a value that is written.
#[derive(Args, Debug)]
pub struct Value {
    /// The value; - reads it from standard input. One that begins with two dashes stands behind --
    #[arg(required_unless_present = "file", conflicts_with = "file", allow_hyphen_values = true)]
    value: Option<OsString>,
    /// Read the value from this file; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    form: ValueForm,
    /// Seconds until the key expires; 0: never
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    exptime: u64,
    /// The lease that the key goes with; 0: none
    #[arg(long, value_name = "ID", default_value_t = 0)]
    lease: u64,
}

/// A value to be written.
pub struct NewValue {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Seconds until the key expires; 0: never.
    pub exptime: u64,
    /// The lease that the key goes with; 0: none.
    pub lease: u64,
}

impl Value {
    /// Reads the value from where it is.
    ///
    /// # Errors
    /// When it cannot be read, is larger than any value, or is not what the options say.
    pub fn read(self) -> Result<NewValue, Failure> {
        let Value { value, file, form, exptime, lease } = self;
        let (bytes, origin) = match (value, file) {
            (Some(value), _) if value != "-" => {
                refuse_unknown_option(&value, std::env::args_os())?;
                let origin = value.display().to_string();
                (value.into_vec(), origin)
            }
            (None, Some(file)) if file.as_os_str() != "-" => {
                let origin = file.display().to_string();
                let open = File::open(&file).map_err(|error| usage(format!("{origin}: {error}")));
                (read_all(open?).map_err(|reason| usage(format!("{origin}: {reason}")))?, origin)
            }
            _ => {
                let origin = "standard input".to_owned();
                let read = read_all(io::stdin().lock());
                (read.map_err(|reason| usage(format!("{origin}: {reason}")))?, origin)
            }
        };
        let decoded = Encoding::new(form.hex, form.base64).decode(&bytes);
        let bytes = decoded.map_err(|reason| {
            let option = if form.hex { "--hex" } else { "--base64" };
            usage(format!("{option}: {origin}: {reason}"))
        })?;
        Ok(NewValue { bytes, exptime, lease })
    }
}

/// Refuses a value that looks like an option which there is not, so that a misspelt one is not
/// written. Two dashes on the command line say that what follows is no option.
fn refuse_unknown_option(
    value: &OsStr,
    mut line: impl Iterator<Item = OsString>,
) -> Result<(), Failure> {
    if !value.as_bytes().starts_with(b"--") || line.any(|word| word == "--") {
        return Ok(());
    }
    let name = value.to_string_lossy();
    let name = name.split('=').next().unwrap_or_default();
    let near =
        nearest_option(name).map(|near| format!("did you mean {near}? ")).unwrap_or_default();
    let value = value.display();
    Err(usage(format!("there is no option {value}: {near}If it is the value, put it behind --")))
}

/// The option of a write that is most like `name`, if one is.
fn nearest_option(name: &str) -> Option<String> {
    let command = Cluster::<0, 0>::augment_args(KeyForm::augment_args(Value::augment_args(
        clap::Command::new("write"),
    )));
    let options = command.get_arguments().filter_map(|option| option.get_long());
    let options = options.map(|option| format!("--{option}"));
    let likeness = |option: &String| strsim::jaro_winkler(option, name);
    let nearest = options.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&nearest) >= LIKENESS_MIN).then_some(nearest)
}

/// All bytes of a value.
fn read_all(reader: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = reader.take(VALUE_BYTES_MAX + 1).read_to_end(&mut bytes);
    match read.map_err(|error| error.to_string())? as u64 {
        0..=VALUE_BYTES_MAX => Ok(bytes),
        _ => Err(format!("a value has at most {VALUE_BYTES_MAX} bytes")),
    }
}

/// The way in which bytes are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// As they are.
    Bytes,
    /// Two hexadecimal digits each.
    Hex,
    /// Base64.
    Base64,
}

impl Encoding {
    fn new(is_hex: bool, is_base64: bool) -> Encoding {
        match (is_hex, is_base64) {
            (true, _) => Encoding::Hex,
            (false, true) => Encoding::Base64,
            (false, false) => Encoding::Bytes,
        }
    }

    /// The bytes that a text stands for. White space between digits does not count: other programs
    /// wrap their lines.
    fn decode(self, text: &[u8]) -> Result<Vec<u8>, String> {
        let bare = || text.iter().copied().filter(|byte| !byte.is_ascii_whitespace());
        match self {
            Encoding::Bytes => Ok(text.to_vec()),
            Encoding::Hex => from_hex(&bare().collect::<Vec<u8>>()),
            Encoding::Base64 => {
                let decoded = BASE64.decode(bare().collect::<Vec<u8>>());
                decoded.map_err(|error| format!("it is no base64: {error}"))
            }
        }
    }
}

fn from_hex(digits: &[u8]) -> Result<Vec<u8>, String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(16 * digit(*high)? + digit(*low)?),
        _ => None,
    };
    let bytes = digits.chunks(2).map(byte).collect::<Option<Vec<u8>>>();
    bytes.ok_or_else(|| "two hexadecimal digits are one byte, and nothing else is".into())
}

#[cfg(test)]
mod tests;
