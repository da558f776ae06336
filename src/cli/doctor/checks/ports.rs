//! The ports: each answers, or is free on a machine where its server does not run.

use coracle::types::NodeId;

use super::super::super::text::named;
use super::super::facts::{Facts, Port, PortState, ServerFacts};
use super::super::finding::{Diagnosis, Finding};

const NAME: &str = "ports";

/// Checks the ports of each server; those that are as they should be are one finding.
pub fn check(facts: &Facts, diagnosis: &mut Diagnosis) {
    let findings: Vec<Finding> = facts.servers.iter().filter_map(of_server).collect();
    let is_well = |server: &&ServerFacts| findings.iter().all(|it| it.server != Some(server.id()));
    let well: Vec<NodeId> = facts.servers.iter().filter(is_well).map(ServerFacts::id).collect();
    if !well.is_empty() {
        let answer = if well.len() == 1 { "answers" } else { "answer" };
        let are_known = facts.settings.is_some();
        let ports = if are_known { "at each port" } else { "at the port for clients" };
        let text = format!("{} {answer} {ports}", named(&well));
        diagnosis.findings.push(Finding::ok(NAME, text));
    }
    diagnosis.findings.extend(findings);
}

/// The finding about a server with a port that is not as it should be.
fn of_server(server: &ServerFacts) -> Option<Finding> {
    let id = server.id();
    if server.ports.is_empty() {
        let reason = server.heard.status.as_ref().err()?;
        let advice = "start it, mend the network to it, or remove it from the cluster";
        return Some(Finding::fail(NAME, reason, advice).of(id));
    }
    let text = |wanted: fn(&PortState) -> Option<&str>| {
        let reasons = server
            .ports
            .iter()
            .filter_map(|port| Some(format!("{} {}", port.key, wanted(&port.state)?)));
        let reasons: Vec<String> = reasons.collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    };
    if let Some(text) = text(unusable) {
        let advice = "correct the address in servers.toml, or end what else listens there";
        return Some(Finding::fail(NAME, text, advice).of(id));
    }
    if let Some(text) = text(strange) {
        let advice = "look at its log, and at what listens there: `ss -ltnp` names it";
        return Some(Finding::fail(NAME, text, advice).of(id));
    }
    if let Some(text) = text(silent) {
        let advice = "start the server, or mend the network or the firewall between here and it";
        return Some(Finding::fail(NAME, text, advice).of(id));
    }
    free(id, &server.ports).map(|finding| finding.of(id))
}

/// The finding about ports at which nothing listens. All of them: the server does not run. Some of
/// them: it listens elsewhere.
fn free(id: NodeId, ports: &[Port]) -> Option<Finding> {
    let free: Vec<&Port> = ports.iter().filter(|port| port.state == PortState::Free).collect();
    let listed = |port: &&Port| format!("{} {}", port.key, port.address);
    let text = free.iter().map(listed).collect::<Vec<_>>().join(", ");
    match free.len() {
        0 => None,
        all if all == ports.len() => {
            let text = format!("it does not run on this machine, and its ports are free: {text}");
            Some(Finding::warn(NAME, text, format!("start it: `coracle serve --id {id}`")))
        }
        _ => {
            let text = format!("it runs, and nothing listens at {text}");
            let advice = "restart it with the servers.toml that is here";
            Some(Finding::fail(NAME, text, advice))
        }
    }
}

fn unusable(state: &PortState) -> Option<&str> {
    if let PortState::Unusable(reason) = state { Some(reason) } else { None }
}

fn strange(state: &PortState) -> Option<&str> {
    if let PortState::Strange(reason) = state { Some(reason) } else { None }
}

fn silent(state: &PortState) -> Option<&str> {
    if let PortState::Silent(reason) = state { Some(reason) } else { None }
}

#[cfg(test)]
mod tests;
