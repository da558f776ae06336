//! `debug bundle`: one archive with what all servers say of themselves, the settings without
//! secrets, and the ends of log files.
//!
//! No key and no value of the store is asked for, so none can be in it.
//!
//! | file | contents |
//! | --- | --- |
//! | `collect` | the questions to the servers |
//! | `logs` | the ends of log files |
//! | `settings` | the settings that are no secrets (pure) |
//! | `manifest` | the parts that are there, and the reasons why others are not (pure) |
//! | `archive` | the archive, and its file |

mod archive;
mod collect;
mod logs;
mod manifest;
mod settings;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::cluster::{Cluster, block_on};
use super::failure::Failure;
use super::json::{AsJson, Object};
use super::roster::Roster;
use super::survey::{Target, hear_all};
use super::text::plural;
use clap::{Args, Subcommand};
use manifest::{Manifest, Part};

/// The end of the help.
const CONTENTS: &str = "The archive has what each server says over its ports (status, members, \
                        report, metrics, checks, version), the settings that are no secrets, and \
                        the last MiB of each log file that is given. It has addresses and names \
                        of machines, and no key or value of the store";

#[derive(Debug, Subcommand)]
pub enum DebugCommand {
    /// Write one archive with the state of all servers, to be read by somebody else
    #[command(after_help = CONTENTS)]
    Bundle(BundleCommand),
}

#[derive(Args, Debug)]
pub struct BundleCommand {
    /// The archive to write, which must not exist; by default coracle-debug-SECONDS.tar.gz in the
    /// current directory
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A log file whose end is put in. May be there several times
    #[arg(long, value_name = "FILE")]
    log: Vec<PathBuf>,
    #[command(flatten)]
    json: AsJson,
    #[command(flatten)]
    cluster: Cluster<3_000, 3_000>,
}

impl DebugCommand {
    /// Does what the command line asks for.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            DebugCommand::Bundle(command) => command.run(),
        }
    }
}

impl BundleCommand {
    /// Writes the archive. A part that cannot be had is a line of its manifest. Fails when the file
    /// exists or cannot be written.
    fn run(self) -> Result<(), Failure> {
        let roster = block_on(self.cluster.roster())??;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let default = || format!("coracle-debug-{}.tar.gz", since.as_secs()).into();
        let path = self.output.clone().unwrap_or_else(default);
        // The file comes first: whoever has gathered everything must be able to write it.
        let file = archive::create(&path)?;
        let parts = block_on(gather(&roster, self.cluster.patience(), &self.log));
        let made_at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let written = parts.and_then(|parts| {
            let manifest = Manifest { cluster: roster.name, made_at_ms, parts };
            archive::write(file, &manifest)?;
            Ok(manifest)
        });
        match written {
            Ok(manifest) => {
                let missing = manifest.missing().count() as u64;
                let parts = plural("part", missing);
                let told = match missing {
                    0 => String::new(),
                    _ => format!("; {missing} {parts} could not be had: manifest.json says why"),
                };
                let file = path.display().to_string();
                self.json.print(
                    || Object::new().text("file", &file).raw("manifest", manifest.json()),
                    || format!("{file} is written{told}\n"),
                )
            }
            Err(error) => {
                archive::remove(&path);
                Err(error)
            }
        }
    }
}

/// Gathers all parts.
async fn gather(roster: &Roster, patience: Duration, logs: &[PathBuf]) -> Vec<Part> {
    let mut parts =
        vec![settings::part(roster.settings.as_ref().map(|settings| settings.path.as_path()))];
    // Members that have been added are in no servers.toml.
    let heard = hear_all(&roster.targets, patience).await;
    let targets: Vec<Target> = heard.into_iter().map(|heard| heard.target).collect();
    parts.extend(collect::collect(&targets, patience).await);
    parts.extend(logs.iter().enumerate().map(|(number, path)| logs::part(number + 1, path)));
    parts
}
