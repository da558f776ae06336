//! The grammar of the commands about transactions, leases, watches, history and modes.

use super::error_reply::ErrorReply;
use super::fields::{Fields, cmd_err, is};
use super::request::{LEASE_KEYS_MAX, Limits, Mode, Request, WatchRequest};
use crate::commands::{KeyRange, LEASE_TTL, Operation, Query};

/// Parses the rest of a line that begins with `word`; `None` when that is none of these
/// commands. What may stand behind the command is left in `fields`.
pub(super) fn parse<'a>(
    word: &[u8],
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
    limits: &Limits,
) -> Option<Result<Request, ErrorReply>> {
    Some(if is(word, "begin") {
        Ok(Request::Begin)
    } else if is(word, "check") {
        check(fields, limits)
    } else if is(word, "commit") {
        Ok(Request::Commit { once: None })
    } else if is(word, "discard") {
        Ok(Request::Discard)
    } else if is(word, "grant") {
        grant(fields)
    } else if is(word, "renew") {
        fields.id().map(|id| Request::Renew { id })
    } else if is(word, "revoke") {
        fields.id().map(|id| write(Operation::Revoke { id }))
    } else if is(word, "lease") {
        // One more than is shown tells whether there are more.
        let keys_max = LEASE_KEYS_MAX as u64 + 1;
        fields.id().map(|id| Request::Read(Query::Lease { id, keys_max }))
    } else if is(word, "watch") {
        watch(fields, limits)
    } else if is(word, "compact") {
        let revision = fields.number("<revision> is not a number");
        revision.map(|revision| write(Operation::Compact { revision }))
    } else if is(word, "mode") {
        mode(fields)
    } else {
        return None;
    })
}

/// A write without an exactly-once prefix, which always has a reply.
fn write(operation: Operation) -> Request {
    Request::Write { operation, once: None, noreply: false }
}

fn check<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
    limits: &Limits,
) -> Result<Request, ErrorReply> {
    let key = fields.key(limits)?;
    let version = fields.number("<version> is not a number")?;
    Ok(Request::Check { key, version })
}

fn grant<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
) -> Result<Request, ErrorReply> {
    let ttl = fields.number("<seconds> is not a number")?;
    if !LEASE_TTL.contains(&ttl) {
        return cmd_err("<seconds> is 1 to 3153600000");
    }
    let id = match fields.0.next() {
        Some(id) => Fields(std::iter::once(id)).id()?,
        None => 0,
    };
    // The session knows the limit of leases.
    Ok(write(Operation::Grant { id, ttl, leases_max: 0 }))
}

fn watch<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
    limits: &Limits,
) -> Result<Request, ErrorReply> {
    let word = fields.field("key or prefix is missing behind watch")?;
    let keys = if is(word, "key") {
        KeyRange::key(fields.key(limits)?)
    } else if is(word, "prefix") {
        KeyRange::prefix(fields.prefix(limits)?)
    } else {
        return cmd_err("behind watch stands key or prefix");
    };
    let mut next = fields.0.next();
    let mut from = None;
    if next.is_some_and(|word| is(word, "from")) {
        // From revision 0 means from the next change on, as without it.
        from = Some(fields.number("<revision> is not a number")?).filter(|from| *from > 0);
        next = fields.0.next();
    }
    let wants_previous = match next {
        None => false,
        Some(word) if is(word, "prev") => true,
        Some(_) => return cmd_err("at the end stands from <revision>, prev, both, or nothing"),
    };
    Ok(Request::Watch(WatchRequest { keys, from, wants_previous }))
}

fn mode<'a>(
    fields: &mut Fields<'a, impl Iterator<Item = &'a [u8]>>,
) -> Result<Request, ErrorReply> {
    let word = fields.field("leader, any or stale is missing behind mode")?;
    if is(word, "leader") {
        Ok(Request::SetMode(Mode::Leader))
    } else if is(word, "any") {
        Ok(Request::SetMode(Mode::Any))
    } else if is(word, "stale") {
        Ok(Request::SetMode(Mode::Stale))
    } else {
        cmd_err("behind mode stands leader, any or stale")
    }
}
