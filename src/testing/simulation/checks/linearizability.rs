//! Searches for an order of all operations in which every answer is right: of those on one key, and
//! of those on all keys that transactions tie together. Each operation takes effect at one point in
//! time between its sending and its answer (Herlihy and Wing).
//!
//! The search is that of Wing and Gong with Lowe's memory: it tries every operation that may be the
//! next one, and never the same set of operations with the same state twice. An operation without
//! an answer takes effect at any time after its sending, or never.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::testing::simulation::history::{Action, Answer, Operation, Part};

/// Maximum number of steps of a search. A history that needs more was still checked by
/// `log_order`.
const STEPS_MAX: u64 = 100_000;

/// The result of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none.
    Violation(String),
    /// The search was given up: too many operations have no answer.
    GivenUp,
}

/// The value of a key: the place of its write in the history, or `None` for an absent key.
type Value = Option<usize>;

/// The values of all keys of a group, by the numbers that the keys have in it.
type State = Vec<Value>;

/// The knowledge about the value of a key that an answer gives.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// This value.
    Exactly(Value),
    /// Some value, of an unknown write.
    Something,
}

impl Seen {
    fn fits(self, value: Value) -> bool {
        match self {
            Seen::Exactly(seen) => seen == value,
            Seen::Something => value.is_some(),
        }
    }
}

/// The facts about one key that follow from an operation and its answer: the value before it, and
/// the one after it if it writes the key.
#[derive(Clone, Copy, Debug)]
struct Effect {
    key: usize,
    before: Option<Seen>,
    /// The value before it was not this one.
    but_not: Option<Value>,
    after: Option<Value>,
}

impl Effect {
    fn look(key: usize, seen: Seen) -> Effect {
        Effect { key, before: Some(seen), but_not: None, after: None }
    }

    /// A question whose answer shows that the key has not the value that was asked for.
    fn unlike(key: usize, seen: Seen, asked: Seen) -> Effect {
        let but_not = match asked {
            Seen::Exactly(value) => Some(value),
            Seen::Something => None,
        };
        Effect { but_not, ..Effect::look(key, seen) }
    }

    fn change(key: usize, before: Option<Seen>, after: Value) -> Effect {
        Effect { key, before, but_not: None, after: Some(after) }
    }

    fn fits(&self, state: &State) -> bool {
        let value = state[self.key];
        self.before.is_none_or(|seen| seen.fits(value)) && self.but_not != Some(value)
    }
}

/// The effects of an operation with its answer. All of them are at one moment.
#[derive(Clone, Debug)]
struct Step {
    effects: Vec<Effect>,
    /// True for an operation without an answer, which happens or not.
    is_lost: bool,
}

impl Step {
    /// The key of a deletion without an answer. If several of one key may be next, it suffices to
    /// try one.
    fn lost_delete(&self) -> Option<usize> {
        match self.effects[..] {
            [Effect { key, before: None, after: Some(None), .. }] if self.is_lost => Some(key),
            _ => None,
        }
    }

    fn is_look(&self) -> bool {
        self.effects.iter().all(|effect| effect.after.is_none())
    }

    fn apply(&self, state: &State) -> Option<State> {
        if !self.effects.iter().all(|effect| effect.fits(state)) {
            return None;
        }
        let mut next = state.clone();
        for effect in &self.effects {
            next[effect.key] = effect.after.unwrap_or(next[effect.key]);
        }
        // If it changes nothing, it need not have happened.
        (!self.is_lost || next != *state).then_some(next)
    }
}

/// The time of an operation, on the clients' logical clock, and its effect.
struct Interval {
    invoked: u64,
    /// `u64::MAX` without an answer.
    returned: u64,
    step: Step,
    operation: usize,
}

/// Checks a history group by group: keys are in one group when a transaction has both of them.
/// It is linearizable if the history of each group is.
pub fn check(history: &[Operation]) -> Verdict {
    let mut verdict = Verdict::Linearizable;
    for (keys, places) in groups(history) {
        match check_group(history, &keys, &places) {
            Verdict::Linearizable => {}
            Verdict::GivenUp => verdict = Verdict::GivenUp,
            violation => return violation,
        }
    }
    verdict
}

/// The keys of a group with their numbers in it.
type Keys<'a> = BTreeMap<&'a Bytes, usize>;

/// The groups of keys, each with the places of its operations in the history.
fn groups(history: &[Operation]) -> Vec<(Keys<'_>, Vec<usize>)> {
    let mut groups: Vec<(BTreeSet<&Bytes>, Vec<usize>)> = Vec::new();
    for (place, operation) in history.iter().enumerate() {
        let parts = operation.action.parts().iter().map(Part::key);
        let mut keys: BTreeSet<&Bytes> = parts.collect();
        if keys.is_empty() {
            keys.insert(&operation.key);
        }
        let mut places = vec![place];
        groups.retain_mut(|(others, at)| {
            let is_apart = others.is_disjoint(&keys);
            if !is_apart {
                keys.append(others);
                places.append(at);
            }
            is_apart
        });
        groups.push((keys, places));
    }
    let numbered = groups.into_iter().map(|(keys, mut places)| {
        places.sort_unstable();
        (keys.into_iter().enumerate().map(|(number, key)| (key, number)).collect(), places)
    });
    numbered.collect()
}

fn check_group(history: &[Operation], keys: &Keys<'_>, places: &[usize]) -> Verdict {
    match intervals(history, keys, places) {
        Err(violation) => Verdict::Violation(violation),
        Ok(intervals) => search(history, keys.len(), &intervals),
    }
}

/// The write of each version and of each value.
#[derive(Default)]
struct Sources<'a> {
    /// The writes by key and version.
    versions: BTreeMap<(&'a Bytes, u64), usize>,
    /// The writes by value.
    writes: BTreeMap<&'a Bytes, usize>,
    /// True when an answer depends on a value without telling its write: that of a deletion, or
    /// one with an unknown version.
    has_unknown_writes: bool,
    /// The writes whose values were read.
    seen: BTreeSet<usize>,
}

impl<'a> Sources<'a> {
    fn find(history: &'a [Operation], places: &[usize]) -> Result<Sources<'a>, String> {
        let mut sources = Sources::default();
        for place in places {
            let values = history[*place].action.values();
            sources.writes.extend(values.map(|value| (value, *place)));
        }
        for place in places {
            let operation = &history[*place];
            for (key, answer) in answers(operation) {
                let is_new = sources.note(*place, key, answer);
                is_new.map_err(|what| format!("{what}: {operation:?}"))?;
            }
        }
        for place in places {
            let operation = &history[*place];
            let (key, version) = match &operation.answer {
                Answer::Mismatch(version) | Answer::Exists(version) => (&operation.key, *version),
                Answer::Aborted(key, version) => (key, *version),
                _ => continue,
            };
            match sources.versions.get(&(key, version)) {
                _ if version == 0 => {}
                Some(source) => {
                    sources.seen.insert(*source);
                }
                None => sources.has_unknown_writes = true,
            }
        }
        Ok(sources)
    }

    /// Notes the version that an answer shows.
    fn note(&mut self, place: usize, key: &'a Bytes, answer: &Answer) -> Result<(), String> {
        let (version, source) = match answer {
            Answer::Stored(version) => (*version, place),
            Answer::Value(version, value) => match self.writes.get(value) {
                Some(source) => (*version, *source),
                None => return Err("nobody wrote what was read".to_owned()),
            },
            Answer::Deleted => {
                self.has_unknown_writes = true;
                return Ok(());
            }
            _ => return Ok(()),
        };
        if *self.versions.entry((key, version)).or_insert(source) != source {
            return Err(format!("version {version} has two values"));
        }
        if let Answer::Value(..) = answer {
            self.seen.insert(source);
        }
        Ok(())
    }

    fn of(&self, key: &Bytes, version: u64) -> Seen {
        match (version, self.versions.get(&(key, version))) {
            (0, _) => Seen::Exactly(None),
            (_, Some(source)) => Seen::Exactly(Some(*source)),
            (_, None) => Seen::Something,
        }
    }
}

/// The answers of an operation, each with its key.
fn answers(operation: &Operation) -> Vec<(&Bytes, &Answer)> {
    match &operation.answer {
        Answer::Committed(_, answers) => {
            let parts = operation.action.parts().iter().filter(|part| part.has_reply());
            parts.map(Part::key).zip(answers).collect()
        }
        answer => vec![(&operation.key, answer)],
    }
}

fn intervals(
    history: &[Operation],
    keys: &Keys<'_>,
    places: &[usize],
) -> Result<Vec<Interval>, String> {
    let sources = Sources::find(history, places)?;
    let mut intervals = Vec::new();
    for place in places {
        let operation = &history[*place];
        let effects = match &operation.action {
            Action::Transaction(_) => transaction(operation, *place, keys, &sources)?,
            _ => single(operation, *place, keys, &sources)?,
        };
        let Some(effects) = effects else { continue };
        let is_lost = operation.answer == Answer::Unknown;
        let returned = if is_lost { u64::MAX } else { operation.returned };
        let step = Step { effects, is_lost };
        intervals.push(Interval { invoked: operation.invoked, returned, step, operation: *place });
    }
    intervals.sort_by_key(|interval| interval.invoked);
    Ok(intervals)
}

/// The effect of an operation on a single key; `None` when it need not have happened.
fn single(
    operation: &Operation,
    place: usize,
    keys: &Keys<'_>,
    sources: &Sources<'_>,
) -> Result<Option<Vec<Effect>>, String> {
    let (key, name) = (keys[&operation.key], &operation.key);
    let expected = match &operation.action {
        Action::Add(_) => Some(Seen::Exactly(None)),
        Action::Cas(version, _) => Some(sources.of(name, *version)),
        _ => None,
    };
    let after = operation.action.value().map(|_| place);
    let effect = match (&operation.action, &operation.answer) {
        (_, Answer::Refused) | (Action::Get, Answer::Unknown) => return Ok(None),
        // A write that no answer shows need not have happened.
        (Action::Set(_) | Action::Add(_) | Action::Cas(..), Answer::Unknown)
            if !sources.has_unknown_writes && !sources.seen.contains(&place) =>
        {
            return Ok(None);
        }
        (_, Answer::Unknown) => Effect::change(key, expected, after),
        (Action::Set(_) | Action::Add(_) | Action::Cas(..), Answer::Stored(_)) => {
            Effect::change(key, expected, after)
        }
        (Action::Delete, Answer::Deleted) => Effect::change(key, Some(Seen::Something), None),
        (Action::Delete | Action::Get, Answer::NotFound) => Effect::look(key, Seen::Exactly(None)),
        (Action::Get, Answer::Value(version, _)) => Effect::look(key, sources.of(name, *version)),
        (Action::Cas(..), Answer::Mismatch(version))
        | (Action::Add(_), Answer::Exists(version)) => {
            Effect::unlike(key, sources.of(name, *version), expected.unwrap_or(Seen::Something))
        }
        _ => return Err(format!("no answer to such a command: {operation:?}")),
    };
    Ok(Some(vec![effect]))
}

/// The effects of a transaction; `None` when it need not have happened. Without an answer, or when
/// only its execution is known, its reads and deletions say nothing.
fn transaction(
    operation: &Operation,
    place: usize,
    keys: &Keys<'_>,
    sources: &Sources<'_>,
) -> Result<Option<Vec<Effect>>, String> {
    let wrong = |what: &str| Err(format!("{what}: {operation:?}"));
    let (revision, answers) = match &operation.answer {
        Answer::Committed(revision, answers) => (*revision, &answers[..]),
        Answer::Aborted(key, version) => {
            let Some(effects) = aborted(operation, (key, *version), keys, sources) else {
                return wrong("no check of it failed so");
            };
            return Ok(Some(effects));
        }
        Answer::Refused => return Ok(None),
        Answer::Unknown if operation.action.is_read() => return Ok(None),
        Answer::Unknown => (0, &[][..]),
        _ => return wrong("no answer to such a command"),
    };
    let mut written: BTreeMap<&Bytes, Option<&Bytes>> = BTreeMap::new();
    let (mut effects, mut answers) = (Vec::new(), answers.iter());
    for part in operation.action.parts() {
        let (name, key) = (part.key(), keys[part.key()]);
        let answer = if part.has_reply() { answers.next() } else { None };
        let effect = match (part, answer) {
            (Part::Check(_, version), _) => Effect::look(key, sources.of(name, *version)),
            (Part::Set(..), Some(Answer::Stored(version))) if *version != revision => {
                return wrong("a version is not the revision");
            }
            (Part::Set(..), None | Some(Answer::Stored(_))) => {
                Effect::change(key, None, Some(place))
            }
            (Part::Delete(_), None) => Effect::change(key, None, None),
            (Part::Delete(_), Some(Answer::Deleted)) => {
                Effect::change(key, Some(Seen::Something), None)
            }
            (Part::Get(_), None | Some(Answer::Forgotten(_))) => continue,
            (Part::Get(_), Some(answer)) if written.contains_key(name) => {
                let expected = match written[name] {
                    Some(value) => Answer::Value(revision, value.clone()),
                    None => Answer::NotFound,
                };
                if *answer != expected {
                    return wrong("a read does not see the write before it");
                }
                continue;
            }
            (Part::Get(_) | Part::Delete(_), Some(Answer::NotFound)) => {
                Effect::look(key, Seen::Exactly(None))
            }
            (Part::Get(_), Some(Answer::Value(version, _))) => {
                Effect::look(key, sources.of(name, *version))
            }
            _ => return wrong("no answer to such a command"),
        };
        match part {
            Part::Set(_, _, value) => written.insert(name, Some(value)),
            Part::Delete(_) => written.insert(name, None),
            Part::Check(..) | Part::Get(_) => None,
        };
        effects.push(effect);
    }
    Ok(Some(effects))
}

/// The facts that follow from a transaction that was not executed: the checks before the one that
/// failed held. `None` when none can have failed so.
fn aborted(
    operation: &Operation,
    (key, version): (&Bytes, u64),
    keys: &Keys<'_>,
    sources: &Sources<'_>,
) -> Option<Vec<Effect>> {
    let mut effects = Vec::new();
    for part in operation.action.parts() {
        let Part::Check(name, expected) = part else { continue };
        let asked = sources.of(name, *expected);
        if name == key && *expected != version {
            effects.push(Effect::unlike(keys[name], sources.of(name, version), asked));
            return Some(effects);
        }
        effects.push(Effect::look(keys[name], asked));
    }
    None
}

/// The set of operations that are done: a bit for each.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Done(Vec<u64>);

impl Done {
    fn nothing(operations: usize) -> Done {
        let mut done = Done(vec![0; operations.div_ceil(64)]);
        // The bits after the last operation count as done.
        for place in operations..64 * done.0.len() {
            done.0[place / 64] |= 1 << (place % 64);
        }
        done
    }

    fn with(&self, place: usize) -> Done {
        let mut done = self.clone();
        done.0[place / 64] |= 1 << (place % 64);
        done
    }

    /// The operations that are not done, in order.
    fn due(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, bits)| **bits != u64::MAX).flat_map(
            |(number, bits)| {
                (0..64).filter(move |bit| bits & (1 << bit) == 0).map(move |bit| 64 * number + bit)
            },
        )
    }
}

/// Searches depth first, with a stack of sets of operations that are done, and the state.
fn search(history: &[Operation], keys: usize, intervals: &[Interval]) -> Verdict {
    let answered = intervals.iter().filter(|interval| interval.returned != u64::MAX).count();
    let mut seen: BTreeSet<(Done, State)> = BTreeSet::new();
    let mut stack = vec![(Done::nothing(intervals.len()), vec![None; keys], 0)];
    let (mut steps, mut furthest) = (0, (0, Vec::new()));
    while let Some((done, state, answers)) = stack.pop() {
        if answers == answered {
            return Verdict::Linearizable;
        }
        if !seen.insert((done.clone(), state.clone())) {
            continue;
        }
        steps += 1;
        if steps > STEPS_MAX {
            return Verdict::GivenUp;
        }
        // Only operations that were sent before the earliest answer that is due may be next.
        let mut deadline = u64::MAX;
        let mut candidates = Vec::new();
        for place in done.due() {
            if intervals[place].invoked > deadline {
                break;
            }
            deadline = deadline.min(intervals[place].returned);
            candidates.push(place);
        }
        if answers >= furthest.0 {
            furthest = (answers, candidates.clone());
        }
        // An operation that changes nothing and whose answer is right now is taken at once: it
        // does not restrict the others. Only changes need a choice.
        let is_right_now = |place: &&usize| {
            let Interval { invoked, step, .. } = &intervals[**place];
            *invoked <= deadline && step.is_look() && step.apply(&state).is_some()
        };
        if let Some(place) = candidates.iter().find(is_right_now) {
            stack.push((done.with(*place), state, answers + 1));
            continue;
        }
        // The operation with the earliest answer is tried first, those without an answer last.
        candidates.sort_by_key(|place| std::cmp::Reverse(intervals[*place].returned));
        let mut lost_deletes = BTreeSet::new();
        for place in candidates {
            let Interval { invoked, returned, step, .. } = &intervals[place];
            let is_tried = step.lost_delete().is_some_and(|key| !lost_deletes.insert(key));
            if *invoked > deadline || is_tried {
                continue;
            }
            if let Some(next) = step.apply(&state) {
                let answers = answers + usize::from(*returned != u64::MAX);
                stack.push((done.with(place), next, answers));
            }
        }
    }
    let stuck: Vec<String> = furthest
        .1
        .iter()
        .map(|place| format!("{:?}", history[intervals[*place].operation]))
        .collect();
    Verdict::Violation(format!("no order explains these operations:\n  {}", stuck.join("\n  ")))
}

#[cfg(test)]
mod tests;
