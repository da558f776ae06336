//! A line chart as SVG: a logarithmic x axis, and lines through points.
//!
//! It is written by hand, because it is a page of code; the crate plotters with nothing but
//! its SVG backend is five crates for the same picture.

use std::fmt::{self, Write};

/// A line of the chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The name in the legend.
    pub name: String,
    /// Pairs of x and y, ordered by x, which is above 0.
    pub points: Vec<(f64, f64)>,
}

/// The marks on the x axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XMarks {
    /// The percentiles, each with one nine more than the one before; x is 1 / (1 - p).
    Percentiles,
    /// The x of every point.
    Points,
}

/// The scale of the y axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum YScale {
    /// The axis begins at 0.
    Linear,
    /// The axis is divided by powers of ten; points that are not above 0 are left out.
    Logarithmic,
}

/// A chart with all its texts and lines.
#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub x_marks: XMarks,
    pub y_scale: YScale,
    pub series: Vec<Series>,
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// Colours that colour-blind readers can tell apart as well (Okabe and Ito).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];
/// Maximum number of points that are marked one by one; more are a curve.
const DOTS_MAX: usize = 20;

/// An axis, which maps values to coordinates.
struct Axis {
    is_logarithmic: bool,
    least: f64,
    greatest: f64,
    /// The coordinate of the least value.
    from: f64,
    /// The coordinate of the greatest value.
    to: f64,
    /// The values that are marked, with their labels.
    marks: Vec<(f64, String)>,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let scaled = |value: f64| if self.is_logarithmic { value.log10() } else { value };
        let (least, greatest) = (scaled(self.least), scaled(self.greatest));
        let share =
            if greatest > least { (scaled(value) - least) / (greatest - least) } else { 0.5 };
        self.from + share * (self.to - self.from)
    }
}

impl Chart {
    /// The chart as the contents of an SVG file.
    pub fn svg(&self) -> String {
        let mut svg = String::new();
        self.write(&mut svg).expect("memory takes every write");
        svg
    }

    fn write(&self, svg: &mut String) -> fmt::Result {
        let (x, y) = (self.x_axis(), self.y_axis());
        writeln!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>"
        )?;
        text(svg, (WIDTH / 2.0, 20.0), "middle", &self.title)?;
        text(svg, ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 10.0), "middle", &self.x_label)?;
        text(svg, (8.0, TOP - 12.0), "start", &self.y_label)?;
        for (value, label) in &x.marks {
            let at = x.place(*value);
            line(svg, (at, TOP), (at, HEIGHT - BOTTOM))?;
            text(svg, (at, HEIGHT - BOTTOM + 18.0), "middle", label)?;
        }
        for (value, label) in &y.marks {
            let at = y.place(*value);
            line(svg, (LEFT, at), (WIDTH - RIGHT, at))?;
            text(svg, (LEFT - 8.0, at + 4.0), "end", label)?;
        }
        for (number, series) in self.series.iter().enumerate() {
            self.write_series(svg, number, series, (&x, &y))?;
        }
        writeln!(svg, "</svg>")
    }

    fn write_series(
        &self,
        svg: &mut String,
        number: usize,
        series: &Series,
        (x, y): (&Axis, &Axis),
    ) -> fmt::Result {
        let colour = COLOURS[number % COLOURS.len()];
        let drawn = series.points.iter().filter(|point| self.has_place(point));
        let places: Vec<(f64, f64)> =
            drawn.map(|(value_x, value_y)| (x.place(*value_x), y.place(*value_y))).collect();
        write!(svg, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"")?;
        for (at_x, at_y) in &places {
            write!(svg, "{at_x:.1},{at_y:.1} ")?;
        }
        writeln!(svg, "\"/>")?;
        for (at_x, at_y) in places.iter().filter(|_| places.len() <= DOTS_MAX) {
            writeln!(svg, "<circle cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"3\" fill=\"{colour}\"/>")?;
        }
        let legend = TOP + 16.0 * (number as f64 + 1.0);
        writeln!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"12\" height=\"4\" fill=\"{colour}\"/>",
            LEFT + 10.0,
            legend - 6.0
        )?;
        text(svg, (LEFT + 28.0, legend), "start", &series.name)
    }

    fn has_place(&self, (x, y): &(f64, f64)) -> bool {
        *x > 0.0 && (*y > 0.0 || self.y_scale == YScale::Linear)
    }

    fn points(&self) -> impl Iterator<Item = &(f64, f64)> {
        let points = self.series.iter().flat_map(|series| &series.points);
        points.filter(|point| self.has_place(point))
    }

    fn x_axis(&self) -> Axis {
        let mut values: Vec<f64> = self.points().map(|(x, _)| *x).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let (least, greatest) = ends(&values, 1.0, 10.0);
        let marks = match self.x_marks {
            XMarks::Percentiles => decades(least, greatest)
                .map(|nines| (10_f64.powi(nines), percentile_label(nines)))
                .collect(),
            XMarks::Points => values.iter().map(|value| (*value, label(*value))).collect(),
        };
        Axis { is_logarithmic: true, least, greatest, from: LEFT, to: WIDTH - RIGHT, marks }
    }

    fn y_axis(&self) -> Axis {
        let mut values: Vec<f64> = self.points().map(|(_, y)| *y).collect();
        values.sort_by(f64::total_cmp);
        let (from, to) = (HEIGHT - BOTTOM, TOP);
        let (least, greatest) = ends(&values, 1.0, 1.0);
        match self.y_scale {
            YScale::Linear => {
                let step = step(greatest);
                let steps = (greatest / step).ceil().max(1.0);
                let marks = (0..=steps as u64).map(|n| (n as f64 * step, label(n as f64 * step)));
                let greatest = steps * step;
                let marks = marks.collect();
                Axis { is_logarithmic: false, least: 0.0, greatest, from, to, marks }
            }
            YScale::Logarithmic => {
                let (first, last) = (least.log10().floor(), greatest.log10().ceil());
                let last = last.max(first + 1.0);
                let (least, greatest) = (10_f64.powf(first), 10_f64.powf(last));
                let value = |exponent| 10_f64.powi(exponent);
                let marks = (first as i32..=last as i32).map(|n| (value(n), label(value(n))));
                let marks = marks.collect();
                Axis { is_logarithmic: true, least, greatest, from, to, marks }
            }
        }
    }
}

/// The least and the greatest of sorted values; the defaults when there are none.
fn ends(sorted: &[f64], least: f64, greatest: f64) -> (f64, f64) {
    (*sorted.first().unwrap_or(&least), *sorted.last().unwrap_or(&greatest))
}

/// The exponents of the powers of ten between two values.
fn decades(least: f64, greatest: f64) -> std::ops::RangeInclusive<i32> {
    least.log10().ceil() as i32..=greatest.log10().floor() as i32
}

/// The distance of two marks: 1, 2 or 5 times a power of ten, so that about five of them
/// make up `greatest`.
fn step(greatest: f64) -> f64 {
    // A chart of zeros must have an axis, too.
    let rough = if greatest > 0.0 { greatest / 5.0 } else { 1.0 };
    let decade = 10_f64.powf(rough.log10().floor());
    let times = [1.0, 2.0, 5.0].into_iter().find(|times| times * decade >= rough * 0.999);
    times.unwrap_or(10.0) * decade
}

/// The percentile with `nines` nines: 0 %, 90 %, 99 %, 99.9 % ...
fn percentile_label(nines: i32) -> String {
    match nines {
        i32::MIN..=0 => "0 %".into(),
        1 => "90 %".into(),
        2 => "99 %".into(),
        _ => format!("99.{} %", "9".repeat(nines as usize - 2)),
    }
}

/// A number in its shortest readable form: 250, 64 k, 1.5 M, 0.02.
fn label(value: f64) -> String {
    let (scaled, unit) = match value {
        _ if value >= 1e6 => (value / 1e6, " M"),
        _ if value >= 1e4 => (value / 1e3, " k"),
        _ => (value, ""),
    };
    let digits = if scaled >= 100.0 { 0 } else { 3 };
    let text = format!("{scaled:.digits$}");
    let short = if text.contains('.') { text.trim_end_matches('0') } else { &text };
    format!("{}{unit}", short.trim_end_matches('.'))
}

fn line(svg: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) -> fmt::Result {
    let places = format!("x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"");
    writeln!(svg, "<line {places} stroke=\"#ddd\"/>")
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) -> fmt::Result {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>")
}

#[cfg(test)]
mod tests;
