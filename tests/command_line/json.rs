//! The output of `--json` has the form that docs/command-line-json.md says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::process::{run_with, start, three_servers};
use crate::common::{Cluster, code, coracle};

/// The document: the lines of JSON of each command.
fn documented() -> BTreeMap<String, Vec<Value>> {
    let document = fs::read_to_string("docs/command-line-json.md").unwrap();
    let mut forms: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let (mut commands, mut is_json) = (Vec::new(), false);
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            let names = heading.split(", ").map(|name| name.trim_matches('`'));
            commands =
                names.map(|name| name.strip_prefix("coracle ").unwrap().to_owned()).collect();
        } else if line.starts_with("```") {
            is_json = line == "```json";
        } else if is_json {
            let form: Value = serde_json::from_str(line).unwrap_or_else(|error| {
                panic!("{commands:?}: {line}: {error}");
            });
            for command in &commands {
                forms.entry(command.clone()).or_default().push(form.clone());
            }
        }
    }
    forms
}

/// The commands that have an option, by the man pages.
pub fn commands_with(option: &str) -> BTreeSet<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    assert_eq!(code(&coracle(&["man", path])), 0);
    let option = option.replace('-', "\\-");
    let mut commands = BTreeSet::new();
    for entry in fs::read_dir(directory.path()).unwrap() {
        let page = fs::read_to_string(entry.unwrap().path()).unwrap();
        // The name of the command is that of its synopsis: a file's name has dashes for spaces.
        let has_option = page.lines().any(|line| line.starts_with(&format!("\\fB{option}\\fR")));
        if let Some(name) = synopsis(&page).filter(|_| has_option) {
            commands.insert(name);
        }
    }
    commands
}

/// The command that a man page is about, without the name of the program.
pub fn synopsis(page: &str) -> Option<String> {
    let line = page.lines().skip_while(|line| *line != ".SH SYNOPSIS").nth(1)?;
    let name = line.strip_prefix("\\fBcoracle ")?.split("\\fR").next()?;
    Some(name.replace("\\-", "-"))
}

/// True when a value has the form of another one. Null has any form.
fn has_form(value: &Value, form: &Value) -> bool {
    match (value, form) {
        (Value::Null, _) => true,
        (Value::Object(value), Value::Object(form)) => {
            let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect();
            let (value_names, form_names): (BTreeSet<String>, BTreeSet<String>) =
                (names(value), names(form));
            value_names == form_names && value.iter().all(|(name, it)| has_form(it, &form[name]))
        }
        (Value::Array(values), Value::Array(forms)) => {
            values.iter().all(|value| forms.iter().any(|form| has_form(value, form)))
        }
        (Value::Number(value), Value::Number(form)) => form.is_f64() || !value.is_f64(),
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => true,
        _ => false,
    }
}

/// Runs commands and compares what they print with the document.
struct Checker {
    forms: BTreeMap<String, Vec<Value>>,
    checked: BTreeSet<String>,
    address: String,
}

impl Checker {
    /// Runs a command at the address.
    fn asks(&mut self, command: &str, rest: &[&str], exit_code: i32) {
        let address = self.address.clone();
        self.runs(command, &[rest, &["--endpoints", &address]].concat(), b"", exit_code);
    }

    fn runs(&mut self, command: &str, rest: &[&str], input: &[u8], exit_code: i32) {
        let arguments: Vec<&str> =
            command.split(' ').chain(["--json"]).chain(rest.iter().copied()).collect();
        let output = run_with(&arguments, &[], input);
        assert_eq!(code(&output), exit_code, "{arguments:?}: {output:?}");
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(!printed.is_empty(), "{arguments:?}");
        for line in printed.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            let forms = self.forms.get(command).unwrap_or_else(|| panic!("no form of {command}"));
            let is_known = forms.iter().any(|form| has_form(&value, form));
            assert!(is_known, "{command} prints {line}, and the document has {forms:?}");
        }
        self.checked.insert(command.to_owned());
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn every_command_prints_the_json_that_the_document_says() {
    let mut cluster = three_servers();
    let mut checker =
        Checker { forms: documented(), checked: BTreeSet::new(), address: cluster.address(1) };
    keys(&mut checker);
    servers(&mut checker, &cluster);
    members(&mut checker);
    files(&mut checker, &mut cluster);
    let documented: BTreeSet<String> = documented().into_keys().collect();
    assert_eq!(
        commands_with("--json"),
        documented,
        "the commands with the option, and the document"
    );
    // A change of members that is waited for is in the tests of members.
    let others = ["add", "replace", "promote", "update", "cancel"].map(|it| format!("member {it}"));
    let checked = checker.checked.iter().cloned().chain(others).collect::<BTreeSet<_>>();
    assert_eq!(checked, documented, "the commands that were run, and the document");
}

fn keys(it: &mut Checker) {
    it.asks("set", &["a", "1"], 0);
    it.asks("add", &["b", "1"], 0);
    it.asks("cas", &["a", "2", "2"], 0);
    it.asks("get", &["a"], 0);
    it.asks("scan", &[], 0);
    it.asks("scan", &["--keys-only"], 0);
    it.asks("scan", &["--count"], 0);
    it.asks("watch", &["a", "--from", "1", "--limit", "2", "--prev"], 0);
    it.asks("history", &["a"], 0);
    let address = it.address.clone();
    let script = b"check a 4\nset c 1\ndelete b\nget a\ngetm a\ngetm none\n";
    it.runs("txn", &["--endpoints", &address], script, 0);
    it.runs("txn", &["--endpoints", &address], b"check a 1\n", 1);
    it.asks("watch", &["", "--from", "5", "--limit", "1"], 0);
    it.asks("compact", &["3"], 0);
    it.asks("lease grant", &["60", "--id", "7"], 0);
    it.asks("set", &["d", "1", "--lease", "7"], 0);
    it.asks("lease renew", &["7"], 0);
    it.asks("lease info", &["7"], 0);
    // Another process leads meanwhile.
    let (leader, _directory) = start(&["elect", "e", "me", "--endpoints", &address]);
    leader.line();
    it.asks("elect", &["e"], 0);
}

fn servers(it: &mut Checker, cluster: &Cluster) {
    let config = cluster.config();
    let config = ["--config", text(&config)];
    it.asks("status", &[], 0);
    it.asks("check", &[], 0);
    it.asks("top", &["--once"], 0);
    it.runs("top", &[&["--once"][..], &config].concat(), b"", 0);
    it.runs("doctor", &config, b"", 0);
    it.runs("config", &config, b"", 0);
    it.asks("bench", &["--count", "10"], 0);
    it.asks("upgrade status", &[], 0);
    it.asks("upgrade check", &["--to", env!("CARGO_BIN_EXE_coracle")], 0);
    it.asks("upgrade hold", &[], 0);
    it.asks("upgrade release", &[], 0);
    it.asks("upgrade raise", &[], 0);
    it.runs("upgrade formats", &[], b"", 0);
}

fn members(it: &mut Checker) {
    it.asks("member list", &[], 0);
    it.asks("member wait", &["--all-in-step"], 0);
    it.asks("member remove", &["3", "--can-lose", "0", "--dry-run"], 0);
    it.asks("member demote", &["3", "--can-lose", "0"], 0);
    it.asks("member demote", &["3"], 0);
    it.asks("member list", &[], 0);
    it.asks("leader transfer", &[], 0);
    it.asks("drain", &["3"], 0);
    it.asks("undrain", &["3"], 0);
}

fn files(it: &mut Checker, cluster: &mut Cluster) {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (backup, bundle, other) = (path("backup"), path("bundle.tar.gz"), path("other.toml"));
    let export = path("keys.jsonl");
    it.asks("debug bundle", &["--output", &bundle], 0);
    it.asks("export", &["--output", &export], 0);
    it.asks("import", &[&export], 0);
    it.asks("snapshot save", &[&backup], 0);
    it.runs("snapshot inspect", &[&backup], b"", 0);
    it.runs("snapshot inspect", &[&backup, "--keys"], b"", 0);
    let settings = fs::read_to_string(cluster.config()).unwrap();
    fs::write(&other, format!("cluster = \"other\"\n{settings}")).unwrap();
    it.runs("snapshot restore", &[&backup, "--config", &other, "--all"], b"", 0);
    cluster.ids().into_iter().for_each(|id| cluster.kill(id));
    let (one, two) = (cluster.data_dir(1), cluster.data_dir(2));
    it.runs("recover plan", &[text(&one)], b"", 0);
    it.runs("recover plan", &[text(&one), text(&two)], b"", 0);
    it.runs("log verify", &["--data-dir", text(&one)], b"", 0);
    it.runs("log dump", &["--data-dir", text(&one)], b"", 0);
    let lost = ["--new-cluster", "new", "--lose-what-these-alone-had", "2"];
    it.runs("recover apply", &[&[text(&one)][..], &lost].concat(), b"coracle\n", 0);
}

#[test]
fn a_value_of_another_kind_or_with_other_names_has_not_the_form() {
    let form = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let known = form(r#"{"id":1,"list":[{"name":"a"}],"ms":0.5}"#);
    assert!(has_form(&form(r#"{"id":2,"list":[],"ms":7}"#), &known));
    assert!(has_form(&form(r#"{"id":null,"list":[{"name":null}],"ms":0.1}"#), &known));
    for wrong in [
        r#"{"id":2,"list":[]}"#,
        r#"{"id":2,"list":[],"ms":7,"more":1}"#,
        r#"{"id":"2","list":[],"ms":7}"#,
        r#"{"id":2.5,"list":[],"ms":7}"#,
        r#"{"id":2,"list":[{"name":"a"},{"other":1}],"ms":7}"#,
        r#"[]"#,
    ] {
        assert!(!has_form(&form(wrong), &known), "{wrong}");
    }
}
