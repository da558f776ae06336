use super::*;

#[test]
fn a_line_has_the_name_of_its_origin_and_no_more_without_colours() {
    let plain = Paint::default();
    assert_eq!(line(plain, ("dev", PLAIN), "n1 leads"), "dev | n1 leads\n");
    let server = ("n12", style_of(NodeId(12)));
    assert_eq!(line(plain, server, "a \u{1b}[2J b"), "n12 | a \\u{1b}[2J b\n");
}

#[test]
fn servers_that_are_near_each_other_have_different_colours() {
    let colored = Paint::for_tests();
    let line = |id| line(colored, ("n", style_of(NodeId(id))), "x");
    assert_eq!(line(1), "\u{1b}[36mn   |\u{1b}[0m x\n");
    let lines: Vec<String> = (1..=6).map(line).collect();
    assert!((0..6).all(|at| !lines[..at].contains(&lines[at])));
    assert_eq!(line(7), lines[0]);
}

#[test]
fn a_line_of_this_command_itself_has_no_colour() {
    assert_eq!(line(Paint::for_tests(), ("dev", PLAIN), "x"), "dev | x\n");
}
