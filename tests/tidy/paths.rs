//! The files that comments and documents cite exist, and so do the rows of docs/bugs.md.

use std::collections::BTreeSet;

use super::lex::{first_word, is_word};
use super::report::{self, Complaint};
use super::source::Tree;

const FOLDERS: &[&str] = &["docs/", "src/", "tests/", "scripts/", "benches/", "examples/", ".ci/"];

/// The list of historic bugs; its rows are cited by their numbers.
const BUGS: &str = "docs/bugs.md";

/// A line of a comment or a document.
struct Line<'a> {
    path: &'a str,
    number: usize,
    text: &'a str,
}

fn lines(tree: &Tree) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    for source in &tree.sources {
        for comment in &source.comments {
            for (number, text) in comment.lines.iter().enumerate() {
                lines.push(Line { path: &source.path, number: comment.line + number, text });
            }
        }
    }
    for (path, text) in &tree.documents {
        let is_prose = path.starts_with("docs/") && path.ends_with(".md")
            || matches!(path.as_str(), "README.md" | "CONTRIBUTING.md");
        let has_comments =
            path.starts_with("scripts/") || path.starts_with(".ci/") || path.ends_with(".toml");
        for (number, text) in text.lines().enumerate() {
            if is_prose || has_comments && text.trim_start().starts_with('#') {
                lines.push(Line { path, number: number + 1, text });
            }
        }
    }
    lines
}

fn paths(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for line in lines(tree) {
        let mut cited = cited_paths(line.text);
        if line.path.ends_with(".md") {
            cited.extend(linked_paths(line.path, line.text));
        }
        for path in cited.into_iter().filter(|path| !exists(tree, path)) {
            let rule = format!("{path} does not exist");
            complaints.push(Complaint::new(line.path, line.number, rule));
        }
    }
    complaints
}

/// Each `docs/...`, `src/...` and the like. Of a path with a placeholder, the folder
/// before it.
fn cited_paths(text: &str) -> Vec<String> {
    let mut cited = Vec::new();
    for folder in FOLDERS {
        for (at, _) in text.match_indices(folder) {
            let is_start = |c: char| !is_word(c) && !matches!(c, '/' | '.' | '-' | ':');
            if !text[..at].chars().next_back().is_none_or(is_start) {
                continue;
            }
            let rest = &text[at..];
            let is_part = |c: char| is_word(c) || matches!(c, '/' | '.' | '-');
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let mut path = rest[..end].trim_end_matches(['.', '-']);
            if rest[end..].starts_with(['*', '<', '{', '$']) {
                path = &path[..=path.rfind('/').expect("the folder is there")];
            }
            cited.push(path.to_owned());
            if path.starts_with("docs/adr/") {
                cited.extend(more_records(&rest[path.len()..]));
            }
        }
    }
    cited
}

/// The numbers after the first in `docs/adr/0005, 0009`.
fn more_records(mut rest: &str) -> Vec<String> {
    let mut cited = Vec::new();
    while let Some(after) = rest.strip_prefix(", ").or(rest.strip_prefix(" and ")) {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if digits != 4 {
            break;
        }
        cited.push(format!("docs/adr/{}", &after[..digits]));
        rest = &after[digits..];
    }
    cited
}

/// The targets of `[text](target)` within the repository, from its root.
fn linked_paths(document: &str, text: &str) -> Vec<String> {
    let mut linked = Vec::new();
    for (at, _) in text.match_indices("](") {
        let target = text[at + 2..].split([')', '#', ' ']).next().expect("there is a first part");
        if target.is_empty() || target.contains(':') {
            continue;
        }
        let mut parts: Vec<&str> = document.split('/').collect();
        parts.pop();
        for part in target.split('/') {
            match part {
                ".." => {
                    parts.pop();
                }
                "." | "" => {}
                part => parts.push(part),
            }
        }
        linked.push(parts.join("/"));
    }
    linked
}

/// True for a file, a folder, a module without its `.rs` and a decision by its number.
fn exists(tree: &Tree, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let starts = |prefix: String| {
        tree.files.range(prefix.clone()..).next().is_some_and(|file| file.starts_with(&prefix))
    };
    let is_number = path.strip_prefix("docs/adr/").is_some_and(|number| number.len() == 4);
    tree.files.contains(path)
        || tree.files.contains(&format!("{path}.rs"))
        || starts(format!("{path}/"))
        || is_number && starts(format!("{path}-"))
}

fn bugs(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let list = tree.documents.get(BUGS).map_or("", String::as_str);
    let rows: BTreeSet<&str> = list.lines().filter_map(row).collect();
    for line in lines(tree).into_iter().filter(|line| line.path != BUGS) {
        let mut complain =
            |rule: String| complaints.push(Complaint::new(line.path, line.number, rule));
        for (at, _) in line.text.match_indices("bugs.md") {
            let before = &line.text[..at];
            // A link from a document in the same folder.
            let is_link = line.path.ends_with(".md") && before.ends_with(['[', '(', '`', '/']);
            if !before.ends_with("docs/") && !is_link && !before.ends_with(is_word) {
                complain(format!("the list of bugs is {BUGS}"));
            }
        }
        for number in bug_numbers(line.text).into_iter().filter(|number| !rows.contains(number)) {
            complain(format!("{BUGS} has no row {number}"));
        }
    }
    complaints
}

/// The number of the bug whose row or heading the line begins.
fn row(line: &str) -> Option<&str> {
    let inside = line.strip_prefix('|').or(line.strip_prefix('#'))?;
    let inside = inside.trim_start_matches(['#', ' ', '*', '[']);
    bug_numbers(&inside[..first_word(inside).len()]).pop()
}

/// The tests that the list of bugs names, after `Our test:`, are tests or golden scripts.
fn tests_of_bugs(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let words = tree.sources.iter().flat_map(|source| source.tokens.windows(2));
    let functions: BTreeSet<&str> =
        words.filter(|pair| pair[0].text == "fn").map(|pair| pair[1].text.as_str()).collect();
    let is_script = |name: &str| {
        let is_it =
            |path: &String| path.starts_with("tests/") && path.ends_with(&format!("/{name}"));
        name.ends_with(".txt") && tree.files.iter().any(is_it)
    };
    let list = tree.documents.get(BUGS).map_or("", String::as_str);
    let mut is_about_tests = false;
    for (number, line) in list.lines().enumerate() {
        if line.starts_with("- ") || line.trim().is_empty() {
            is_about_tests = line.starts_with("- Our test:");
        }
        let names = line.split('`').skip(1).step_by(2).filter(|_| is_about_tests);
        for name in names.filter(|name| first_word(name).contains('_')) {
            if !functions.contains(name) && !is_script(name) {
                let rule = format!("{name} is neither a test nor a golden script");
                complaints.push(Complaint::new(BUGS, number + 1, rule));
            }
        }
    }
    complaints
}

/// Each `B17`; of `B72a`, which is one of two ways to have a bug, the number.
fn bug_numbers(text: &str) -> Vec<&str> {
    let mut numbers = Vec::new();
    for word in text.split(|c| !is_word(c)) {
        let digits =
            word.strip_prefix('B').map_or("", |rest| rest.trim_end_matches(['a', 'b', 'c', 'd']));
        if matches!(digits.len(), 2 | 3) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            numbers.push(&word[..=digits.len()]);
        }
    }
    numbers
}

#[test]
fn every_cited_path_exists() {
    report::assert_none("paths", paths);
}

#[test]
fn every_cited_bug_has_a_row() {
    report::assert_none("bugs", bugs);
    report::assert_none("tests of bugs", tests_of_bugs);
}

#[test]
fn a_path_that_does_not_exist_is_found_on_its_line() {
    let caught = |path: &str, text: &str| {
        let there = [
            ("docs/adr/0012-leases.md", ""),
            ("docs/protocol.md", ""),
            ("src/raft/log.rs", ""),
            ("tests/scripts/raft/append.txt", ""),
        ];
        let files: Vec<_> = there.into_iter().chain([(path, text)]).collect();
        report::found(paths, &files)
    };
    let complaint =
        |path: &str, line: usize, gone: &str| [format!("{path}:{line}: {gone} does not exist")];
    let a = "src/a.rs";
    assert_eq!(caught(a, "\n// (docs/PROTOCOL.md.)\n"), complaint(a, 2, "docs/PROTOCOL.md"));
    assert_eq!(caught(a, "// docs/adr/0013\n"), complaint(a, 1, "docs/adr/0013"));
    assert_eq!(caught(a, "// docs/adr/0012, 0013\n"), complaint(a, 1, "docs/adr/0013"));
    assert_eq!(
        caught("README.md", "`src/raft/gone`\n"),
        complaint("README.md", 1, "src/raft/gone")
    );
    assert_eq!(
        caught("docs/a.md", "[b](adr/0013.md#x)\n"),
        complaint("docs/a.md", 1, "docs/adr/0013.md")
    );
    assert_eq!(
        caught("scripts/a.sh", "cd\n# tests/gone/\n"),
        complaint("scripts/a.sh", 2, "tests/gone/")
    );
    let quiet = "// docs/adr/0012, docs/protocol.md#x, src/raft, src/raft/log.rs:12, src/raft/log\n\
                 // tests/scripts/raft/*.txt https://x.org/docs/gone other/src/gone\n\
                 let s = \"docs/gone\";\n";
    assert_eq!(caught(a, quiet), Vec::<String>::new());
    let links = "[a](../README.md) [b](protocol.md#x) [c](https://x.org/gone) [d](#here)\n";
    assert_eq!(caught("docs/a.md", links), ["docs/a.md:1: README.md does not exist"]);
}

#[test]
fn a_bug_without_a_row_is_found_on_its_line() {
    let list = (BUGS, "# Bugs, as B18\n\n### B17\n\n- As: B18\n");
    let caught = |text: &str| report::found(bugs, &[list, ("src/a.rs", text)]);
    let row = ["src/a.rs:2: docs/bugs.md has no row B18"];
    assert_eq!(caught("\n// It is safe (docs/bugs.md B17, B18).\n"), row);
    assert_eq!(caught("// bugs.md\n"), ["src/a.rs:1: the list of bugs is docs/bugs.md"]);
    let quiet = "// docs/bugs.md B17a, DB99, B9, BE11\nlet b = \"B18 bugs.md\";\n";
    assert_eq!(caught(quiet), Vec::<String>::new());
}

#[test]
fn a_test_of_a_bug_that_does_not_exist_is_found_on_its_line() {
    let files = |names: &'static str| {
        let list =
            format!("- Rule: `no_such_rule`\n- Our test: \n  {names}, `Raft`.\n- As `it_was`.\n");
        let script = ("tests/scripts/raft/append_once.txt", "");
        let test = ("src/a/tests.rs", "fn a_vote_survives() {}\n");
        report::found(tests_of_bugs, &[(BUGS, &list), script, test])
    };
    assert_eq!(files("`a_vote_survives`, `append_once.txt`"), Vec::<String>::new());
    let complaint =
        |name: &str| [format!("{BUGS}:3: {name} is neither a test nor a golden script")];
    assert_eq!(files("`a_vote_survives`, `a_vote`"), complaint("a_vote"));
    assert_eq!(files("`append_twice.txt`"), complaint("append_twice.txt"));
}
