//! The answer to `upgrade check`: whether servers of another program can take part in the cluster
//! as it is.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use coracle::types::{FORMATS, Format, FormatRange};

use super::view::{View, parse_range};
use crate::cli::failure::{Failure, usage};
use crate::cli::json::{AsJson, Object, json_list, json_text};
use crate::cli::output::print;
use crate::cli::text::named;

/// A program that servers may run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Its version.
    pub version: String,
    /// The formats that it reads.
    pub reads: FormatRange,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its servers can take part, in any order.
    Yes(String),
    /// They cannot.
    No(String),
    /// The format in force is not known.
    Unknown(String),
}

/// Maximum time for the program to print what it reads.
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum number of bytes of its output that are read.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;

/// The version of this program and the formats that it reads, for programs and for people.
pub fn own_formats() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut text = format!("version {version}\nformats {}\n", FormatRange::OWN);
    for row in FORMATS {
        let adds = row.adds.join("; ");
        // Writing to a string does not fail.
        let _ = writeln!(text, "format {} since {}: {adds}", row.format, row.since);
    }
    text
}

/// The same as JSON.
pub fn own_formats_object() -> Object {
    let known = FORMATS.iter().map(|row| {
        let adds = json_list(row.adds.iter().map(|text| json_text(text)));
        Object::new().raw("format", row.format).text("since", row.since).raw("adds", adds)
    });
    Object::new()
        .text("version", env!("CARGO_PKG_VERSION"))
        .text("formats", &FormatRange::OWN.to_string())
        .raw("known", json_list(known))
}

impl Verdict {
    /// Prints the answer, or fails with it. JSON is printed whatever the answer is.
    ///
    /// # Errors
    /// When the answer is no, or is not known.
    pub fn told(self, json: AsJson) -> Result<(), Failure> {
        let (answer, sentence) = match &self {
            Verdict::Yes(sentence) => ("yes", sentence),
            Verdict::No(sentence) => ("no", sentence),
            Verdict::Unknown(sentence) => ("unknown", sentence),
        };
        if json.is_wanted() {
            let object = Object::new().text("answer", answer).text("sentence", sentence);
            print(object.line().as_bytes())?;
        }
        match self {
            Verdict::Yes(_) if json.is_wanted() => Ok(()),
            Verdict::Yes(sentence) => print(format!("{sentence}\n").as_bytes()),
            Verdict::No(sentence) => Err(Failure::No(sentence)),
            Verdict::Unknown(sentence) => Err(Failure::Unavailable(sentence)),
        }
    }
}

impl Program {
    /// Asks a program what it reads. A program from before format 2 does not know the question,
    /// and is known by its version.
    ///
    /// # Errors
    /// When it cannot be run, or is no Coracle.
    pub fn ask(path: &Path) -> Result<Program, Failure> {
        if let Some(program) = output(path, &["upgrade", "formats"])?.and_then(|t| parse(&t)) {
            return Ok(program);
        }
        let said = output(path, &["--version"])?;
        let version = said.as_deref().and_then(|text| text.trim_end().strip_prefix("coracle "));
        let known = version.and_then(|version| Some((version, reads_of(version)?)));
        let Some((version, reads)) = known else {
            let path = path.display();
            return Err(usage(format!("{path} does not say which version of coracle it is")));
        };
        Ok(Program { version: version.to_owned(), reads })
    }

    /// Says whether servers of this program can take part in the cluster.
    pub fn verdict(&self, view: &View) -> Verdict {
        let Program { version, reads } = self;
        let Some(format) = view.format() else {
            return Verdict::Unknown("unknown: no server answered".into());
        };
        let facts = format!("format {format} is in force, and {version} reads {reads}");
        if format > reads.highest {
            return Verdict::No(format!(
                "no: {facts}: a server of it refuses the data of that format and stops. The \
                 way back is a backup from before format {format} was in force"
            ));
        }
        if format < reads.lowest {
            return Verdict::No(format!(
                "no: {facts}: it skips a release. Run a version first that reads both format \
                 {format} and format {}, on all servers, until `coracle upgrade status` shows \
                 format {}",
                reads.lowest, reads.lowest
            ));
        }
        if !view.is_current() {
            let unreachable = named(&view.unreachable());
            return Verdict::Unknown(format!(
                "unknown: {facts}, but {unreachable} did not answer and may know of a higher \
                 format"
            ));
        }
        let holders = view.holders();
        let way_back = match holders.is_empty() {
            true => "hold the format (`coracle upgrade hold`) to keep the way back open".into(),
            false => {
                let hold = if holders.len() == 1 { "holds" } else { "hold" };
                format!("the way back stays open while {} {hold} the format", named(&holders))
            }
        };
        Verdict::Yes(format!("yes: {facts}: any order works; {way_back}"))
    }
}

/// The formats that a version reads which does not tell them.
fn reads_of(version: &str) -> Option<FormatRange> {
    let version = numbers(version)?;
    let known = FORMATS.iter().filter(|row| numbers(row.since).is_some_and(|s| s <= version));
    let highest = known.map(|row| row.format).max()?;
    Some(FormatRange { lowest: Format::FIRST, highest })
}

/// The numbers of a version such as `0.1.0`, without what follows a hyphen or a plus sign.
fn numbers(version: &str) -> Option<[u64; 3]> {
    let numbers = version.split(['-', '+']).next()?;
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    let version = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(version)
}

/// Parses the output of `upgrade formats`. Lines that are unknown are those of a later version.
fn parse(text: &str) -> Option<Program> {
    let find = |word: &str| text.lines().find_map(|line| line.strip_prefix(word));
    let version = find("version ")?.to_owned();
    Some(Program { version, reads: find("formats ").and_then(parse_range)? })
}

/// The output of a program; `None` when it fails, and when it prints no text.
fn output(path: &Path, arguments: &[&str]) -> Result<Option<String>, Failure> {
    let cannot = |error| usage(format!("cannot run {}: {error}", path.display()));
    let mut child = Command::new(path)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(cannot)?;
    let text = read(&mut child);
    if text.is_none() {
        // It may have ended by itself.
        let _ = child.kill();
    }
    let status = child.wait().map_err(cannot)?;
    Ok(text.filter(|_| status.success()))
}

/// Reads what a program prints until it closes its output, within the bounds.
fn read(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes);
        // Nobody waits any more when the program took too long.
        let _ = sender.send(read.map(|_| bytes));
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(Ok(bytes)) => String::from_utf8(bytes).ok(),
        Ok(Err(_)) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
    }
}

#[cfg(test)]
mod tests;
