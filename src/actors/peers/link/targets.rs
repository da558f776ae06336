//! The addresses at which a peer may be reached, in the order in which a link dials them
//! (docs/adr/0027).
//!
//! A round of dials tries each of them once. So a peer that has moved is found by any address
//! that still leads to it, and an address that leads nowhere costs the others one dial.

use crate::types::Address;

/// The addresses of one peer, and those that the round under way has tried.
#[derive(Default)]
pub(super) struct Targets {
    /// The address that the peer's last hello said.
    told: Option<Address>,
    /// The address that the log says, or servers.toml as long as the log says none.
    logged: Option<Address>,
    /// The address in servers.toml.
    configured: Option<Address>,
    /// The address that was dialled last.
    dialled: Option<Address>,
    /// The addresses that this round has tried.
    tried: Vec<Address>,
    /// True when nobody has listened at any of those.
    is_refused: bool,
}

impl Targets {
    /// The addresses of a peer that has said nothing yet.
    pub fn new(logged: Option<Address>, configured: Option<Address>) -> Targets {
        Targets { logged, configured, ..Targets::default() }
    }

    /// Takes the address that the peer's hello says. Returns true when it is another than its
    /// last hello said, and not the one that was dialled last.
    pub fn tell(&mut self, address: &Address) -> bool {
        if self.told.as_ref() == Some(address) {
            return false;
        }
        self.told = Some(address.clone());
        self.dialled.as_ref() != Some(address)
    }

    /// Takes the address that the log says. Returns true when it is a new one.
    pub fn set_logged(&mut self, address: &Address) -> bool {
        let is_new = self.logged.as_ref() != Some(address);
        self.logged = Some(address.clone());
        is_new
    }

    /// Begins a round: no address has been tried.
    pub fn begin_round(&mut self) {
        self.tried.clear();
        self.is_refused = true;
    }

    /// The next address of this round; `None` at its end.
    pub fn next(&mut self) -> Option<Address> {
        let all = [&self.told, &self.logged, &self.configured];
        let next = all.into_iter().flatten().find(|address| !self.tried.contains(address))?;
        self.dialled = Some(next.clone());
        self.tried.push(next.clone());
        self.dialled.clone()
    }

    /// The address that was dialled last.
    pub fn dialled(&self) -> Option<&Address> {
        self.dialled.as_ref()
    }

    /// Records how the dial ended: somebody listens there, or may.
    pub fn is_not_refused(&mut self) {
        self.is_refused = false;
    }

    /// True at the end of a round in which nobody has listened at any address.
    pub fn are_all_refused(&self) -> bool {
        self.is_refused && !self.tried.is_empty()
    }
}

#[cfg(test)]
mod tests;
