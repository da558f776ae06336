//! Parts that are there and parts that are not.

use super::*;

/// A manifest with a part of each kind.
pub fn manifest() -> Manifest {
    let part = |name: &str, content| Part { name: name.into(), content };
    let parts = vec![
        part("n1/status.txt", Ok(b"id 1\n".to_vec())),
        part("n2/status.txt", Err("10.0.0.2:9000: no answer in time".into())),
    ];
    Manifest { cluster: "orders".into(), made_at_ms: 1_780_000_000_000, parts }
}

#[test]
fn each_part_is_told_with_its_size_or_its_reason() {
    let json: serde_json::Value = serde_json::from_str(&manifest().json().line()).unwrap();
    let expected = serde_json::json!({
        "program_version": env!("CARGO_PKG_VERSION"), "cluster": "orders",
        "made_at_ms": 1_780_000_000_000_u64,
        "parts": [{"name": "n1/status.txt", "bytes": 5}],
        "missing": [{"name": "n2/status.txt", "reason": "10.0.0.2:9000: no answer in time"}],
    });
    assert_eq!(json, expected);
}
