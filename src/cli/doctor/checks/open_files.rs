//! The limit on open files against the clients that the settings admit.

use coracle::node::own_files;

use super::super::super::text::grouped;
use super::super::facts::{Facts, ServerFacts};
use super::super::finding::{Diagnosis, Finding};

const NAME: &str = "open files";
const ADVICE: &str = "raise the limit (`ulimit -n`, or LimitNOFILE= in a systemd unit) and restart \
                      the server, or lower [limits] connections_max";

/// The files of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Files {
    /// The number that it may have open.
    max: u64,
    /// The number that it has open; `None` when it does not run, or does not tell.
    open: Option<u64>,
    /// The number that it needs without clients.
    own: u64,
    /// The number of clients that the settings admit.
    clients: u64,
}

/// Checks the limit of each server that tells its own, or that would be started here.
pub fn check(facts: &Facts, diagnosis: &mut Diagnosis) {
    let mut are_known = false;
    for server in &facts.servers {
        if let Some(files) = files(facts, server) {
            are_known = true;
            diagnosis.findings.push(finding(files).of(server.id()));
        }
    }
    if !are_known {
        let clause = "open files, because no server tells of them and no data directory is here";
        diagnosis.unchecked.push(clause.into());
    }
}

fn files(facts: &Facts, server: &ServerFacts) -> Option<Files> {
    let listed = facts.listed(server.id())?;
    let metrics = server.metrics.unwrap_or_default();
    let here = server.local.as_ref().map(|_| facts.machine.open_files_max);
    let max = metrics.open_files_max.or(here)?;
    let own = own_files(facts.settings(), listed, max);
    let clients = facts.settings().limits.connections_max as u64;
    Some(Files { max, open: metrics.open_files, own, clients })
}

fn finding(files: Files) -> Finding {
    let Files { max, open, own, clients } = files;
    let wanted = own.saturating_add(clients);
    let said = open.map_or(String::new(), |open| format!(", and has {} open", grouped(open)));
    let text = format!("its process may have {} open{said}", grouped(max));
    if max <= own {
        let text = format!("{text}; it needs more than {} to start", grouped(own));
        return Finding::fail(NAME, text, ADVICE);
    }
    if open.is_some_and(|open| open > max / 5 * 4) {
        return Finding::fail(NAME, format!("{text}: more than four fifths"), ADVICE);
    }
    if max < wanted {
        let room = grouped(max - own);
        let wanted = grouped(clients);
        let text = format!("{text}: enough for {room} clients, not for connections_max ({wanted})");
        return Finding::warn(NAME, text, ADVICE);
    }
    Finding::ok(NAME, format!("{text}; {} are needed at most", grouped(wanted)))
}

#[cfg(test)]
mod tests;
