//! What a run has measured: latencies, errors by kind, outages.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use super::chart::Series;
use super::workload::Kind;

/// Latencies are kept to a thousandth of themselves, up to this.
const LATENCY_US_MAX: u64 = 60_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// Points of a curve from one percentile to where half as many are beyond.
const STEPS_A_HALVING: u32 = 10;

/// Takes down what happens. Only what is answered between [`Recorder::begin`] and
/// [`Recorder::end`] counts, but for outages, which count always.
pub struct Recorder {
    reads: Histogram<u64>,
    writes: Histogram<u64>,
    errors: BTreeMap<String, u64>,
    outages: Vec<Outage>,
    /// Answered outside the measurement.
    uncounted: u64,
    /// Executed for connections that read slowly, which are in nothing else.
    slow: u64,
    /// Of an open loop: how many were due by the end and not answered.
    unanswered: Option<u64>,
    /// All that were answered, in or outside the measurement, executed or not.
    answered: u64,
    span: Option<Span>,
    last_done: Instant,
    /// After an error, until the next command is executed.
    is_out: bool,
}

struct Span {
    begin: Instant,
    end: Option<Instant>,
}

/// A while in which, after an error, nothing was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outage {
    /// From the last command before to the first one after.
    duration: Duration,
    /// The time of day of its end, since 1970.
    until: Duration,
}

impl Recorder {
    pub fn new() -> Recorder {
        let histogram = || {
            Histogram::new_with_max(LATENCY_US_MAX, SIGNIFICANT_DIGITS)
                .expect("these bounds are those of a histogram")
        };
        Recorder {
            reads: histogram(),
            writes: histogram(),
            errors: BTreeMap::new(),
            outages: Vec::new(),
            uncounted: 0,
            slow: 0,
            unanswered: None,
            answered: 0,
            span: None,
            last_done: Instant::now(),
            is_out: false,
        }
    }

    /// The warm-up is over.
    pub fn begin(&mut self, now: Instant) {
        self.span = Some(Span { begin: now, end: None });
    }

    /// Nothing more counts.
    pub fn end(&mut self, now: Instant) {
        if let Some(span) = &mut self.span {
            span.end.get_or_insert(now);
        }
    }

    /// A command was executed.
    pub fn done(&mut self, kind: Kind, sent: Instant, now: Instant) {
        if std::mem::take(&mut self.is_out) {
            let until = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.outages.push(Outage { duration: now - self.last_done, until });
        }
        self.last_done = now;
        self.answered += 1;
        if !self.is_measuring() {
            self.uncounted += 1;
            return;
        }
        let histogram = match kind {
            Kind::Read => &mut self.reads,
            Kind::Write => &mut self.writes,
        };
        histogram.saturating_record((now - sent).as_micros() as u64);
    }

    /// A command was executed for a connection that reads slowly.
    pub fn done_slowly(&mut self) {
        if self.is_measuring() {
            self.slow += 1;
        }
    }

    /// It was an open loop, and by its end so many commands were due, since its
    /// beginning. To be said at the end.
    pub fn due(&mut self, count: u64) {
        self.unanswered.get_or_insert(count.saturating_sub(self.answered));
    }

    /// A command was refused, or a connection lost.
    pub fn failed(&mut self, error: &str) {
        self.is_out = true;
        self.answered += 1;
        if self.is_measuring() {
            match self.errors.get_mut(error) {
                Some(count) => *count += 1,
                None => drop(self.errors.insert(error.to_owned(), 1)),
            }
        }
    }

    fn is_measuring(&self) -> bool {
        self.span.as_ref().is_some_and(|span| span.end.is_none())
    }

    fn seconds(&self) -> f64 {
        let span = self.span.as_ref().and_then(|span| Some(span.end? - span.begin));
        span.unwrap_or_default().as_secs_f64()
    }

    fn done_count(&self) -> u64 {
        self.reads.len() + self.writes.len()
    }

    fn per_second(&self) -> f64 {
        let seconds = self.seconds();
        if seconds > 0.0 { self.done_count() as f64 / seconds } else { 0.0 }
    }

    /// Executed so far, and errors, of the measurement.
    pub fn so_far(&self) -> (u64, u64) {
        (self.done_count(), self.errors.values().sum())
    }

    /// For each kind its percentiles: x is 1 / (1 - p), y the latency in ms.
    pub fn curves(&self) -> Vec<Series> {
        let curve = |histogram: &Histogram<u64>| {
            let least = [(1.0, ms(histogram.min()))];
            let steps = histogram.iter_quantiles(STEPS_A_HALVING).map(|step| {
                let beyond = 1.0 - step.quantile_iterated_to();
                // At the last one nothing is beyond: a single one is the best that is known.
                let share = beyond.max(1.0 / histogram.len() as f64);
                (1.0 / share, ms(step.value_iterated_to()))
            });
            least.into_iter().chain(steps).collect()
        };
        let series =
            |(name, histogram)| Series { name: String::from(name), points: curve(histogram) };
        self.kinds().map(series).collect()
    }

    fn kinds(&self) -> impl Iterator<Item = (&'static str, &Histogram<u64>)> {
        [("reads", &self.reads), ("writes", &self.writes)]
            .into_iter()
            .filter(|(_, histogram)| !histogram.is_empty())
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{} commands in {:.2} s: {:.0} per second\n",
            self.done_count(),
            self.seconds(),
            self.per_second()
        );
        for (name, histogram) in self.kinds() {
            let _ = write!(text, "{name:<7}{:>9}  ", histogram.len());
            for (label, us) in latencies(histogram) {
                let _ = write!(text, " {label} {:.3} ms", ms(us));
            }
            text.push('\n');
        }
        if self.slow > 0 {
            let _ = writeln!(text, "slow   {:>9}   not among the above", self.slow);
        }
        if let Some(count) = self.unanswered {
            let _ = writeln!(text, "unanswered {count:>5}   of those that were due");
        }
        for (error, count) in &self.errors {
            let _ = writeln!(text, "errors {count:>9}   {error}");
        }
        for Outage { duration, .. } in &self.outages {
            let _ = writeln!(text, "outage {:>9.1} ms", duration.as_secs_f64() * 1000.0);
        }
        text
    }

    /// For programs: one object on one line.
    pub fn json(&self) -> String {
        let mut members = vec![
            format!("\"seconds\":{:.6}", self.seconds()),
            format!("\"commands\":{}", self.done_count()),
            format!("\"commands_uncounted\":{}", self.uncounted),
            format!("\"per_second\":{:.1}", self.per_second()),
        ];
        for (name, histogram) in self.kinds() {
            let latencies = latencies(histogram).map(|(label, us)| format!("\"{label}_us\":{us}"));
            let (count, latencies) = (histogram.len(), latencies.join(","));
            members.push(format!("\"{name}\":{{\"commands\":{count},{latencies}}}"));
        }
        members.push(format!("\"slow_commands\":{}", self.slow));
        if let Some(count) = self.unanswered {
            members.push(format!("\"unanswered\":{count}"));
        }
        let errors = self.errors.iter().map(|(error, count)| format!("{error:?}:{count}"));
        members.push(format!("\"errors\":{{{}}}", errors.collect::<Vec<_>>().join(",")));
        let outages = self.outages.iter().map(|Outage { duration, until }| {
            let (ms, until_us) = (duration.as_secs_f64() * 1000.0, until.as_micros());
            format!("{{\"ms\":{ms:.3},\"until_unix_us\":{until_us}}}")
        });
        members.push(format!("\"outages\":[{}]", outages.collect::<Vec<_>>().join(",")));
        format!("{{{}}}\n", members.join(","))
    }
}

fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

fn latencies(histogram: &Histogram<u64>) -> [(&'static str, u64); 5] {
    [
        ("p50", histogram.value_at_quantile(0.5)),
        ("p90", histogram.value_at_quantile(0.9)),
        ("p99", histogram.value_at_quantile(0.99)),
        ("p99.9", histogram.value_at_quantile(0.999)),
        ("max", histogram.max()),
    ]
}

#[cfg(test)]
mod tests {
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
    fn what_was_due_and_is_not_answered_is_told() {
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
}
