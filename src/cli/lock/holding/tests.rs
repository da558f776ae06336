use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;

const SECONDS: u64 = 10;

/// A command that notes its signals, and what is held.
#[derive(Clone)]
struct Story {
    begin: Instant,
    /// The signals, each with the tenths of a second after which it came.
    signals: Rc<RefCell<Vec<(Signal, u64)>>>,
    /// The signal by which the command ends.
    ends_by: Signal,
    end: Rc<Notify>,
    /// The time until which it is held for certain.
    until: Rc<Cell<Instant>>,
    taken: Rc<Notify>,
}

impl Story {
    fn new(ends_by: Signal) -> Story {
        let begin = Instant::now();
        Story {
            begin,
            signals: Rc::default(),
            ends_by,
            end: Rc::default(),
            until: Rc::new(Cell::new(begin + Duration::from_secs(SECONDS))),
            taken: Rc::default(),
        }
    }

    fn renew(&self) {
        self.until.set(Instant::now() + Duration::from_secs(SECONDS));
    }

    /// Waits for the end while something else happens; returns the outcome and the signals.
    async fn run(self, meanwhile: impl Future<Output = ()>) -> (Hold, Vec<(Signal, u64)>) {
        let mut signals = Signals::catch().unwrap();
        let (mut child, held) = (self.clone(), self.clone());
        let (hold, ()) =
            tokio::join!(wait_while_held(&mut child, &held, SECONDS, &mut signals), meanwhile);
        (hold, self.signals.take())
    }
}

impl Running for Story {
    async fn ended(&mut self) {
        self.end.notified().await;
    }

    fn pass_on(&mut self, signal: Signal) {
        self.signal(signal);
    }

    fn signal(&mut self, signal: Signal) {
        let tenths = self.begin.elapsed().as_millis() as u64 / 100;
        self.signals.borrow_mut().push((signal, tenths));
        if signal == self.ends_by {
            self.end.notify_one();
        }
    }
}

impl Held for Story {
    fn remaining(&self) -> Duration {
        self.until.get().saturating_duration_since(Instant::now())
    }

    async fn ended(&self) {
        self.taken.notified().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_runs_to_its_end_while_it_is_held() {
    let story = Story::new(Signal::KILL);
    let other = story.clone();
    let meanwhile = async move {
        for _ in 0..20 {
            sleep(Duration::from_secs(3)).await;
            other.renew();
        }
        other.end.notify_one();
    };
    assert_eq!(story.run(meanwhile).await, (Hold::Kept, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_command_is_asked_and_then_killed_before_the_time_is_over() {
    let expected = vec![(Signal::TERM, 80), (Signal::KILL, 90)];
    let told = Story::new(Signal::KILL).run(async {}).await;
    assert_eq!(told, (Hold::Lost(UNCONFIRMED), expected));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_ends_when_it_is_asked_is_not_killed() {
    let told = Story::new(Signal::TERM).run(async {}).await;
    assert_eq!(told, (Hold::Lost(UNCONFIRMED), vec![(Signal::TERM, 80)]));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_asked_has_the_time_that_a_late_renewal_gives() {
    let story = Story::new(Signal::KILL);
    let other = story.clone();
    let meanwhile = async move {
        sleep(Duration::from_millis(8_500)).await;
        other.renew();
    };
    let expected = vec![(Signal::TERM, 80), (Signal::KILL, 175)];
    assert_eq!(story.run(meanwhile).await, (Hold::Lost(UNCONFIRMED), expected));
}

#[tokio::test(start_paused = true)]
async fn a_command_is_killed_at_once_when_somebody_else_may_hold_it() {
    let story = Story::new(Signal::KILL);
    let other = story.clone();
    let meanwhile = async move {
        sleep(Duration::from_secs(5)).await;
        other.taken.notify_one();
    };
    assert_eq!(story.run(meanwhile).await, (Hold::Lost(TAKEN), vec![(Signal::KILL, 50)]));
    // As when the process was stopped, and goes on long after.
    let story = Story::new(Signal::KILL);
    story.until.set(story.begin);
    assert_eq!(story.run(async {}).await, (Hold::Lost(UNCONFIRMED), vec![(Signal::KILL, 0)]));
}

/// The process was stopped, and so was nothing else: the command has ended meanwhile, others may
/// have had the lock before that, and this process looks at the clock when it hears of the end.
#[tokio::test(start_paused = true)]
async fn a_command_that_ended_when_the_time_was_over_was_not_held_to_its_end() {
    let story = Story::new(Signal::KILL);
    let other = story.clone();
    let meanwhile = async move {
        sleep(Duration::from_secs(5)).await;
        other.until.set(other.begin);
        other.end.notify_one();
    };
    assert_eq!(story.run(meanwhile).await, (Hold::Outlived, vec![]));
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_is_found_with_the_end_of_the_command_is_a_loss() {
    // Which of two events is looked at first would be drawn.
    for _ in 0..20 {
        let story = Story::new(Signal::KILL);
        let other = story.clone();
        let meanwhile = async move {
            sleep(Duration::from_secs(5)).await;
            other.taken.notify_one();
            other.end.notify_one();
        };
        assert_eq!(story.run(meanwhile).await.0, Hold::Lost(TAKEN));
    }
}
