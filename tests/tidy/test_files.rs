//! The place of tests: the module `tests` in files of its own, helpers under src/testing,
//! golden scripts by area.

use std::collections::{BTreeMap, BTreeSet};

use super::actors::impls;
use super::imports::Graph;
use super::report::{self, Complaint};
use super::source::{Source, Tree};

/// The golden scripts of the Raft core, and the words that their names begin with.
const SCRIPTS: &str = "tests/scripts/raft/";
const AREAS: &[&str] = &[
    "any", "append", "commit", "election", "joint", "lease", "read", "rejoin", "restart",
    "snapshot",
];

fn test_modules(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in &tree.sources {
        let mut complain =
            |line: usize, rule: &str| complaints.push(Complaint::new(&source.path, line, rule));
        if source.path.ends_with("_tests.rs") {
            complain(1, "a file of tests is named tests.rs, or lies in a folder tests");
        }
        for three in source.tokens.windows(3) {
            let is_inline = three[0].text == "mod" && three[2].text == "{";
            let is_tests = is_named_for_tests(&three[1].text);
            if is_inline && (is_tests || three[0].is_test && !source.is_test) {
                complain(three[0].line, "a module of tests has a file of its own");
            }
            // Examples take in files of the program by their paths: it is no library.
            let is_attribute = three[0].text == "#" && three[1].text == "[";
            if source.is_in_src() && is_attribute && three[2].text == "path" {
                complain(three[2].line, "a module lies where its name says, without #[path]");
            }
        }
    }
    complaints
}

fn is_named_for_tests(name: &str) -> bool {
    matches!(name, "tests" | "test") || name.ends_with("_tests")
}

fn test_only_files(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in tree.production().filter(|source| !source.is_testing()) {
        for module in &source.gated {
            let is_allowed = match module.name.as_str() {
                "tests" => module.is_test,
                "testing" => source.path == "src/lib.rs",
                _ => false,
            };
            if !is_allowed {
                let rule = format!("{} is for tests only: move it to src/testing", module.name);
                complaints.push(Complaint::new(&source.path, module.line, rule));
            }
        }
    }
    for (source, user) in used_by_tests_only(tree) {
        let rule = format!("only tests use this file ({user}): move it to src/testing");
        complaints.push(Complaint::new(&source.path, 1, rule));
    }
    complaints
}

/// The production files that are imported, but by tests only, each with one that does.
fn used_by_tests_only(tree: &Tree) -> Vec<(&Source, &str)> {
    let graph = Graph::new(tree);
    let is_for_tests = |source: &Source| source.is_test || source.is_testing();
    let in_production: BTreeSet<usize> = graph
        .imports
        .iter()
        .filter(|import| !import.is_test && !is_for_tests(&graph.sources[import.from]))
        .filter_map(|import| import.to.filter(|to| *to != import.from))
        .collect();
    let mut users = BTreeMap::new();
    for (from, to) in graph.edges(true).keys() {
        // The tests of the file itself do not count as users.
        if !graph.sources[*to].is_above(&graph.sources[*from]) {
            users.entry(*to).or_insert(graph.sources[*from].path.as_str());
        }
    }
    let mut found = Vec::new();
    for (to, user) in users {
        let source = &graph.sources[to];
        if !is_for_tests(source) && !in_production.contains(&to) && !extends_others(source) {
            found.push((source, user));
        }
    }
    found
}

/// True when a file has methods of a type that another file defines: methods are used without
/// an import.
fn extends_others(source: &Source) -> bool {
    let defines = |name: &str| {
        let pairs = source.tokens.windows(2).filter(|pair| pair[1].text == name);
        pairs.into_iter().any(|pair| matches!(pair[0].text.as_str(), "struct" | "enum"))
    };
    impls(source).iter().any(|found| !defines(&found.of_type))
}

fn golden_scripts(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for path in tree.files.iter().filter(|path| path.starts_with(SCRIPTS)) {
        let name = &path[SCRIPTS.len()..];
        let area = name.split('_').next().expect("a name has a first part");
        if !AREAS.contains(&area) {
            let rule = format!("a script's name begins with its area: {}", AREAS.join(", "));
            complaints.push(Complaint::new(path, 1, rule));
        }
    }
    complaints
}

#[test]
fn tests_are_in_files_named_for_them() {
    report::assert_none("test modules", test_modules);
}

#[test]
fn files_for_tests_alone_are_in_tests_or_testing() {
    report::assert_none("test-only files", test_only_files);
}

#[test]
fn golden_scripts_are_named_by_area() {
    report::assert_none("golden scripts", golden_scripts);
}

#[test]
fn a_test_module_in_the_wrong_place_is_found() {
    let caught = |path: &str, text: &str| report::found(test_modules, &[(path, text)]);
    let own_file = ["src/a.rs:3: a module of tests has a file of its own"];
    assert_eq!(caught("src/a.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n}\n"), own_file);
    assert_eq!(caught("src/a.rs", "fn f() {}\n#[cfg(test)]\nmod unit {\n}\n"), own_file);
    assert_eq!(
        caught("src/a.rs", "#[cfg(test)]\n#[path = \"b.rs\"]\nmod tests;\n"),
        ["src/a.rs:2: a module lies where its name says, without #[path]"]
    );
    assert_eq!(
        caught("src/a_tests.rs", "fn f() {}\n"),
        ["src/a_tests.rs:1: a file of tests is named tests.rs, or lies in a folder tests"]
    );
    let quiet = "mod private {\n}\n// mod tests {\n#[cfg(test)]\nmod tests;\n";
    assert_eq!(caught("src/a.rs", quiet), Vec::<String>::new());
}

#[test]
fn a_file_that_only_tests_use_is_found() {
    let gate = "#[cfg(any(test, feature = \"testing\"))]\n";
    let files = [
        ("src/a.rs", "#[cfg(test)]\nmod model;\n#[cfg(test)]\nmod tests;\n"),
        ("src/b.rs", &format!("{gate}pub mod remains;\n")),
        ("src/lib.rs", &format!("{gate}pub mod testing;\n")),
        ("src/testing/mod.rs", "#[cfg(test)]\nmod helper;\n"),
    ];
    assert_eq!(
        report::found(test_only_files, &files),
        [
            "src/a.rs:2: model is for tests only: move it to src/testing",
            "src/b.rs:2: remains is for tests only: move it to src/testing",
        ]
    );
    let helper = ("src/helper.rs", "pub fn help() {}\n");
    let tests = ("src/a/tests.rs", "use crate::helper::help;\n");
    let user = ("src/user.rs", "use crate::helper::help;\n");
    assert_eq!(
        report::found(test_only_files, &[helper, tests]),
        ["src/helper.rs:1: only tests use this file (src/a/tests.rs): move it to src/testing"]
    );
    assert_eq!(report::found(test_only_files, &[helper, tests, user]), Vec::<String>::new());
    let own_tests = ("src/helper/tests.rs", "use super::*;\nfn f() { help() }\n");
    assert_eq!(report::found(test_only_files, &[helper, own_tests]), Vec::<String>::new());
    let methods = ("src/helper.rs", "impl Store {}\npub fn help() {}\n");
    assert_eq!(report::found(test_only_files, &[methods, tests]), Vec::<String>::new());
}

#[test]
fn a_script_without_an_area_is_found() {
    let script = |name: &str| {
        let path = format!("{SCRIPTS}{name}");
        report::found(golden_scripts, &[(path.as_str(), "")]).len()
    };
    assert_eq!(script("a_vote_is_told.txt"), 1);
    assert_eq!(script("elections_vote.txt"), 1);
    assert_eq!(script("election_vote_is_told.txt"), 0);
}
