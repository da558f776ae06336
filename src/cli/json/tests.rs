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
