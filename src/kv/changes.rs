//! The changes that are kept, by their numbers: a queue whose clone takes constant time.
//!
//! The newest change is added while watchers and snapshots have clones. So a change is written
//! into a free place of a segment that all clones share, which copies nothing: a clone knows how
//! many of the places are its own. Only when two clones go on with different changes, which
//! happens in tests, the second one copies the segment.

use std::sync::{Arc, OnceLock};

use imbl::Vector;

use super::change::Change;

/// Number of changes in a segment. Changes that are forgotten while a clone has them are freed by
/// the segment, so a history can then have this many large values more than its bound in bytes
/// says.
const SEGMENT_CHANGES: u64 = 16;

/// Changes whose numbers follow each other. The number of the first one is a multiple of
/// [`SEGMENT_CHANGES`].
#[derive(Debug, Default)]
struct Segment {
    places: [OnceLock<Change>; SEGMENT_CHANGES as usize],
}

/// The changes with the numbers from `first` up to `next`, which is not one of them.
///
/// Invariant: `segments` are those of the numbers from `first` on, without a gap, up to that of
/// the last change, or of `next`.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    segments: Vector<Arc<Segment>>,
    first: u64,
    next: u64,
}

impl Default for Changes {
    fn default() -> Changes {
        Changes::beginning_at(1)
    }
}

impl Changes {
    /// No changes; the next one gets this number.
    pub fn beginning_at(next: u64) -> Changes {
        Changes { segments: Vector::new(), first: next, next }
    }

    /// The number of the oldest change that is kept, or of the next one when none is.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The number that the next change gets.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The number of changes that are kept.
    pub fn len(&self) -> u64 {
        self.next - self.first
    }

    /// The change with this number, if it is kept.
    pub fn get(&self, number: u64) -> Option<&Change> {
        if !(self.first..self.next).contains(&number) {
            return None;
        }
        self.segment(number)?.places[place_of(number)].get()
    }

    /// The oldest change that is kept.
    pub fn oldest(&self) -> Option<&Change> {
        self.get(self.first)
    }

    /// Adds the next change.
    pub fn push(&mut self, change: Change) {
        let place = place_of(self.next);
        if place == 0 || self.segments.is_empty() {
            self.segments.push_back(Arc::default());
        }
        let last = self.segments.back().expect("there is a segment for the next change");
        if let Err(change) = last.places[place].set(change) {
            // A clone of this queue has gone on with a change of its own.
            let own = last.first_places(place);
            own.places[place].set(change).expect("a place behind the last change is free");
            self.segments.set(self.segments.len() - 1, Arc::new(own));
        }
        self.next += 1;
    }

    /// Forgets the oldest change, if there is one.
    pub fn pop_oldest(&mut self) {
        if self.first == self.next {
            return;
        }
        self.free_oldest();
        self.first += 1;
        if self.first == self.next {
            self.segments.clear();
        } else if place_of(self.first) == 0 {
            self.segments.pop_front();
        }
    }

    /// Frees the oldest change, if no clone has it. So the memory that a put takes is that which
    /// the change before it has given back, one block for another. All of a segment at once is
    /// more than the allocator keeps at hand.
    fn free_oldest(&mut self) {
        let place = place_of(self.first);
        // A queue that clones share would be copied to be changed.
        if self.segments.front().is_some_and(|oldest| Arc::strong_count(oldest) == 1)
            && let Some(oldest) = self.segments.front_mut().and_then(Arc::get_mut)
        {
            oldest.places[place].take();
        }
    }

    /// The changes from this number on, each with its number, the oldest first.
    pub fn from(&self, number: u64) -> ChangesFrom<'_> {
        ChangesFrom { changes: self, next: number.max(self.first), segment: None }
    }

    /// The number of the oldest change for which `is_wanted` is true; of the next one when it is
    /// true for none. It must be true for all changes after one for which it is.
    pub fn search(&self, is_wanted: impl Fn(&Change) -> bool) -> u64 {
        let (mut low, mut high) = (self.first, self.next);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(&is_wanted) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    fn segment(&self, number: u64) -> Option<&Segment> {
        let place = number / SEGMENT_CHANGES - self.first / SEGMENT_CHANGES;
        self.segments.get(place as usize).map(|segment| &**segment)
    }
}

impl Segment {
    /// A copy of the changes in the first places.
    fn first_places(&self, places: usize) -> Segment {
        let own = Segment::default();
        for (free, place) in own.places.iter().zip(&self.places).take(places) {
            if let Some(change) = place.get() {
                let _ = free.set(change.clone());
            }
        }
        own
    }
}

fn place_of(number: u64) -> usize {
    (number % SEGMENT_CHANGES) as usize
}

/// The changes from a number on, made by [`Changes::from`].
#[derive(Debug)]
pub(super) struct ChangesFrom<'a> {
    changes: &'a Changes,
    next: u64,
    /// The segment of the next change, unless that is to be looked up first.
    segment: Option<&'a Segment>,
}

impl<'a> Iterator for ChangesFrom<'a> {
    type Item = (u64, &'a Change);

    fn next(&mut self) -> Option<(u64, &'a Change)> {
        if self.next >= self.changes.next {
            return None;
        }
        let number = self.next;
        let segment = self.segment.or_else(|| self.changes.segment(number))?;
        self.next += 1;
        self.segment = (place_of(self.next) != 0).then_some(segment);
        Some((number, segment.places[place_of(number)].get()?))
    }
}

impl PartialEq for Changes {
    fn eq(&self, other: &Changes) -> bool {
        (self.first, self.next) == (other.first, other.next)
            && self.from(self.first).eq(other.from(other.first))
    }
}

impl Eq for Changes {}

#[cfg(test)]
mod tests;
