//! `doctor`: checks the servers and this machine, and says what to change.
//!
//! Facts are gathered first, by asking the servers and by looking at what is here. Each check is a
//! pure function of these facts.
//!
//! | file | contents |
//! | --- | --- |
//! | `facts` | everything that was gathered |
//! | `gather` | the questions to servers, ports, disks and the machine |
//! | `checks` | the checks, a file for each subject (pure) |
//! | `finding` | the outcome of a check, as text and as JSON (pure) |

mod checks;
mod facts;
mod finding;
mod gather;

use clap::Args;
use coracle::types::NodeId;

use super::cluster::{Cluster, block_on};
use super::failure::{Failure, usage};
use super::json::AsJson;
use super::paint::Paint;
use finding::Diagnosis;

#[derive(Args, Debug)]
pub struct DoctorCommand {
    /// The server whose files are on this machine; without it, each whose data directory is here
    #[arg(long, value_name = "N")]
    id: Option<u64>,
    #[command(flatten)]
    json: AsJson,
    #[command(flatten)]
    cluster: Cluster<2_000, 2_000>,
}

impl DoctorCommand {
    /// Prints what was found. Fails when a check does.
    pub fn run(self) -> Result<(), Failure> {
        let id = self.id.map(NodeId);
        let facts = block_on(async {
            let roster = self.cluster.roster().await?;
            match (&roster.settings, id) {
                (Some(settings), Some(id)) => {
                    settings.server(id)?;
                }
                (None, Some(id)) => {
                    let reason = "only servers.toml says where its files are: give --config";
                    return Err(usage(format!("--id {id}: {reason}")));
                }
                (_, None) => {}
            }
            Ok(gather::gather(roster, id, self.cluster.patience()).await)
        })??;
        let diagnosis = checks::check(&facts);
        self.json.print(|| diagnosis.json(), || diagnosis.text(Paint::of_stdout()))?;
        failure(&diagnosis).map_or(Ok(()), Err)
    }
}

/// The end of the command when a check fails.
fn failure(diagnosis: &Diagnosis) -> Option<Failure> {
    let failed = diagnosis.failed();
    let checks = if failed.len() == 1 { "a check fails" } else { "checks fail" };
    (!failed.is_empty()).then(|| Failure::No(format!("{checks}: {}", failed.join(", "))))
}

#[cfg(test)]
mod tests;
