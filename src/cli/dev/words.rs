//! The commands that are typed while the servers run.

use coracle::types::NodeId;

/// A command that was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Kill a server, as `kill -9` does.
    Kill(NodeId),
    /// Start a server again.
    Restart(NodeId),
    /// Say who leads.
    Leader,
    /// List the commands.
    Help,
    /// Stop all servers, and end.
    Quit,
}

/// The commands, for people.
pub const HELP: &str = "k ID kills a server (kill -9), r ID starts it again, l says who leads, ? \
                        lists this, q stops all";

/// Reads a line. An empty one is no command.
///
/// # Errors
/// A sentence: the line is none of the commands, or the server is none of `ids`.
pub fn parse(line: &str, ids: &[NodeId]) -> Result<Option<Word>, String> {
    let line = line.trim();
    let mut letters = line.chars();
    let Some(first) = letters.next() else { return Ok(None) };
    let rest = letters.as_str().trim();
    let id = || {
        let id = rest.parse().map(NodeId).ok().filter(|id| ids.contains(id));
        id.ok_or_else(|| format!("there is no server {rest:?}: {first} takes one of {}", list(ids)))
    };
    Ok(Some(match first {
        'k' => Word::Kill(id()?),
        'r' => Word::Restart(id()?),
        'l' if rest.is_empty() => Word::Leader,
        '?' if rest.is_empty() => Word::Help,
        'q' if rest.is_empty() => Word::Quit,
        _ => return Err(format!("{line:?} is no command: {HELP}")),
    }))
}

fn list(ids: &[NodeId]) -> String {
    ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
