use serde_json::json;

use super::*;

#[test]
fn a_parameter_is_read_in_its_range_or_refused() {
    let query = Parameters::read("limit=5&key=Y29sb3I&empty=").unwrap();
    assert_eq!(query.number("limit", 1..=5), Ok(Some(5)));
    assert_eq!(query.number("absent", 1..=5), Ok(None));
    assert_eq!(query.number("limit", 1..=4).unwrap_err().code, "bad_request");
    assert_eq!(query.bytes("key"), Ok(Some(Bytes::from("color"))));
    assert_eq!(query.bytes("empty"), Ok(Some(Bytes::new())));
    let wrong = Parameters::read("key=***").unwrap();
    assert_eq!(wrong.bytes("key").unwrap_err().code, "bad_request");
    assert!(Parameters::read(&"a".repeat(QUERY_BYTES_MAX)).is_ok());
    let code = Parameters::read(&"a".repeat(QUERY_BYTES_MAX + 1)).err().map(|it| it.code);
    assert_eq!(code, Some("too_large"));
}

#[test]
fn a_field_of_a_body_is_read_or_refused() {
    let body = json!({"revision": 7, "low": -1, "part": 1.5, "key": "Y29sb3I="});
    assert_eq!(number(&body, "revision", 0..=NUMBER_MAX), Ok(7));
    for name in ["low", "part", "key", "absent"] {
        assert!(number(&body, name, 0..=NUMBER_MAX).is_err(), "{name}");
    }
    assert_eq!(bytes(&body, "key"), Ok(Bytes::from("color")));
    assert!(bytes(&body, "revision").is_err());
}
