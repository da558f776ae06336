//! The watches of one hub: how far each has come, and what it is sent next.
//!
//! A watch has a cursor and no queue. It is sent at most one text at a time, which is read from
//! the newest view of the history when the client has taken the one before. So a client that
//! does not read costs its socket's buffers and one text.
//!
//! Most watches are idle: they have everything, and wait. They are not touched when the history
//! grows. The keys of its new changes are looked up instead, a bounded number a turn, and the
//! watches that are interested are read for. Until where this search has come is `searched`: no
//! idle watch is interested in a change before it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::actors::io::memory::MemoryBudget;
use crate::actors::io::output::UNCOPIED_BYTES_MIN;
use crate::actors::messages::clients::SessionId;
use crate::actors::messages::watch::{WatchNews, WatchText};
use crate::actors::watch::interest::{TopicId, Topics};
use crate::kv::{
    ChangeEvent, Corruption, HistoryView, WatchBudget, WatchCompacted, WatchCursor, WatchFilter,
    WatchRead, WatchReadError,
};
use crate::protocol::{ErrorReply, WatchPart};

/// The bounds of the texts.
#[derive(Clone, Copy, Debug)]
pub struct WatchLimits {
    /// The size of the largest event that this server's own limits allow, in bytes. A larger one,
    /// from before the limits were lowered, is sent whatever the memory.
    pub event_bytes_max: usize,
}

/// Maximum size of the events of a text in bytes, if no single one is larger.
const TEXT_BYTES_MAX: usize = 32 * 1024;
/// Maximum number of keys that are looked at for one text: a fraction of a millisecond.
const READ_KEYS_MAX: usize = 1024;
/// Maximum number of changed keys that are looked up in one turn: a millisecond or two.
const SEARCHED_KEYS_MAX: usize = 4096;
/// The work of one turn: a text that has to be read costs [`READ_WORK`], one that is there 1.
const TURN_WORK: usize = 1024;
const READ_WORK: usize = 16;
/// Maximum number of texts that a topic keeps for watches that are at the same place.
const KEPT_TEXTS_MAX: usize = 4;
/// The time after which a watch that was sent nothing is told how far it has come.
pub(super) const SILENCE: Duration = Duration::from_secs(5);

/// The way to a session.
pub(super) trait Port {
    fn send(&self, news: WatchNews);
}

/// A watch that begins.
pub(super) struct NewWatch<P, H> {
    pub(super) session: SessionId,
    pub(super) filter: WatchFilter,
    /// The first revision; `None` is the next one.
    pub(super) from: Option<u64>,
    pub(super) port: P,
    /// A part of a bound, which is given back when the watch ends.
    pub(super) held: H,
}

/// One watch.
struct Watch<P, H> {
    topic: TopicId,
    port: P,
    state: State,
    place: Place,
    /// The time when something was sent to it.
    sent_at: Instant,
    /// True until it has come to the present for the first time, if it began with the past. Then it
    /// is told so at once, and a client that reads "all until now" need not wait.
    is_catching_up: bool,
    _held: H,
}

/// The place to which a watch has come.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    cursor: WatchCursor,
    /// The revision of which something was sent, but not the end.
    open: Option<u64>,
    /// The last revision whose end was sent.
    ended: u64,
}

impl Place {
    /// Prints the end of the open revision, if it comes before this one.
    fn close_before(&mut self, next: u64, text: &mut Vec<u8>) {
        if let Some(revision) = self.open.take_if(|open| *open < next) {
            self.ended = revision;
            WatchPart::End { revision }.print(text);
        }
    }
}

/// The thing that a watch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// For a change. It has everything before `searched`, and its own place may be further.
    Idle,
    /// For the first revision that it wants, which is in the future.
    Ahead,
    /// For its turn.
    Due,
    /// For memory.
    Short,
    /// For its client, who has not taken the text that was sent.
    Sending,
}

/// The texts that the watches of a topic share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Texts from the present view: where each begins, and where it ends.
    texts: VecDeque<(Place, WatchText, Place)>,
}

/// The watches of one hub. `P` is the way to a session.
pub(super) struct Watches<P, H> {
    limits: WatchLimits,
    memory: MemoryBudget,
    /// The newest view; `None` while there are no watches.
    view: Option<HistoryView>,
    /// No idle watch is interested in a change before this place.
    searched: WatchCursor,
    /// True when there may be changes after `searched`.
    is_search_due: bool,
    topics: Topics<Shared>,
    /// The topics that keep texts.
    with_texts: Vec<TopicId>,
    watches: BTreeMap<SessionId, Watch<P, H>>,
    /// The watches in the state `Due`, in the order of their turns. Others may be among them.
    due: VecDeque<SessionId>,
    /// The watches in the state `Ahead`, by their first revision.
    ahead: BTreeSet<(u64, SessionId)>,
    /// The watches in the state `Short`. Others may be among them.
    short: VecDeque<SessionId>,
    /// The times at which it is looked whether a watch was silent: one a watch.
    looks: BTreeSet<(Instant, SessionId)>,
}

impl<P: Port, H> Watches<P, H> {
    pub(super) fn new(limits: WatchLimits, memory: MemoryBudget) -> Watches<P, H> {
        Watches {
            limits,
            memory,
            view: None,
            searched: WatchCursor::from(0),
            is_search_due: false,
            topics: Topics::new(),
            with_texts: Vec::new(),
            watches: BTreeMap::new(),
            due: VecDeque::new(),
            ahead: BTreeSet::new(),
            short: VecDeque::new(),
            looks: BTreeSet::new(),
        }
    }

    /// True when there is no watch.
    pub(super) fn is_empty(&self) -> bool {
        self.watches.is_empty()
    }

    /// Takes a view of the history, which is not older than the one before.
    pub(super) fn on_view(&mut self, view: HistoryView) {
        self.forget_texts();
        let revision = view.revision();
        if self.view.is_none() {
            // Nobody is idle yet.
            self.searched = WatchCursor::from(revision + 1);
        }
        self.view = Some(view);
        self.is_search_due = true;
        while let Some((from, session)) = self.ahead.first().copied() {
            if from > revision + 1 {
                break;
            }
            self.ahead.pop_first();
            self.make_due(session);
        }
    }

    /// Begins a watch, or refuses it. The view is one of now.
    pub(super) fn begin(&mut self, new: NewWatch<P, H>, now: Instant) {
        let NewWatch { session, filter, from, port, held } = new;
        let Some(view) = &self.view else { return };
        // No store has a change of revision 1, which is that of an empty one.
        let first = from.unwrap_or(view.revision() + 1);
        let cursor = WatchCursor::from(first.max(2));
        if cursor.complete_to() + 1 < view.watchable_from() {
            let revision = view.compacted();
            return port.send(WatchNews::Refused(ErrorReply::Compacted { revision }));
        }
        port.send(WatchNews::Began { revision: first });
        let is_catching_up = first <= view.revision();
        let place = Place { cursor, open: None, ended: 0 };
        let topic = self.topics.add(&filter);
        let state = State::Due;
        let watch = Watch { topic, port, state, place, sent_at: now, is_catching_up, _held: held };
        self.watches.insert(session, watch);
        self.due.push_back(session);
        self.looks.insert((now + SILENCE, session));
    }

    /// The client of a watch has taken what was sent.
    pub(super) fn on_ready(&mut self, session: SessionId) {
        if self.watches.get(&session).is_some_and(|watch| watch.state == State::Sending) {
            self.make_due(session);
        }
    }

    /// Ends a watch.
    pub(super) fn end(&mut self, session: SessionId) {
        let Some(watch) = self.watches.remove(&session) else { return };
        self.topics.remove(watch.topic, session);
        if watch.state == State::Ahead {
            self.ahead.retain(|(_, other)| *other != session);
        }
        self.forget_if_empty();
    }

    /// Ends all watches, and tells each of them why.
    pub(super) fn end_all(&mut self, error: &ErrorReply) {
        let sessions: Vec<SessionId> = self.watches.keys().copied().collect();
        for session in sessions {
            if let Some(watch) = self.watches.get(&session) {
                watch.port.send(WatchNews::Ended(error.clone()));
            }
            self.end(session);
        }
    }

    /// Forgets the view when there is no watch: it would keep alive what the store replaces.
    pub(super) fn forget_if_empty(&mut self) {
        if self.watches.is_empty() {
            self.view = None;
            self.forget_texts();
            self.due.clear();
            self.short.clear();
            self.looks.clear();
        }
    }

    fn make_due(&mut self, session: SessionId) {
        if let Some(watch) = self.watches.get_mut(&session) {
            watch.state = State::Due;
            self.due.push_back(session);
        }
    }

    /// Does the work of one turn. Returns true when there is more.
    ///
    /// # Errors
    /// When a change is not what was written. No watch may be sent anything then.
    pub(super) fn serve(&mut self, now: Instant) -> Result<bool, Corruption> {
        if self.view.is_none() {
            return Ok(false);
        }
        self.search();
        let mut work = TURN_WORK;
        while work > 0 {
            let Some(session) = self.due.pop_front() else { break };
            work = work.saturating_sub(self.serve_one(session, now)?);
        }
        Ok(self.is_search_due || !self.due.is_empty())
    }

    /// Looks for idle watches that are interested in the next changes.
    fn search(&mut self) {
        let Some(view) = self.view.as_ref().filter(|_| self.is_search_due) else { return };
        let mut found = BTreeSet::new();
        let topics = &self.topics;
        let take = |key: &[u8]| topics.each_of_key(key, |id| _ = found.insert(id));
        let begin = self.searched.clone();
        match view.changed_keys(&begin, SEARCHED_KEYS_MAX, take) {
            Ok((searched, has_more)) => {
                self.searched = searched;
                self.is_search_due = has_more;
            }
            // The store of a snapshot has changes before its first ones. Each watch finds out
            // whether it misses any.
            Err(WatchCompacted { .. }) => {
                found.extend(self.topics.ids());
                self.searched = WatchCursor::from(view.revision() + 1);
                self.is_search_due = false;
            }
        }
        for id in found {
            self.wake(id, &begin);
        }
    }

    /// Lets the idle watches of a topic be read for, from this place on.
    fn wake(&mut self, id: TopicId, from: &WatchCursor) {
        let Some(topic) = self.topics.get_mut(id) else { return };
        for session in std::mem::take(&mut topic.idle) {
            let Some(watch) = self.watches.get_mut(&session) else { continue };
            // A watch that was read for after the search came here is further.
            if watch.place.cursor.complete_to() <= from.complete_to() {
                watch.place.cursor = from.clone();
            }
            watch.state = State::Due;
            self.due.push_back(session);
        }
    }

    /// Sends a watch its next text, if there is one. Returns what it cost.
    fn serve_one(&mut self, session: SessionId, now: Instant) -> Result<usize, Corruption> {
        let (Some(view), Some(watch)) = (&self.view, self.watches.get_mut(&session)) else {
            return Ok(1);
        };
        if watch.state != State::Due {
            return Ok(1);
        }
        let Some(topic) = self.topics.get_mut(watch.topic) else { return Ok(1) };
        if watch.place.cursor.complete_to() >= view.revision() {
            let complete_to = watch.place.cursor.complete_to();
            if complete_to > view.revision() {
                watch.state = State::Ahead;
                self.ahead.insert((complete_to + 1, session));
            } else if std::mem::take(&mut watch.is_catching_up) && watch.place.ended < complete_to {
                watch.send_end(now);
            } else {
                watch.state = State::Idle;
                topic.idle.insert(session);
            }
            return Ok(1);
        }
        let shared = topic.shared.texts.iter().find(|(begin, ..)| *begin == watch.place);
        if let Some((_, text, end)) = shared {
            watch.send(text.clone(), end.clone(), now);
            return Ok(1);
        }
        let free = self.memory.free_bytes();
        let budget = budget(free, self.watches.len());
        let Some(watch) = self.watches.get_mut(&session) else { return Ok(1) };
        let read = match view.read(&watch.place.cursor, &topic.filter, budget) {
            Ok(read) => read,
            Err(WatchReadError::Compacted(WatchCompacted { revision })) => {
                watch.port.send(WatchNews::Ended(ErrorReply::Compacted { revision }));
                self.end(session);
                return Ok(READ_WORK);
            }
            Err(WatchReadError::Corrupted(corruption)) => return Err(corruption),
        };
        let work = READ_WORK + read.events.len() / 4;
        let bytes = read.events.iter().map(event_bytes).sum::<usize>();
        let is_large = bytes > TEXT_BYTES_MAX.max(self.limits.event_bytes_max);
        if bytes as u64 > free / 2 && !is_large {
            watch.state = State::Short;
            self.short.push_back(session);
            return Ok(work);
        }
        let (text, end) = print(read, &watch.place);
        if text.is_empty() {
            watch.place = end;
            self.due.push_back(session);
            return Ok(work);
        }
        let held = (text.len() >= UNCOPIED_BYTES_MIN)
            .then(|| Arc::new(self.memory.reserve(text.len() as u64)));
        let text = WatchText { bytes: text.into(), held };
        let begin = watch.place.clone();
        watch.send(text.clone(), end.clone(), now);
        if topic.is_shared() {
            if topic.shared.texts.is_empty() {
                self.with_texts.push(watch.topic);
            }
            topic.shared.texts.push_back((begin, text, end));
            if topic.shared.texts.len() > KEPT_TEXTS_MAX {
                topic.shared.texts.pop_front();
            }
        }
        Ok(work)
    }

    /// Forgets the texts that are kept for watches at the same place.
    fn forget_texts(&mut self) {
        for id in self.with_texts.drain(..) {
            if let Some(topic) = self.topics.get_mut(id) {
                topic.shared.texts = VecDeque::new();
            }
        }
    }

    /// True when a watch waits for memory.
    pub(super) fn is_short(&self) -> bool {
        !self.short.is_empty()
    }

    /// Lets the watches that wait for memory try again.
    pub(super) fn retry_short(&mut self) {
        for session in std::mem::take(&mut self.short) {
            if self.watches.get(&session).is_some_and(|watch| watch.state == State::Short) {
                self.make_due(session);
            }
        }
    }

    /// The time of the next [`Watches::look_for_silence`].
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.looks.first().map(|(at, _)| *at)
    }

    /// Tells idle watches that were sent nothing for a while how far they have come: some of
    /// them, if there are many.
    pub(super) fn look_for_silence(&mut self, now: Instant) {
        self.forget_texts();
        let searched = self.searched.complete_to();
        for _ in 0..TURN_WORK {
            let Some((at, session)) = self.looks.first().copied().filter(|(at, _)| *at <= now)
            else {
                break;
            };
            self.looks.remove(&(at, session));
            let Some(watch) = self.watches.get_mut(&session) else { continue };
            if watch.state == State::Idle && watch.sent_at + SILENCE <= now {
                if watch.place.cursor.complete_to() < searched {
                    watch.place.cursor = self.searched.clone();
                }
                if let Some(topic) = self.topics.get_mut(watch.topic) {
                    topic.idle.remove(&session);
                }
                watch.send_end(now);
            }
            let next = watch.sent_at + SILENCE;
            self.looks.insert((if next > now { next } else { now + SILENCE }, session));
        }
    }
}

impl<P: Port, H> Watch<P, H> {
    /// Sends a text, at whose end the watch is then.
    fn send(&mut self, text: WatchText, end: Place, now: Instant) {
        self.place = end;
        self.state = State::Sending;
        self.sent_at = now;
        self.port.send(WatchNews::Text(text));
    }

    /// Sends how far the watch has come.
    fn send_end(&mut self, now: Instant) {
        let revision = self.place.cursor.complete_to();
        let mut text = Vec::new();
        WatchPart::End { revision }.print(&mut text);
        let text = WatchText { bytes: text.into(), held: None };
        self.send(text, Place { ended: revision, ..self.place.clone() }, now);
    }
}

/// The bounds of one text. All watches together get at most half of the free memory, so that those
/// that do not read leave room for everybody else.
fn budget(free_bytes: u64, watches: usize) -> WatchBudget {
    let share = usize::try_from(free_bytes / 2 / watches.max(1) as u64).unwrap_or(usize::MAX);
    WatchBudget { bytes: share.min(TEXT_BYTES_MAX), keys: READ_KEYS_MAX }
}

fn event_bytes(event: &ChangeEvent) -> usize {
    let values = [&event.record, &event.previous].into_iter().flatten();
    event.key.len() + values.map(|record| record.value().len()).sum::<usize>()
}

/// Prints what was read from a place on. Returns the place after it, too.
fn print(read: WatchRead, begin: &Place) -> (Vec<u8>, Place) {
    let WatchRead { events, complete_to, cursor, .. } = read;
    let mut text = Vec::new();
    let mut end = Place { cursor, ..begin.clone() };
    for event in events {
        let revision = event.revision;
        end.close_before(revision, &mut text);
        WatchPart::from(event).print(&mut text);
        end.open = Some(revision);
    }
    end.close_before(complete_to.saturating_add(1), &mut text);
    (text, end)
}

#[cfg(test)]
mod tests;
