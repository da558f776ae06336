use super::*;

#[test]
fn a_line_has_the_name_of_its_origin_and_no_more_without_colours() {
    assert_eq!(line("dev", None, "n1 leads"), "dev | n1 leads\n");
    assert_eq!(line("n12", None, "a \u{1b}[2J b"), "n12 | a \\u{1b}[2J b\n");
}

#[test]
fn servers_that_are_near_each_other_have_different_colours() {
    assert_eq!(line("n1", Some(NodeId(1)), "x"), "\u{1b}[36mn1  |\u{1b}[0m x\n");
    let colours: Vec<String> = (1..=6).map(|id| line("n", Some(NodeId(id)), "")).collect();
    assert!((0..6).all(|at| !colours[..at].contains(&colours[at])));
    assert_eq!(line("n", Some(NodeId(7)), ""), colours[0]);
}
