use std::fs;

use super::*;

const THREE: &str = "[[servers]]\nid = 1\nhostname = \"a\"\nclient_port = 1\nlog_port = 2\n\
                     [[servers]]\nid = 2\nhostname = \"b\"\nclient_port = 3\nlog_port = 4\n\
                     [[servers]]\nid = 3\nhostname = \"c\"\nclient_port = 5\nlog_port = 6\n";

/// The addresses that count, with these options and with this value of the variable.
fn addresses(
    config: Option<&Path>,
    endpoints: &[&str],
    variable: Option<&str>,
) -> Result<Vec<String>, String> {
    let endpoints = endpoints.iter().map(|text| text.parse().unwrap()).collect();
    let options = Endpoints { config: config.map(Path::to_owned), endpoints };
    let source = options.source_beside(variable.map(OsString::from));
    source.map(|source| source.addresses()).map_err(|failure| {
        assert_eq!(failure.exit_code(), 2);
        failure.to_string()
    })
}

#[test]
fn an_option_counts_before_the_variable_and_the_variable_before_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("servers.toml");
    fs::write(&file, THREE).unwrap();
    let of_file = ["a:1", "b:3", "c:5"].map(str::to_owned);
    assert_eq!(addresses(Some(&file), &[], None).unwrap(), of_file);
    assert_eq!(addresses(Some(&file), &[], Some("d:7")).unwrap(), of_file);
    assert_eq!(addresses(None, &["e:8", "[::1]:9"], Some("d:7")).unwrap(), ["e:8", "[::1]:9"]);
    assert_eq!(addresses(None, &[], Some("d:7, f:8")).unwrap(), ["d:7", "f:8"]);
}

#[test]
fn without_any_of_them_the_sentence_names_all_three() {
    // The directory of the tests has a servers.toml, and any other file is as absent.
    let absent = Path::new("/no/such/servers.toml");
    assert!(addresses(Some(absent), &[], None).unwrap_err().contains("/no/such/servers.toml"));
    let said = absent_file();
    for word in ["servers.toml", "--endpoints HOST:PORT", "CORACLE_ENDPOINTS", "--config FILE"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn an_empty_variable_is_none_and_a_wrong_one_is_named() {
    let file = Path::new("/no/such/servers.toml");
    assert!(addresses(Some(file), &[], Some("")).unwrap_err().contains("cannot be read"));
    for wrong in ["host", "a:1,", "a:0", "a b:1"] {
        let said = addresses(None, &[], Some(wrong)).unwrap_err();
        assert!(said.starts_with("the variable CORACLE_ENDPOINTS: "), "{said}");
        assert!(said.contains("HOST:PORT is expected"), "{said}");
    }
}
