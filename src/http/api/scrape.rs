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
mod tests;
