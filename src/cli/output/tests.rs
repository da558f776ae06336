use super::*;

#[test]
fn names_are_text_in_json_whatever_is_in_them() {
    assert_eq!(json_text("two words"), r#""two words""#);
    assert_eq!(json_text("a\"b\\c\n\u{1f}caf\u{e9}"), "\"a\\\"b\\\\c\\u000a\\u001fcaf\u{e9}\"");
}

#[test]
fn an_object_of_json_has_its_values_in_order_and_null_for_those_that_are_not_known() {
    let inner = Object::new().raw("id", 1);
    let object = Object::new().text("a\"", "\u{9b}1m").optional("b", None::<u64>);
    let object =
        object.optional_text("c", Some("\u{202e}")).raw("d", json_list([inner].into_iter()));
    let expected = "{\"a\\\"\":\"\\u009b1m\",\"b\":null,\"c\":\"\\u202e\",\"d\":[{\"id\":1}]}\n";
    assert_eq!(object.line(), expected);
}

#[test]
fn a_text_of_another_machine_can_do_nothing_to_a_terminal() {
    assert_eq!(shown("server 3 (caf\u{e9})"), "server 3 (caf\u{e9})");
    let dangerous = "\u{1b}[2J\r\n\u{7f}\u{9b}\u{202e}\u{200b}\u{feff}\u{e0041}";
    let escaped = r"\u{1b}[2J\u{d}\u{a}\u{7f}\u{9b}\u{202e}\u{200b}\u{feff}\u{e0041}";
    assert_eq!(shown(dangerous), escaped);
}

#[test]
fn a_column_is_as_wide_as_its_widest_cell() {
    let rows = [["id", "role"], ["10", "leader"], ["2", ""]];
    let rows = rows.map(|row| row.map(str::to_owned));
    assert_eq!(table(&rows), "id  role\n10  leader\n2\n");
}

#[test]
fn a_load_bar_shows_how_far_and_how_fast_the_load_is() {
    let load = LoadBar::to(ProgressDrawTarget::hidden());
    load.doing("measuring", 3, 10);
    load.counted((500, 0), Duration::from_secs(2));
    assert_eq!((load.bar.position(), load.bar.length()), (3, Some(10)));
    assert_eq!(load.bar.message(), "measuring");
    assert_eq!(load.bar.prefix(), "250 per second");
    load.counted((500, 7), Duration::ZERO);
    assert_eq!(load.bar.prefix(), "500000 per second, 7 errors");
    load.doing("measuring", 12, 10);
    assert_eq!(load.bar.position(), 10, "never more than all");
}
