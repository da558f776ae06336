use super::*;

#[test]
fn each_row_of_a_table_has_its_style_and_its_width_does_not_count_it() {
    let rows = [["id", "is"], ["1", "up"], ["2", "down"]].map(|row| row.map(str::to_owned));
    let style = |row: &[String; 2]| if row[1] == "down" { BAD } else { PLAIN };
    let colored = Paint::for_tests().table(&rows, style);
    let expected = "\u{1b}[1mid  is\u{1b}[0m\n1   up\n\u{1b}[31m2   down\u{1b}[0m\n";
    assert_eq!(colored, expected);
    assert_eq!(Paint::default().table(&rows, style), "id  is\n1   up\n2   down\n");
}
