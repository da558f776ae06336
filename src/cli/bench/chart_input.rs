//! The input of a chart, which scripts/scale.sh writes.
//!
//! Standard input is lines of words that are separated by tabs: `title`, `x` or `y` and a
//! text; `log` for a logarithmic y axis; and for each point `point`, the name of its line
//! in the chart, x, y.

use super::chart::{Chart, Series, XMarks, YScale};
use crate::cli::failure::{Failure, usage};

/// Reads the input, and returns the chart as SVG.
pub fn draw(text: &str) -> Result<String, Failure> {
    let mut chart = Chart {
        title: String::new(),
        x_label: String::new(),
        y_label: String::new(),
        x_marks: XMarks::Points,
        y_scale: YScale::Linear,
        series: Vec::new(),
    };
    for (number, line) in text.lines().enumerate() {
        let wrong = || usage(format!("line {}: it is no part of a chart: {line}", number + 1));
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["title", title] => chart.title = title.to_owned(),
            ["x", label] => chart.x_label = label.to_owned(),
            ["y", label] => chart.y_label = label.to_owned(),
            ["log"] => chart.y_scale = YScale::Logarithmic,
            ["point", name, x, y] => {
                let value = |text: &str| text.parse().ok().filter(|value: &f64| value.is_finite());
                let point = value(x).zip(value(y)).ok_or_else(wrong)?;
                match chart.series.iter_mut().find(|series| series.name == name) {
                    Some(series) => series.points.push(point),
                    None => {
                        chart.series.push(Series { name: name.to_owned(), points: vec![point] })
                    }
                }
            }
            _ => return Err(wrong()),
        }
    }
    Ok(chart.svg())
}

#[cfg(test)]
mod tests;
