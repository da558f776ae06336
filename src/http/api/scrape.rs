//! The numbers of the node at one moment, read from the text of its metrics: so the console shows
//! what a scrape does.

use std::collections::BTreeMap;

/// The series of one scrape, each by its name with its labels.
#[derive(Clone, Debug, Default)]
pub(super) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// Reads a text of metrics.
    pub(super) fn parse(text: &str) -> Scrape {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.filter_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Scrape(series.collect())
    }

    /// The value of a series without labels.
    pub(super) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }

    /// The value of a series as a whole number.
    pub(super) fn whole(&self, name: &str) -> Option<u64> {
        self.get(name).map(|value| value as u64)
    }

    /// The series of a metric, each with its labels: what stands between the braces.
    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let from = self.0.range(name.to_owned()..);
        let found = from.take_while(move |(series, _)| series.starts_with(name));
        found.filter_map(move |(series, value)| {
            let labels = series.strip_prefix(name)?;
            let labels = labels.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            Some((labels.unwrap_or_default(), *value))
                .filter(|(labels, _)| !labels.is_empty() || series.len() == name.len())
        })
    }

    /// The sum of the series of a counter whose label has one of these values; of all of them
    /// when none are given.
    pub(super) fn sum(&self, name: &str, label: &str, values: &[&str]) -> Option<f64> {
        let mut found = self.of(name).filter(|(labels, _)| has(labels, label, values)).peekable();
        found.peek()?;
        Some(found.map(|(_, value)| value).sum())
    }

    /// The value of the series of a metric for a peer.
    pub(super) fn of_peer(&self, name: &str, peer: u64) -> Option<f64> {
        self.get(&format!("{name}{{peer=\"{peer}\"}}"))
    }

    /// The number of observations of a histogram up to each of its bounds.
    fn buckets(&self, name: &str, label: &str, values: &[&str]) -> BTreeMap<u64, f64> {
        let mut buckets = BTreeMap::new();
        for (labels, count) in self.of(&format!("{name}_bucket")) {
            let bound = value_of(labels, "le").map(|bound| match bound {
                "+Inf" => f64::INFINITY,
                bound => bound.parse().unwrap_or(f64::NAN),
            });
            let Some(bound) = bound.filter(|bound| !bound.is_nan()) else { continue };
            if has(labels, label, values) {
                // The bits of floats above 0 are in the order of the floats.
                *buckets.entry(bound.to_bits()).or_default() += count;
            }
        }
        buckets
    }
}

/// True when the label has one of these values, or none are given.
fn has(labels: &str, label: &str, values: &[&str]) -> bool {
    values.is_empty() || value_of(labels, label).is_some_and(|value| values.contains(&value))
}

/// The value of a label. No value of ours has a comma or a quote.
fn value_of<'a>(labels: &'a str, label: &str) -> Option<&'a str> {
    labels
        .split(',')
        .find_map(|part| part.strip_prefix(label)?.strip_prefix("=\"")?.strip_suffix('"'))
}

/// A histogram, of which only some series are looked at.
#[derive(Clone, Copy)]
pub(super) struct Durations {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) values: &'static [&'static str],
}

/// The quantile in milliseconds of what a histogram observed between two scrapes; `None` when
/// there was nothing. Within a bucket it is as if the observations were spread evenly.
pub(super) fn quantile_ms(
    before: &Scrape,
    now: &Scrape,
    of: Durations,
    quantile: f64,
) -> Option<f64> {
    let Durations { name, label, values } = of;
    let earlier = before.buckets(name, label, values);
    let buckets = now.buckets(name, label, values);
    let count_at = |(bound, count): (&u64, &f64)| {
        (f64::from_bits(*bound), count - earlier.get(bound).copied().unwrap_or(0.0))
    };
    let buckets: Vec<(f64, f64)> = buckets.iter().map(count_at).collect();
    let (_, count) = *buckets.last()?;
    if count <= 0.0 {
        return None;
    }
    let wanted = quantile * count;
    let (mut low, mut below) = (0.0, 0.0);
    for (bound, up_to) in buckets {
        if up_to >= wanted {
            // Nothing is known above the highest bound.
            let is_last = bound.is_infinite();
            let within = (wanted - below) / (up_to - below).max(1.0);
            let seconds = if is_last { low } else { low + (bound - low) * within };
            return Some(seconds * 1e3);
        }
        (low, below) = (bound, up_to);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const READS: Durations =
        Durations { name: "took_seconds", label: "command", values: &["get", "scan"] };

    fn scrape(fast: u64, slow: u64, other: u64) -> Scrape {
        let all = fast + slow;
        Scrape::parse(&format!(
            "# TYPE took_seconds histogram\n\
             took_seconds_bucket{{command=\"get\",le=\"0.001\"}} {fast}\n\
             took_seconds_bucket{{command=\"get\",le=\"0.002\"}} {all}\n\
             took_seconds_bucket{{command=\"get\",le=\"+Inf\"}} {all}\n\
             took_seconds_bucket{{command=\"set\",le=\"0.001\"}} 0\n\
             took_seconds_bucket{{command=\"set\",le=\"0.002\"}} 0\n\
             took_seconds_bucket{{command=\"set\",le=\"+Inf\"}} {other}\n\
             requests_total{{command=\"get\"}} {all}\n\
             requests_total{{command=\"set\"}} {other}\n\
             requests_totals 99\n\
             raft_term 7\n"
        ))
    }

    #[test]
    fn series_are_found_by_name_and_label() {
        let scrape = scrape(3, 1, 5);
        assert_eq!(scrape.whole("raft_term"), Some(7));
        assert_eq!(scrape.get("raft_ter"), None);
        assert_eq!(scrape.sum("requests_total", "command", &["get"]), Some(4.0));
        assert_eq!(scrape.sum("requests_total", "command", &[]), Some(9.0));
        assert_eq!(scrape.sum("requests", "command", &[]), None);
    }

    #[test]
    fn a_quantile_is_of_what_happened_since_the_scrape_before() {
        let (before, now) = (scrape(100, 0, 3), scrape(150, 50, 9));
        let near = |quantile: f64, expected: f64| {
            let found = quantile_ms(&before, &now, READS, quantile).unwrap();
            assert!((found - expected).abs() < 0.001, "{found} is not {expected}");
        };
        near(0.5, 1.0);
        near(0.25, 0.5);
        near(0.75, 1.5);
        assert_eq!(quantile_ms(&now, &now, READS, 0.5), None, "nothing happened");
    }
}
