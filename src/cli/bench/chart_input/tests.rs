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
