//! The bounds on memory of the servers here against the memory of this machine.

use super::super::super::text::{bytes, plural};
use super::super::facts::{Facts, ServerFacts};
use super::super::finding::{Diagnosis, Finding};

const NAME: &str = "memory";

/// Checks the memory of this machine.
pub fn check(facts: &Facts, diagnosis: &mut Diagnosis) {
    let servers: Vec<&ServerFacts> = facts.locals().map(|(server, _)| server).collect();
    let memory = facts.machine.memory_bytes;
    match (servers.is_empty(), memory) {
        (true, _) => diagnosis.unchecked.push("memory, because no server's files are here".into()),
        (false, None) => {
            diagnosis.unchecked.push("memory, because the kernel does not tell it".into());
        }
        (false, Some(memory)) => {
            let needed = servers.iter().map(|server| needed(facts, server)).sum();
            diagnosis.findings.push(finding(facts, servers.len() as u64, needed, memory));
        }
    }
}

/// The memory that a server may come to need, in bytes: its bounds, and its store as it is where
/// that has none.
fn needed(facts: &Facts, server: &ServerFacts) -> u64 {
    let limits = &facts.settings().limits;
    let status = server.heard.status.as_ref().ok();
    let now = |name: &str| status.and_then(|status| status.number(name)).unwrap_or(0);
    let or_now = |bound: u64, name: &str| if bound == 0 { now(name) } else { bound };
    let store = or_now(limits.store_bytes_max, "store_bytes");
    let history = match facts.settings().history.keep_revisions {
        0 => 0,
        _ => or_now(facts.settings().history.bytes_max, "history_bytes"),
    };
    limits.memory_bytes.saturating_add(store).saturating_add(history)
}

fn finding(facts: &Facts, servers: u64, needed: u64, memory: u64) -> Finding {
    let store = match facts.settings().limits.store_bytes_max {
        0 => "the store as it is, which has no bound",
        _ => "[limits] store_bytes_max",
    };
    let text = format!(
        "{servers} {} here may need {} ([limits] memory_bytes, [history] bytes_max, and {store}), \
         and this machine has {}",
        plural("server", servers),
        bytes(needed),
        bytes(memory)
    );
    let advice = "lower [history] bytes_max or [limits] memory_bytes, set store_bytes_max, or run \
                  fewer servers on this machine";
    if needed > memory {
        Finding::fail(NAME, text, advice)
    } else if needed > memory / 5 * 4 {
        Finding::warn(NAME, format!("{text}: more than four fifths"), advice)
    } else {
        Finding::ok(NAME, text)
    }
}

#[cfg(test)]
mod tests;
