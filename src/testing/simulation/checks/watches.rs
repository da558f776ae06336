//! Each watcher's stream is the committed history of its keys from its start: all changes, in their
//! order, each once, those of a revision together, whichever servers it has come from
//! (docs/protocol.md, "Watches").

use super::reference_store::{Became, Changed, ReferenceStore};
use super::violation::Check;
use crate::protocol::{ErrorReply, WatchEvent, WatchKind, WatchPart};
use crate::testing::simulation::history::{WatchStream, WatchWish};
use crate::testing::simulation::world::World;

/// Checks all streams.
pub(crate) fn check(world: &World, reference: &ReferenceStore) {
    let agreed_revision = reference.revision(world.seen.agreed_index.get());
    let all = world.seen.streams.borrow();
    for stream in all.iter().filter(|stream| !world.may_differ(stream.server)) {
        let is_removed = world.is_removed(stream.server.id);
        if let Err(what) = check_stream(reference, stream, agreed_revision, is_removed) {
            let WatchStream { watcher, server, wants, from, begun, .. } = stream;
            let of =
                format!("watcher {watcher} of {wants:?} at {server:?}, from {from:?}, {begun:?}");
            return world.violate(Check::Watches, format!("{of}: {what}"));
        }
    }
}

/// Checks a stream. A watcher that goes on does so behind the last `END`, so that each stream can
/// be checked by itself. A server that `is_removed` may end it for want of a leader.
fn check_stream(
    reference: &ReferenceStore,
    stream: &WatchStream,
    agreed_revision: u64,
    is_removed: bool,
) -> Result<(), String> {
    let last_revision = reference.revision(reference.last_index());
    // Without a beginning the reply was that the revision of `from` is not kept.
    let start = stream.begun.or(stream.from).unwrap_or(0);
    if stream.begun.is_some() && stream.from.is_some_and(|from| from != start) {
        return Err("it begins with another revision than that of from".to_owned());
    }
    let is_wanted = |change: &&Changed| change.revision >= start && wants(&stream.wants, change);
    let mut due = reference.changes().iter().filter(is_wanted).peekable();
    // The revision up to which all has come, and the one whose changes are coming.
    let (mut complete_to, mut open) = (start.saturating_sub(1), None);
    for part in &stream.parts {
        match part {
            WatchPart::Event(event) => {
                let expected = due.next();
                let is_expected =
                    expected.is_some_and(|it| is_event(it, event, stream.wants.wants_previous));
                if !is_expected {
                    return Err(format!("{event:?} came, and not {expected:?}"));
                }
                if open.is_some_and(|revision| revision != event.revision) {
                    return Err(format!("revision {open:?} has no END before {event:?}"));
                }
                open = Some(event.revision);
            }
            WatchPart::End { revision } => {
                if let Some(missing) = due.peek().filter(|change| change.revision <= *revision) {
                    return Err(format!("END {revision} came before {missing:?}"));
                }
                if *revision < complete_to.max(open.unwrap_or(0)) || *revision > last_revision {
                    return Err(format!("END {revision} came after {open:?} and {complete_to}"));
                }
                (complete_to, open) = (*revision, None);
            }
            WatchPart::Ended(ErrorReply::Compacted { revision }) => {
                let kept_to = reference.compacted(reference.last_index());
                if *revision <= complete_to || *revision > kept_to {
                    return Err(format!("compacted {revision} after {complete_to}, not {kept_to}"));
                }
            }
            WatchPart::Ended(ErrorReply::NoLeader) if is_removed => {}
            WatchPart::Ended(error) => return Err(format!("it ended with {error:?}")),
        }
    }
    if stream.is_last && complete_to < agreed_revision {
        return Err(format!("it came to {complete_to} only, and not to {agreed_revision}"));
    }
    Ok(())
}

fn wants(wish: &WatchWish, change: &Changed) -> bool {
    match wish.is_prefix {
        true => change.key.starts_with(&wish.key),
        false => change.key == wish.key,
    }
}

/// True when an event is this change.
fn is_event(change: &Changed, event: &WatchEvent, wants_previous: bool) -> bool {
    let is_kind = match (&change.became, &event.kind) {
        (Became::Set(exptime, value), WatchKind::Set { exptime: told, value: written }) => {
            (exptime, value) == (told, written)
        }
        (Became::Deleted, WatchKind::Deleted) | (Became::Expired, WatchKind::Expired) => true,
        _ => false,
    };
    let previous = event.previous.as_ref().map(|it| (it.revision, it.value.clone()));
    is_kind
        && (change.revision, &change.key) == (event.revision, &event.key)
        && previous == change.previous.clone().filter(|_| wants_previous)
}

#[cfg(test)]
mod tests;
