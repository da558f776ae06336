use super::*;

fn chart(x_marks: XMarks, y_scale: YScale, points: &[(f64, f64)]) -> Chart {
    Chart {
        title: "a < b & c".into(),
        x_label: "x".into(),
        y_label: "ms".into(),
        x_marks,
        y_scale,
        series: vec![Series { name: "puts".into(), points: points.to_vec() }],
    }
}

fn labels(svg: &str, anchor: &str) -> Vec<String> {
    let marked = svg.lines().filter(|line| line.contains(&format!("anchor=\"{anchor}\"")));
    let inside = |line: &str| line.split(['<', '>']).nth(2).unwrap().to_owned();
    marked.map(inside).collect()
}

#[test]
fn the_axis_of_percentiles_has_a_nine_more_a_decade() {
    let svg = chart(XMarks::Percentiles, YScale::Linear, &[(1.0, 1.0), (20_000.0, 9.0)]).svg();
    let wanted = ["a &lt; b &amp; c", "x", "0 %", "90 %", "99 %", "99.9 %", "99.99 %"];
    assert_eq!(labels(&svg, "middle"), wanted);
    assert_eq!(labels(&svg, "end"), ["0", "2", "4", "6", "8", "10"]);
}

#[test]
fn points_lie_where_the_axes_say() {
    let points = [(1.0, 0.0), (10.0, 5.0), (100.0, 10.0)];
    let svg = chart(XMarks::Points, YScale::Linear, &points).svg();
    assert!(svg.contains("points=\"70.0,350.0 385.0,195.0 700.0,40.0 \""), "{svg}");
    assert_eq!(svg.matches("<circle").count(), 3);
}

#[test]
fn a_logarithmic_scale_leaves_out_what_is_not_above_0() {
    let points = [(1.0, 0.0), (16.0, 3.0), (1e6, 40.0)];
    let svg = chart(XMarks::Points, YScale::Logarithmic, &points).svg();
    assert_eq!(labels(&svg, "end"), ["1", "10", "100"]);
    assert_eq!(svg.matches("<circle").count(), 2);
}

#[test]
fn numbers_are_short() {
    let cases =
        [(0.0, "0"), (0.02, "0.02"), (250.0, "250"), (65_536.0, "65.536 k"), (1.5e6, "1.5 M")];
    for (value, wanted) in cases {
        assert_eq!(label(value), wanted);
    }
}

#[test]
fn a_chart_of_nothing_or_of_one_point_is_a_chart() {
    for points in [&[][..], &[(5.0, 0.0)], &[(5.0, 7.0)]] {
        for y_scale in [YScale::Linear, YScale::Logarithmic] {
            for x_marks in [XMarks::Percentiles, XMarks::Points] {
                let svg = chart(x_marks, y_scale, points).svg();
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{points:?}: {svg}");
            }
        }
    }
}
