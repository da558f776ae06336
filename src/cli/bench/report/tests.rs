use super::*;

struct Run {
    recorder: Recorder,
    now: Instant,
}

impl Run {
    fn new() -> Run {
        Run { recorder: Recorder::new(), now: Instant::now() }
    }

    fn done_after_ms(&mut self, kind: Kind, ms: u64) {
        let sent = self.now;
        self.now += Duration::from_millis(ms);
        self.recorder.done(kind, sent, self.now);
    }
}

#[test]
fn only_what_is_answered_in_the_measurement_counts() {
    let mut run = Run::new();
    run.done_after_ms(Kind::Write, 1000);
    run.recorder.failed("ERR_BUSY");
    run.recorder.begin(run.now);
    for _ in 0..99 {
        run.done_after_ms(Kind::Write, 10);
    }
    run.done_after_ms(Kind::Read, 1010);
    run.recorder.end(run.now);
    run.done_after_ms(Kind::Write, 5000);
    run.recorder.failed("ERR_BUSY");
    let text = run.recorder.text();
    assert!(text.starts_with("100 commands in 2.00 s: 50 per second\n"), "{text}");
    let latency = |text: &str, name| text.split(name).nth(1).unwrap()[1..8].to_owned();
    let writes = text.lines().find(|line| line.starts_with("writes")).unwrap();
    assert_eq!(latency(writes, "max"), "10.007 ", "kept to a thousandth: {text}");
    assert!(!text.contains("ERR_BUSY"), "{text}");
}

#[test]
fn errors_are_counted_by_kind() {
    let mut run = Run::new();
    run.recorder.begin(run.now);
    for error in ["ERR_BUSY", "connection lost", "ERR_BUSY"] {
        run.recorder.failed(error);
    }
    run.recorder.end(run.now);
    assert!(
        run.recorder.json().contains(r#""errors":{"ERR_BUSY":2,"connection lost":1}"#),
        "{}",
        run.recorder.json()
    );
}

#[test]
fn slow_connections_are_counted_by_themselves() {
    let mut run = Run::new();
    run.recorder.done_slowly();
    run.recorder.begin(run.now);
    run.done_after_ms(Kind::Write, 10);
    run.recorder.done_slowly();
    run.recorder.end(run.now);
    run.recorder.done_slowly();
    let json = run.recorder.json();
    assert!(json.contains(r#""commands":1,"#), "{json}");
    assert!(json.contains(r#""slow_commands":1,"#), "{json}");
}

#[test]
fn commands_that_were_due_and_not_answered_are_reported() {
    let mut run = Run::new();
    run.done_after_ms(Kind::Write, 10);
    run.recorder.begin(run.now);
    run.done_after_ms(Kind::Write, 10);
    run.recorder.failed("ERR_BUSY");
    run.recorder.end(run.now);
    assert!(!run.recorder.json().contains("unanswered"), "only an open loop has any");
    run.recorder.due(8);
    run.done_after_ms(Kind::Write, 10);
    run.recorder.due(9);
    let json = run.recorder.json();
    assert!(json.contains(r#""unanswered":5,"#), "{json}");
}

#[test]
fn a_curve_goes_from_the_least_to_the_greatest() {
    let mut run = Run::new();
    run.recorder.begin(run.now);
    for ms in 1..=1000 {
        run.done_after_ms(Kind::Read, ms);
    }
    let curves = run.recorder.curves();
    let [reads] = &curves[..] else { panic!("only reads were recorded") };
    let near = |value: f64, wanted: f64| (value / wanted - 1.0).abs() < 0.01;
    assert!(near(reads.points[0].0, 1.0) && near(reads.points[0].1, 1.0), "{reads:?}");
    let last = reads.points[reads.points.len() - 1];
    assert!(near(last.0, 1000.0) && near(last.1, 1000.0), "{last:?}");
    let half = reads.points.iter().find(|(x, _)| near(*x, 2.0)).expect("the median is a step");
    assert!(near(half.1, 500.0), "{half:?}");
    assert!(reads.points.is_sorted_by(|a, b| a.0 <= b.0 && a.1 <= b.1), "{reads:?}");
}

#[test]
fn an_outage_lasts_from_the_last_success_to_the_next() {
    let mut run = Run::new();
    run.recorder.begin(run.now);
    run.done_after_ms(Kind::Write, 1);
    run.recorder.failed("connection lost");
    run.recorder.failed("ERR_NO_LEADER");
    run.done_after_ms(Kind::Write, 200);
    run.done_after_ms(Kind::Write, 300);
    run.recorder.end(run.now);
    let durations: Vec<Duration> =
        run.recorder.outages.iter().map(|outage| outage.duration).collect();
    assert_eq!(durations, [Duration::from_millis(200)]);
}

#[test]
fn a_run_without_an_answer_has_no_rate() {
    let mut recorder = Recorder::new();
    let now = Instant::now();
    recorder.begin(now);
    recorder.end(now);
    assert_eq!(recorder.text(), "0 commands in 0.00 s: 0 per second\n");
    assert_eq!(
        recorder.json(),
        "{\"seconds\":0.000000,\"commands\":0,\"commands_uncounted\":0,\"per_second\":0.0,\
         \"slow_commands\":0,\"errors\":{},\"outages\":[]}\n"
    );
}
