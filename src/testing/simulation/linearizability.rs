//! Is there an order of all operations on a key, each at one moment between its
//! sending and its answer, in which every answer is right? (Herlihy and Wing.)
//!
//! The search is that of Wing and Gong with Lowe's memory: try every operation
//! that may be the next one, and never the same set of operations with the same
//! state twice. An operation without an answer may take effect at any time behind
//! its sending, or never.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::history::{Action, Answer, Operation};

/// Steps of one search, before it is given up: `order` has already had its say.
const STEPS_MAX: u64 = 100_000;

/// What came of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is such an order.
    Linearizable,
    /// There is none.
    Violation(String),
    /// Nobody knows: too many operations without an answer.
    GivenUp,
}

/// What a key holds: the place in the history of the write that it is from.
type State = Option<usize>;

/// What is known of a version that an error told.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Exactly(State),
    /// Something, but nobody knows of which write.
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

/// An operation with its answer.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The key becomes this, if it is what is expected.
    Change { expected: Option<Seen>, to: State },
    /// The key stays what it is, which is this ...
    Look { seen: Seen, but_not: Option<State> },
    /// The key becomes this if it is what is expected; or nothing ever happens.
    Maybe { expected: Option<Seen>, to: State },
}

impl Step {
    /// A deletion without an answer: of those that could be next one is as good as
    /// the other.
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
            // Where it changes nothing it need not have happened.
            Step::Maybe { expected, to } => (is_expected(expected) && to != state).then_some(to),
        }
    }
}

struct Interval {
    invoked: u64,
    /// `u64::MAX` without an answer.
    returned: u64,
    step: Step,
    operation: usize,
}

/// Checks a history, key by key: a history is linearizable when that of each key is.
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

/// Which write each version and each value is from.
struct Sources {
    versions: BTreeMap<u64, usize>,
    /// Somebody met a value and cannot say of which write: what was deleted, or
    /// the version of an error.
    has_strangers: bool,
    seen: BTreeSet<usize>,
}

impl Sources {
    fn find(history: &[Operation], places: &[usize]) -> Result<Sources, String> {
        let mut sources =
            Sources { versions: BTreeMap::new(), has_strangers: false, seen: BTreeSet::new() };
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
                    sources.has_strangers = true;
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
                None => sources.has_strangers = true,
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
            // What nobody ever saw need not have happened.
            (Action::Set(_) | Action::Add(_) | Action::Cas(..), Answer::Unknown)
                if !sources.has_strangers && !sources.seen.contains(place) =>
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

/// Which operations have had their moment: a bit for each.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Done(Vec<u64>);

impl Done {
    fn nothing(operations: usize) -> Done {
        let mut done = Done(vec![0; operations.div_ceil(64)]);
        // The bits behind the last operation are not to be done.
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

    /// What is not done, in order.
    fn due(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().filter(|(_, word)| **word != u64::MAX).flat_map(
            |(number, word)| {
                (0..64).filter(move |bit| word & (1 << bit) == 0).map(move |bit| 64 * number + bit)
            },
        )
    }
}

/// Depth first: a stack of what was done so far, and the state.
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
        // Only what was sent before the first answer that is still due may be next.
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
        // What changes nothing and is right now may as well be now: whatever comes
        // behind it is as possible without it. Only changes are to be chosen from.
        let is_right_now = |place: &&usize| {
            let Interval { invoked, step, .. } = intervals[**place];
            invoked <= deadline && matches!(step, Step::Look { .. }) && step.apply(state).is_some()
        };
        if let Some(place) = candidates.iter().find(is_right_now) {
            stack.push((done.with(*place), state, answers + 1));
            continue;
        }
        // The one that was answered first is tried first; the unanswered last.
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
mod tests {
    use super::*;

    fn operation(action: Action, invoked: u64, returned: u64, answer: Answer) -> Operation {
        Operation {
            client: 1,
            key: Bytes::from("k"),
            action,
            invoked,
            returned,
            answer,
            clock_ms: 0,
            latest_clock_ms: 0,
        }
    }

    fn value(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn set(text: &'static str, at: (u64, u64), version: u64) -> Operation {
        operation(Action::Set(value(text)), at.0, at.1, Answer::Stored(version))
    }

    fn lost_set(text: &'static str, invoked: u64) -> Operation {
        operation(Action::Set(value(text)), invoked, u64::MAX, Answer::Unknown)
    }

    fn get(text: &'static str, at: (u64, u64), version: u64) -> Operation {
        operation(Action::Get, at.0, at.1, Answer::Value(version, value(text)))
    }

    fn get_nothing(at: (u64, u64)) -> Operation {
        operation(Action::Get, at.0, at.1, Answer::NotFound)
    }

    fn delete(at: (u64, u64), answer: Answer) -> Operation {
        operation(Action::Delete, at.0, at.1, answer)
    }

    fn cas(version: u64, text: &'static str, at: (u64, u64), answer: Answer) -> Operation {
        operation(Action::Cas(version, value(text)), at.0, at.1, answer)
    }

    fn assert_good(history: &[Operation]) {
        assert_eq!(check(history), Verdict::Linearizable);
    }

    fn assert_bad(history: &[Operation]) {
        assert!(matches!(check(history), Verdict::Violation(_)), "{history:?}");
    }

    #[test]
    fn one_after_the_other_is_fine() {
        assert_good(&[
            get_nothing((1, 2)),
            set("a", (3, 4), 1),
            get("a", (5, 6), 1),
            cas(1, "b", (7, 8), Answer::Stored(2)),
            cas(1, "c", (9, 10), Answer::Mismatch(2)),
            delete((11, 12), Answer::Deleted),
            delete((13, 14), Answer::NotFound),
        ]);
    }

    #[test]
    fn a_stale_read_is_found() {
        assert_bad(&[set("a", (1, 2), 1), set("b", (3, 4), 2), get("a", (5, 6), 1)]);
    }

    #[test]
    fn a_read_during_a_write_may_see_either() {
        for seen in [get("a", (4, 5), 1), get("b", (4, 5), 2)] {
            assert_good(&[set("a", (1, 2), 1), set("b", (3, 6), 2), seen]);
        }
    }

    #[test]
    fn a_value_that_was_read_does_not_vanish_again() {
        assert_bad(&[
            set("a", (1, 2), 1),
            set("b", (3, 10), 2),
            get("b", (4, 5), 2),
            get("a", (6, 7), 1),
        ]);
    }

    #[test]
    fn a_lost_acknowledged_write_is_found() {
        assert_bad(&[set("a", (1, 2), 1), get_nothing((3, 4))]);
    }

    #[test]
    fn a_write_without_an_answer_may_happen_late_or_never_but_once() {
        let begin = [lost_set("a", 1), set("b", (2, 3), 5)];
        assert_good(&[&begin[..], &[get("b", (4, 5), 5)]].concat());
        assert_good(&[&begin[..], &[get("b", (4, 5), 5), get("a", (6, 7), 9)]].concat());
        let back = [get("a", (4, 5), 9), get("b", (6, 7), 5)];
        assert_bad(&[&begin[..], &back].concat());
    }

    #[test]
    fn a_refused_write_that_is_read_is_found() {
        let refused = operation(Action::Set(value("a")), 1, 2, Answer::Refused);
        assert_bad(&[refused, get("a", (3, 4), 1)]);
    }

    #[test]
    fn two_cas_of_one_version_cannot_both_succeed() {
        assert_bad(&[
            set("a", (1, 2), 1),
            cas(1, "b", (3, 6), Answer::Stored(2)),
            cas(1, "c", (4, 5), Answer::Stored(3)),
        ]);
    }

    #[test]
    fn a_cas_that_fails_needs_another_version_to_fail_at() {
        assert_bad(&[set("a", (1, 2), 1), cas(1, "b", (3, 4), Answer::Mismatch(1))]);
        assert_good(&[lost_set("x", 0), set("a", (1, 2), 1), {
            cas(1, "b", (3, 4), Answer::Mismatch(7))
        }]);
    }

    #[test]
    fn what_nobody_wrote_cannot_be_read() {
        assert_bad(&[get("a", (1, 2), 1)]);
    }

    #[test]
    fn a_delete_may_meet_a_write_without_an_answer() {
        let deleted = [lost_set("a", 1), delete((2, 3), Answer::Deleted)];
        assert_good(&[&deleted[..], &[get_nothing((4, 5))]].concat());
        let again = delete((4, 5), Answer::Deleted);
        assert_bad(&[&deleted[..], &[again]].concat());
    }

    #[test]
    fn a_delete_needs_something_to_delete() {
        assert_bad(&[delete((1, 2), Answer::Deleted)]);
        assert_bad(&[set("a", (1, 2), 1), delete((3, 4), Answer::NotFound)]);
    }
}
