//! Searches for an order of all operations on a key in which every answer is right. Each operation
//! takes effect at one point in time between its sending and its answer (Herlihy and Wing).
//!
//! The search is that of Wing and Gong with Lowe's memory: it tries every operation that may be the
//! next one, and never the same set of operations with the same state twice. An operation without
//! an answer takes effect at any time after its sending, or never.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::testing::simulation::history::{Action, Answer, Operation};

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
type State = Option<usize>;

/// The knowledge about the value of a key that an answer gives.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// This value.
    Exactly(State),
    /// Some value, of an unknown write.
    Something,
}

impl Seen {
    fn fits(self, state: State) -> bool {
        match self {
            Seen::Exactly(seen) => seen == state,
            Seen::Something => state.is_some(),
        }
    }
}

/// The effect of an operation with its answer.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The key changes from an expected value, if there is one, to `to`.
    Change { expected: Option<Seen>, to: State },
    /// The key does not change. It has the value `seen`, and not the value `but_not`.
    Look { seen: Seen, but_not: Option<State> },
    /// The key changes as with `Change`, or never.
    Maybe { expected: Option<Seen>, to: State },
}

impl Step {
    /// True for a deletion without an answer. If several of them may be next, it suffices to try
    /// one.
    fn is_lost_delete(self) -> bool {
        matches!(self, Step::Maybe { expected: None, to: None })
    }

    fn apply(self, state: State) -> Option<State> {
        let is_expected = |expected: Option<Seen>| expected.is_none_or(|seen| seen.fits(state));
        match self {
            Step::Change { expected, to } => is_expected(expected).then_some(to),
            Step::Look { seen, but_not } => {
                (seen.fits(state) && but_not != Some(state)).then_some(state)
            }
            // If it changes nothing, it need not have happened.
            Step::Maybe { expected, to } => (is_expected(expected) && to != state).then_some(to),
        }
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

/// Checks a history key by key: it is linearizable if the history of each key is.
pub fn check(history: &[Operation]) -> Verdict {
    let mut by_key: BTreeMap<&Bytes, Vec<usize>> = BTreeMap::new();
    for (place, operation) in history.iter().enumerate() {
        by_key.entry(&operation.key).or_default().push(place);
    }
    let mut verdict = Verdict::Linearizable;
    for places in by_key.values() {
        match check_key(history, places) {
            Verdict::Linearizable => {}
            Verdict::GivenUp => verdict = Verdict::GivenUp,
            violation => return violation,
        }
    }
    verdict
}

fn check_key(history: &[Operation], places: &[usize]) -> Verdict {
    match intervals(history, places) {
        Err(violation) => Verdict::Violation(violation),
        Ok(intervals) => search(history, &intervals),
    }
}

/// The write of each version and of each value.
struct Sources {
    versions: BTreeMap<u64, usize>,
    /// True when an answer depends on a value without telling its write: that of a deletion, or
    /// one with an unknown version.
    has_unknown_writes: bool,
    /// The writes whose values were read.
    seen: BTreeSet<usize>,
}

impl Sources {
    fn find(history: &[Operation], places: &[usize]) -> Result<Sources, String> {
        let mut sources =
            Sources { versions: BTreeMap::new(), has_unknown_writes: false, seen: BTreeSet::new() };
        let writes: BTreeMap<&Bytes, usize> = places
            .iter()
            .filter_map(|place| Some((history[*place].action.value()?, *place)))
            .collect();
        for place in places {
            let (version, source) = match &history[*place].answer {
                Answer::Stored(version) => (*version, *place),
                Answer::Value(version, value) => match writes.get(value) {
                    Some(source) => (*version, *source),
                    None => {
                        return Err(format!("nobody wrote what {:?} read", history[*place]));
                    }
                },
                Answer::Deleted => {
                    sources.has_unknown_writes = true;
                    continue;
                }
                _ => continue,
            };
            if *sources.versions.entry(version).or_insert(source) != source {
                return Err(format!("version {version} has two values: {:?}", history[*place]));
            }
            if let Answer::Value(..) = history[*place].answer {
                sources.seen.insert(source);
            }
        }
        for place in places {
            let (Answer::Mismatch(version) | Answer::Exists(version)) = history[*place].answer
            else {
                continue;
            };
            match sources.versions.get(&version) {
                _ if version == 0 => {}
                Some(source) => {
                    sources.seen.insert(*source);
                }
                None => sources.has_unknown_writes = true,
            }
        }
        Ok(sources)
    }

    fn of(&self, version: u64) -> Seen {
        match (version, self.versions.get(&version)) {
            (0, _) => Seen::Exactly(None),
            (_, Some(source)) => Seen::Exactly(Some(*source)),
            (_, None) => Seen::Something,
        }
    }
}

fn intervals(history: &[Operation], places: &[usize]) -> Result<Vec<Interval>, String> {
    let sources = Sources::find(history, places)?;
    let mut intervals = Vec::new();
    for place in places {
        let operation = &history[*place];
        let expected = match &operation.action {
            Action::Add(_) => Some(Seen::Exactly(None)),
            Action::Cas(version, _) => Some(sources.of(*version)),
            _ => None,
        };
        let but_not = match expected {
            Some(Seen::Exactly(state)) => Some(state),
            _ => None,
        };
        let to = operation.action.value().map(|_| *place);
        let step = match (&operation.action, &operation.answer) {
            (_, Answer::Refused) | (Action::Get, Answer::Unknown) => continue,
            // A write that no answer shows need not have happened.
            (Action::Set(_) | Action::Add(_) | Action::Cas(..), Answer::Unknown)
                if !sources.has_unknown_writes && !sources.seen.contains(place) =>
            {
                continue;
            }
            (_, Answer::Unknown) => Step::Maybe { expected, to },
            (Action::Set(_) | Action::Add(_) | Action::Cas(..), Answer::Stored(_)) => {
                Step::Change { expected, to }
            }
            (Action::Delete, Answer::Deleted) => {
                Step::Change { expected: Some(Seen::Something), to: None }
            }
            (Action::Delete | Action::Get, Answer::NotFound) => {
                Step::Look { seen: Seen::Exactly(None), but_not: None }
            }
            (Action::Get, Answer::Value(version, _)) => {
                Step::Look { seen: sources.of(*version), but_not: None }
            }
            (Action::Cas(..), Answer::Mismatch(version))
            | (Action::Add(_), Answer::Exists(version)) => {
                Step::Look { seen: sources.of(*version), but_not }
            }
            _ => return Err(format!("no answer to such a command: {operation:?}")),
        };
        let returned = match operation.answer {
            Answer::Unknown => u64::MAX,
            _ => operation.returned,
        };
        intervals.push(Interval { invoked: operation.invoked, returned, step, operation: *place });
    }
    intervals.sort_by_key(|interval| interval.invoked);
    Ok(intervals)
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
fn search(history: &[Operation], intervals: &[Interval]) -> Verdict {
    let answered = intervals.iter().filter(|interval| interval.returned != u64::MAX).count();
    let mut seen: BTreeSet<(Done, State)> = BTreeSet::new();
    let mut stack = vec![(Done::nothing(intervals.len()), None, 0)];
    let (mut steps, mut furthest) = (0, (0, Vec::new()));
    while let Some((done, state, answers)) = stack.pop() {
        if answers == answered {
            return Verdict::Linearizable;
        }
        if !seen.insert((done.clone(), state)) {
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
            let Interval { invoked, step, .. } = intervals[**place];
            invoked <= deadline && matches!(step, Step::Look { .. }) && step.apply(state).is_some()
        };
        if let Some(place) = candidates.iter().find(is_right_now) {
            stack.push((done.with(*place), state, answers + 1));
            continue;
        }
        // The operation with the earliest answer is tried first, those without an answer last.
        candidates.sort_by_key(|place| std::cmp::Reverse(intervals[*place].returned));
        let mut has_lost_delete = false;
        for place in candidates {
            let Interval { invoked, returned, step, .. } = intervals[place];
            if invoked > deadline || (has_lost_delete && step.is_lost_delete()) {
                continue;
            }
            has_lost_delete |= step.is_lost_delete();
            if let Some(next) = step.apply(state) {
                let answers = answers + usize::from(returned != u64::MAX);
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
