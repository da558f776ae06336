//! The servers that a client may ask: those that it was given, and the members of the cluster as
//! the servers name them (docs/adr/0026).

use crate::protocol::{MemberKind, MembersReport};
use crate::types::{LogIndex, MEMBERS_MAX};

/// The servers, at least one, in the order in which they are asked: the members, voters first, then
/// those that were given and are no members, or are reached there under other addresses.
///
/// A server that did not help is asked last, after those that failed before it. So an address that
/// does not answer costs one try, and the next command none.
#[derive(Clone, Debug)]
pub(super) struct Servers {
    known: Vec<Server>,
    /// The log entry of the newest membership that was known to be committed: an older one, of a
    /// server that was cut off or removed, is not taken.
    index: LogIndex,
    /// The number of failures so far.
    failures: u64,
}

#[derive(Clone, Debug)]
struct Server {
    address: String,
    is_given: bool,
    has_answered: bool,
    /// The number of its last failure; 0 when it has answered since, or has not failed.
    failure: u64,
}

impl Servers {
    /// The servers that a client is given.
    pub(super) fn new(addresses: Vec<String>) -> Servers {
        let mut servers = Servers { known: Vec::new(), index: LogIndex(0), failures: 0 };
        for address in addresses {
            if servers.position(&address).is_none() {
                let (is_given, has_answered, failure) = (true, false, 0);
                servers.known.push(Server { address, is_given, has_answered, failure });
            }
        }
        servers
    }

    /// The server at `address` did not help. It may have named the leader, but when that one is
    /// dead, others are to be asked before the same answer is heard again.
    pub(super) fn note_failure(&mut self, address: &str) {
        self.failures += 1;
        if let Some(at) = self.position(address) {
            self.known[at].failure = self.failures;
        }
    }

    /// The server to ask after the one at `address`, which did not help.
    pub(super) fn after(&mut self, address: &str) -> String {
        self.note_failure(address);
        let best = self.known.iter().min_by_key(|server| (server.failure, !server.has_answered));
        best.map_or(address, |server| &server.address).to_owned()
    }

    /// The server at `address` has answered.
    pub(super) fn note_answer(&mut self, address: &str) {
        if let Some(at) = self.position(address) {
            (self.known[at].has_answered, self.known[at].failure) = (true, 0);
        }
    }

    /// Takes the members for the servers from now on. Those that were given stay behind them: they
    /// may be other addresses of the same servers.
    pub(super) fn learn(&mut self, report: &MembersReport) {
        if report.index < self.index || report.members.is_empty() {
            return;
        }
        if report.is_committed {
            self.index = report.index;
        }
        let is_learner = |is_wanted: bool| {
            let members = report.members.iter();
            members.filter(move |member| (member.kind == MemberKind::Learner) == is_wanted)
        };
        let members = is_learner(false).chain(is_learner(true));
        let addresses = members.filter_map(|member| member.client_address.as_ref());
        let mut known = Vec::new();
        for address in addresses.take(MEMBERS_MAX).map(ToString::to_string) {
            if known.iter().any(|server: &Server| server.address == address) {
                continue;
            }
            let server = match self.position(&address) {
                Some(at) => self.known.remove(at),
                None => Server { address, is_given: false, has_answered: false, failure: 0 },
            };
            known.push(server);
        }
        known.extend(self.known.drain(..).filter(|server| server.is_given));
        self.known = known;
    }

    fn position(&self, address: &str) -> Option<usize> {
        self.known.iter().position(|server| server.address == address)
    }
}

#[cfg(test)]
mod tests;
