//! Charts of what scripts/scale.sh measures.
//!
//! Standard input is lines of words, which tabs separate: `title`, `x` or `y` and a
//! text; `log` for a logarithmic y axis; and for each point `point`, the name of
//! its line, x, y.

use super::chart::{Chart, Series, XMarks, YScale};
use crate::cli::{Failure, usage};

/// The chart as SVG.
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
mod tests {
    use super::*;

    #[test]
    fn a_line_is_drawn_of_the_points_of_a_name() {
        let text = "title\tPuts\nx\tclients\ny\tper second\n\
                    point\ta b\t1\t5\npoint\tc\t1\t2\npoint\ta b\t64\t50\n";
        let svg = draw(text).unwrap();
        assert_eq!(svg.matches("<polyline").count(), 2);
        for word in [">Puts<", ">clients<", ">per second<", ">a b<", ">c<", ">64<"] {
            assert!(svg.contains(word), "{word} in {svg}");
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        for wrong in ["point\ta\t1", "point\ta\tone\t2", "point\ta\tNaN\t2", "titel\ta", ""] {
            let error = draw(&format!("title\tPuts\n{wrong}\n")).unwrap_err().to_string();
            assert!(error.starts_with("line 2: "), "{error}");
        }
    }
}
