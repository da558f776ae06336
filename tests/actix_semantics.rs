//! The behaviour of actix on which the actors rely. An upgrade of actix that changes one
//! of these fails here, and not in a running cluster.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use actix::dev::SendError;
use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message};

/// The events of a test, in order.
type Trace = Rc<RefCell<Vec<String>>>;

struct Recorder {
    trace: Trace,
    is_flush_pending: bool,
}

impl Recorder {
    fn start(trace: &Trace) -> Addr<Recorder> {
        Recorder { trace: Rc::clone(trace), is_flush_pending: false }.start()
    }

    fn record(&self, event: impl Into<String>) {
        self.trace.borrow_mut().push(event.into());
    }
}

impl Actor for Recorder {
    type Context = Context<Self>;
}

macro_rules! message {
    ($name:ident $(, $field:ty)?) => {
        #[derive(Message)]
        #[rtype(result = "()")]
        struct $name $(($field))?;
    };
}

message!(Append, u32);
message!(Other, u32);
message!(Flush);
message!(Notified, u32);
message!(NotifySome);
message!(ArmTimer);
message!(Flood, u32);
message!(Stop);

impl Handler<Append> for Recorder {
    type Result = ();
    fn handle(&mut self, message: Append, ctx: &mut Context<Self>) {
        self.record(format!("append {}", message.0));
        if !self.is_flush_pending {
            self.is_flush_pending = true;
            ctx.notify(Flush);
        }
    }
}

impl Handler<Other> for Recorder {
    type Result = ();
    fn handle(&mut self, message: Other, _ctx: &mut Context<Self>) {
        self.record(format!("other {}", message.0));
    }
}

impl Handler<Flush> for Recorder {
    type Result = ();
    fn handle(&mut self, _message: Flush, _ctx: &mut Context<Self>) {
        self.is_flush_pending = false;
        self.record("flush");
    }
}

impl Handler<Notified> for Recorder {
    type Result = ();
    fn handle(&mut self, message: Notified, _ctx: &mut Context<Self>) {
        self.record(format!("notified {}", message.0));
    }
}

impl Handler<NotifySome> for Recorder {
    type Result = ();
    fn handle(&mut self, _message: NotifySome, ctx: &mut Context<Self>) {
        for number in 1..=4 {
            ctx.notify(Notified(number));
        }
    }
}

impl Handler<ArmTimer> for Recorder {
    type Result = ();
    fn handle(&mut self, _message: ArmTimer, ctx: &mut Context<Self>) {
        ctx.run_interval(Duration::from_millis(1), |recorder, _| recorder.record("timer"));
    }
}

impl Handler<Flood> for Recorder {
    type Result = ();
    fn handle(&mut self, message: Flood, ctx: &mut Context<Self>) {
        // The timer of 1 ms is due again during each of these.
        std::thread::sleep(Duration::from_millis(2));
        match message.0 {
            0 => self.record("flood ends"),
            left => ctx.address().do_send(Flood(left - 1)),
        }
    }
}

impl Handler<Stop> for Recorder {
    type Result = ();
    fn handle(&mut self, _message: Stop, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// LogActor relies on this for group commit, and RaftActor for its batches.
#[actix::test]
async fn a_notification_runs_right_after_the_mailbox_is_drained() {
    let trace = Trace::default();
    let recorder = Recorder::start(&trace);
    for number in 0..50 {
        recorder.do_send(Append(number));
    }
    settle().await;
    let trace = trace.borrow();
    assert_eq!(trace.len(), 51, "fifty appends and one flush");
    assert_eq!(trace[50], "flush");
}

/// One mailbox holds all kinds of messages. The messages of each sender come in its order.
#[actix::test]
async fn messages_of_different_types_from_one_sender_keep_their_order() {
    let trace = Trace::default();
    let recorder = Recorder::start(&trace);
    let (appends, others) = (recorder.clone().recipient::<Append>(), recorder.recipient::<Other>());
    for number in 0..20 {
        appends.do_send(Append(number));
        others.do_send(Other(number));
    }
    settle().await;
    let expected: Vec<String> = (0..20)
        .flat_map(|number| [format!("append {number}"), format!("other {number}")])
        .collect();
    assert_eq!(trace.borrow()[..40], expected);
}

/// For this reason an actor has at most one notification of a kind under way.
#[actix::test]
async fn several_outstanding_notifications_lose_their_order() {
    let trace = Trace::default();
    Recorder::start(&trace).do_send(NotifySome);
    settle().await;
    let seen = trace.borrow().clone();
    let in_order: Vec<String> = (1..=4).map(|number| format!("notified {number}")).collect();
    assert_ne!(seen, in_order, "if this holds order now, `at most one of a kind` may be relaxed");
    let mut sorted = seen;
    sorted.sort();
    assert_eq!(sorted, in_order);
}

/// For this reason time reaches RaftActor as a message of TickerActor.
#[actix::test]
async fn a_flooded_mailbox_starves_the_actors_own_timers() {
    let trace = Trace::default();
    let recorder = Recorder::start(&trace);
    recorder.do_send(ArmTimer);
    recorder.do_send(Flood(20));
    while !trace.borrow().contains(&"flood ends".to_owned()) {
        tokio::task::yield_now().await;
    }
    let trace = trace.borrow();
    let end = trace.iter().position(|what| what == "flood ends");
    let timer = trace.iter().position(|what| what == "timer");
    assert!(timer.is_none_or(|timer| Some(timer) > end), "{trace:?}: why time is a message");
}

#[actix::test]
async fn do_send_ignores_capacity_and_try_send_does_not() {
    let trace = Trace::default();
    let recorder = Recorder::start(&trace);
    let mut refused = 0;
    for number in 0..64 {
        if let Err(error) = recorder.try_send(Append(number)) {
            assert!(matches!(error, SendError::Full(_)));
            refused += 1;
        }
    }
    assert!(refused > 0, "the default mailbox holds 16");
    let accepted = 64 - refused;
    for number in 0..64 {
        recorder.do_send(Append(number));
    }
    settle().await;
    let appends = trace.borrow().iter().filter(|what| what.starts_with("append")).count();
    assert_eq!(appends, accepted + 64);
}

#[actix::test]
async fn do_send_to_a_dead_actor_is_silent_and_try_send_says_closed() {
    let trace = Trace::default();
    let recorder = Recorder::start(&trace);
    recorder.do_send(Stop);
    settle().await;
    recorder.do_send(Append(1));
    assert!(matches!(recorder.try_send(Append(2)), Err(SendError::Closed(_))));
    assert!(!recorder.connected());
    settle().await;
    assert!(trace.borrow().is_empty());
}

#[test]
fn on_paused_time_two_runs_are_identical() {
    fn run() -> Vec<String> {
        let trace = Trace::default();
        let system = actix::System::with_tokio_rt(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .expect("a current-thread runtime needs nothing that could be missing")
        });
        system.block_on(async {
            let recorder = Recorder::start(&trace);
            recorder.do_send(ArmTimer);
            for number in 0..10 {
                recorder.do_send(Append(number));
                tokio::time::sleep(Duration::from_micros(700)).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        });
        trace.borrow().clone()
    }
    let first = run();
    assert!(first.len() > 1000, "a second of simulated time holds a thousand timers");
    assert_eq!(first, run());
}
