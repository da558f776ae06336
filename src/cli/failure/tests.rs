use super::*;

#[test]
fn the_table_of_the_document_is_the_table_of_the_program() {
    let document = std::fs::read_to_string("docs/operations.md").unwrap();
    let rows = document.lines().skip_while(|line| *line != "| code | meaning |").skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    let expected = EXIT_CODES.map(|(code, meaning)| format!("| {code} | {meaning} |"));
    assert_eq!(rows, expected);
}

#[test]
fn each_code_of_the_program_is_in_the_table() {
    let failures = [
        Failure::No(String::new()),
        usage("a reason"),
        Failure::Unavailable(String::new()),
        NodeError::Storage(StorageError::Gone { path: "a".into(), data_dir: "b".into() }).into(),
    ];
    let codes = failures.map(|failure| failure.exit_code().to_string());
    assert_eq!(codes, ["1", "2", "3", "4"]);
    for code in codes {
        assert!(exit_codes().contains(&format!("\n  {code} ")), "{code}");
    }
}
