//! Secrets in all places where they may stand.

use coracle::config::TABLES;

use super::*;

#[test]
fn what_is_not_listed_is_left_out_wherever_it_stands() {
    let text = "# the password is hunter2\ncluster = \"orders\"\npassword = \"hunter2\"\n\
                [[servers]]\nid = 1\nhostname = \"10.0.0.1\" # hunter2\ntoken = \"hunter2\"\n\
                http_port = { hunter2 = \"hunter2\" }\nlog_port = [[{ a = \"hunter2\" }]]\n\
                [raft]\ntick_ms = 10\nhunter2 = 1\n[tls]\nkey = \"hunter2\"\n[http]\n\
                [http.auth]\nsecret = \"hunter2\"\n[[users]]\nname = \"hunter2\"\n";
    let told = told(text).unwrap();
    assert!(!told.contains("hunter2"), "{told}");
    let table: Table = told.parse().unwrap();
    assert_eq!(table["cluster"].as_str(), Some("orders"));
    assert_eq!(table["servers"][0]["hostname"].as_str(), Some("10.0.0.1"));
    assert_eq!(table["raft"]["tick_ms"].as_integer(), Some(10));
    assert_eq!(table.keys().collect::<Vec<_>>(), ["cluster", "http", "raft", "servers"]);
}

#[test]
fn a_file_that_is_none_is_not_quoted() {
    let error = told("password = hunter2 hunter2").unwrap_err();
    assert_eq!(error, "it is no TOML");
    let part = part(Some(Path::new("no/such/servers.toml")));
    assert!(part.content.unwrap_err().starts_with("no/such/servers.toml: "));
}

/// Keys of servers.toml that are secrets. A new key is either here or in the list of those that
/// may be told.
const SECRETS: &[&str] = &[];

#[test]
fn each_key_of_the_file_is_told_or_is_known_to_be_a_secret() {
    let name_of = |table: &'static str| table.trim_matches(['[', ']']);
    let tables: Vec<&str> = TABLES.iter().map(|(table, _)| name_of(table)).collect();
    for (table, keys) in TABLES {
        let name = name_of(table);
        let (_, told) = TOLD.iter().find(|(known, _)| *known == name).expect("each is listed");
        for key in *keys {
            let is_table = name.is_empty() && tables.contains(key);
            let is_decided = is_table || told.contains(key) || SECRETS.contains(key);
            assert!(is_decided, "{table} {key} is neither told nor a secret");
        }
    }
}
