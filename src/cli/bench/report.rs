//! The results of a run: latencies, errors by kind, outages.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;

use super::chart::Series;
use super::workload::Kind;

/// Maximum latency that is recorded exactly, in microseconds.
const LATENCY_US_MAX: u64 = 60_000_000;
/// Number of digits to which a latency is recorded: to a thousandth of itself.
const SIGNIFICANT_DIGITS: u8 = 3;
/// Number of points of a curve from one percentile to the one with half as many values
/// above it.
const STEPS_A_HALVING: u32 = 10;

/// Records the outcomes of commands. Only those that come between [`Recorder::begin`] and
/// [`Recorder::end`] count; outages count always.
pub struct Recorder {
    reads: Histogram<u64>,
    writes: Histogram<u64>,
    errors: BTreeMap<String, u64>,
    outages: Vec<Outage>,
    /// Commands that were answered outside the measurement.
    uncounted: u64,
    /// Commands that were executed for connections that read slowly. No other figure counts
    /// them.
    slow: u64,
    /// Commands of an open loop that were due by the end and not answered.
    unanswered: Option<u64>,
    /// All commands that were answered, in or outside the measurement, executed or not.
    answered: u64,
    span: Option<Span>,
    last_done: Instant,
    /// True after an error, until the next command is executed.
    is_out: bool,
}

struct Span {
    begin: Instant,
    end: Option<Instant>,
}

/// A time in which, after an error, nothing was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outage {
    /// Time from the last executed command before the error to the first one after it.
    duration: Duration,
    /// The end of the outage, since the Unix epoch.
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

    /// Begins the measurement: the warm-up is over.
    pub fn begin(&mut self, now: Instant) {
        self.span = Some(Span { begin: now, end: None });
    }

    /// Ends the measurement, if it has not ended: nothing more counts.
    pub fn end(&mut self, now: Instant) {
        if let Some(span) = &mut self.span {
            span.end.get_or_insert(now);
        }
    }

    /// Records a command that was executed.
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

    /// Records a command that was executed for a connection that reads slowly.
    pub fn done_slowly(&mut self) {
        if self.is_measuring() {
            self.slow += 1;
        }
    }

    /// Records the number of commands of an open loop that were due from its beginning to
    /// its end. It must be called at the end.
    pub fn due(&mut self, count: u64) {
        self.unanswered.get_or_insert(count.saturating_sub(self.answered));
    }

    /// Records a command that was refused, or a connection that was lost.
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

    /// The numbers of executed commands and of errors in the measurement so far.
    pub fn so_far(&self) -> (u64, u64) {
        (self.done_count(), self.errors.values().sum())
    }

    /// The percentiles of each kind of command: x is 1 / (1 - p), y the latency in ms.
    pub fn curves(&self) -> Vec<Series> {
        let curve = |histogram: &Histogram<u64>| {
            let least = [(1.0, ms(histogram.min()))];
            let steps = histogram.iter_quantiles(STEPS_A_HALVING).map(|step| {
                let beyond = 1.0 - step.quantile_iterated_to();
                // No value lies above the last percentile: it is drawn at the share of one value.
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

    /// The results for people.
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

    /// The results for programs: one JSON object on one line.
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
mod tests;
