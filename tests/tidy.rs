//! What holds for every source file: who imports whom, what the pure parts know
//! nothing of, and a few habits. The tables are the rules; a failure names the
//! file, the line and the rule.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// What a top-level module may know of the crate, and words that it may not
/// contain. `*` is everything.
struct Rule {
    module: &'static str,
    may_import: &'static [&'static str],
    forbidden: &'static [&'static str],
}

/// No runtime, no clock, no thread, no file, no socket, no randomness but what is
/// handed in, and no order that differs from run to run. (`core::time` has no clock, only
/// the `Duration` in which the core is told the time.)
const PURE: &[&str] = &[
    "actix",
    "tokio",
    "std::time",
    "std::thread",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
    "rand::rng",
    "HashMap",
    "HashSet",
];

/// Blocks, but knows no runtime. Files go through its own trait `Disk`.
const BLOCKING: &[&str] = &["actix", "tokio", "std::thread", "std::net", "HashMap", "HashSet"];

const RULES: &[Rule] = &[
    Rule { module: "types", may_import: &[], forbidden: PURE },
    Rule { module: "raft", may_import: &["types"], forbidden: PURE },
    Rule { module: "kv", may_import: &["types"], forbidden: PURE },
    Rule { module: "protocol", may_import: &["kv"], forbidden: PURE },
    Rule { module: "storage", may_import: &["types"], forbidden: BLOCKING },
    Rule { module: "wire", may_import: &["types", "raft"], forbidden: &["actix", "HashMap"] },
    Rule { module: "config", may_import: &["types"], forbidden: &["actix", "tokio", "HashMap"] },
    Rule { module: "clock", may_import: &[], forbidden: &["actix", "tokio"] },
    // The environment says which bug the tests run with.
    Rule { module: "mutants", may_import: &[], forbidden: BLOCKING },
    Rule { module: "net", may_import: &[], forbidden: &["actix"] },
    Rule { module: "client", may_import: &["kv", "protocol"], forbidden: &["actix", "HashMap"] },
    Rule {
        module: "actors",
        may_import: &[
            "actors", "clock", "config", "kv", "net", "protocol", "raft", "storage", "types",
            "wire",
        ],
        forbidden: &["std::net", "rand::rng"],
    },
    Rule { module: "node", may_import: &["*"], forbidden: &["rand::rng"] },
    Rule { module: "testing", may_import: &["*"], forbidden: &["rand::rng"] },
    Rule { module: "lib", may_import: &["*"], forbidden: &["actix", "tokio"] },
    Rule { module: "main", may_import: &["*"], forbidden: &["actix"] },
    Rule { module: "cli", may_import: &["*"], forbidden: &["actix", "process::exit"] },
];

const LINES_MAX: usize = 700;
const COLUMNS_MAX: usize = 100;

/// In no source file, tests included.
const UNFINISHED: &[&str] = &["todo!", "dbg!", "unimplemented!"];

/// A source file in its parts.
struct Source {
    path: PathBuf,
    text: String,
    /// Line by line without comments and the contents of strings.
    code: Vec<String>,
    /// How many lines come before its tests: none in a file that is all tests.
    production: usize,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Source {
        let text = fs::read_to_string(path).expect("sources are UTF-8");
        let path = path.strip_prefix(root).expect("it was found below root").to_owned();
        Source::new(path, text)
    }

    fn new(path: PathBuf, text: String) -> Source {
        let code: Vec<String> = code_of(&text).lines().map(str::to_owned).collect();
        let begins_tests = |pair: &[String]| {
            pair[0].trim() == "#[cfg(test)]"
                && pair[1].trim().starts_with("mod ")
                && pair[1].trim().ends_with('{')
        };
        let is_testing = path.starts_with("tests")
            || path.starts_with("src/testing")
            || path.to_string_lossy().ends_with("_tests.rs");
        let production = match is_testing {
            true => 0,
            false => code.windows(2).position(begins_tests).unwrap_or(code.len()),
        };
        Source { path, text, code, production }
    }

    /// The module of src that it belongs to: `raft` of src/raft/log.rs.
    fn module(&self) -> String {
        let in_src = self.path.strip_prefix("src").expect("only src is asked for its modules");
        let first = in_src.components().next().expect("a file has a name").as_os_str();
        first.to_string_lossy().trim_end_matches(".rs").to_owned()
    }

    /// Where the modules lie that it declares for tests only, without the `.rs`.
    fn test_modules(&self) -> Vec<PathBuf> {
        let is_root = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| self.path.ends_with(name));
        let directory =
            if is_root { self.path.with_file_name("") } else { self.path.with_extension("") };
        let declared = |pair: &[String]| {
            let name = pair[1].trim().strip_prefix("mod ")?.strip_suffix(';')?;
            (pair[0].trim() == "#[cfg(test)]").then(|| directory.join(name))
        };
        self.code.windows(2).filter_map(declared).collect()
    }

    /// True when `super` is the crate's root here.
    fn is_top_level(&self) -> bool {
        let depth = self.path.components().count();
        depth == 2 || (depth == 3 && self.path.ends_with("mod.rs"))
    }

    fn complain(&self, complaints: &mut String, line: usize, rule: &str) {
        writeln!(complaints, "{}:{}: {rule}", self.path.display(), line + 1)
            .expect("memory takes any text");
    }
}

#[test]
fn every_module_imports_only_what_the_design_allows_it() {
    let mut complaints = String::new();
    for source in sources(&["src"]) {
        let module = source.module();
        let Some(rule) = RULES.iter().find(|rule| rule.module == module) else {
            source.complain(&mut complaints, 0, &format!("{module} has no rule in tests/tidy.rs"));
            continue;
        };
        check_imports(&source, rule, &mut complaints);
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

fn check_imports(source: &Source, rule: &Rule, complaints: &mut String) {
    let module = rule.module;
    let production = source.code[..source.production].join("\n");
    for (line, import) in crate_imports(&production, source.is_top_level()) {
        let allowed = import == module || rule.may_import.contains(&import.as_str());
        // Upper case: an item of the crate's root, of which only re-exports are there.
        if !allowed && !rule.may_import.contains(&"*") {
            source.complain(complaints, line, &format!("{module} may not import {import}"));
        }
    }
    for (line, code) in source.code[..source.production].iter().enumerate() {
        for word in rule.forbidden.iter().filter(|word| has_path(code, word)) {
            source.complain(complaints, line, &format!("{module} knows no {word}"));
        }
    }
}

#[test]
fn no_file_is_too_long_too_wide_unfinished_or_not_ascii() {
    let mut complaints = String::new();
    for source in sources(&["src", "tests", "examples", "benches"]) {
        let lines = source.text.lines().count();
        if source.path.starts_with("src") && lines > LINES_MAX {
            let rule = format!("{lines} lines: split it by idea at {LINES_MAX}");
            source.complain(&mut complaints, lines - 1, &rule);
        }
        for (line, text) in source.text.lines().enumerate() {
            if text.chars().count() > COLUMNS_MAX {
                source.complain(&mut complaints, line, "longer than 100 columns");
            }
            // The section sign cites the paper.
            let is_strange = |c: &char| (!c.is_ascii() && *c != '\u{a7}') || c.is_ascii_control();
            if let Some(stranger) = text.chars().find(is_strange) {
                let rule = format!("{stranger:?} is not plain ASCII: write it as an escape");
                source.complain(&mut complaints, line, &rule);
            }
        }
        for (line, code) in source.code.iter().enumerate() {
            for word in UNFINISHED.iter().filter(|word| has_path(code, word)) {
                source.complain(&mut complaints, line, &format!("{word} is not finished work"));
            }
        }
        for (line, code) in source.code[..source.production].iter().enumerate() {
            if source.path.starts_with("src") && code.contains(".unwrap()") {
                let rule = "unwrap() outside tests: expect() with the invariant, or an error";
                source.complain(&mut complaints, line, rule);
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

#[test]
fn exit_codes_and_the_logger_are_the_command_lines() {
    let mut complaints = String::new();
    for source in sources(&["src"]) {
        let is_command_line = matches!(source.module().as_str(), "main" | "cli");
        for (line, code) in source.code[..source.production].iter().enumerate() {
            for word in ["env_logger", "ExitCode", "process::exit", "clap"] {
                if !is_command_line && has_path(code, word) {
                    source.complain(&mut complaints, line, &format!("{word} belongs to main"));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "\n{complaints}");
}

/// The rules themselves can fail: each of these is caught.
#[test]
fn a_breach_of_each_rule_is_found_on_its_line() {
    let caught = |path: &str, text: &str| {
        let source = Source::new(path.into(), text.into());
        let module = source.module();
        let rule = RULES.iter().find(|rule| rule.module == module).expect("it has a rule");
        let mut complaints = String::new();
        check_imports(&source, rule, &mut complaints);
        complaints
    };
    assert_eq!(
        caught("src/raft/log.rs", "//! Doc.\nuse crate::kv::Store;\n"),
        "src/raft/log.rs:2: raft may not import kv\n"
    );
    assert_eq!(
        caught("src/raft/mod.rs", "fn f() {\n    super::wire::encode();\n}\n"),
        "src/raft/mod.rs:2: raft may not import wire\n"
    );
    assert_eq!(
        caught("src/kv/store.rs", "use crate::{\n    types::Term,\n    raft::{self, Role},\n};\n"),
        "src/kv/store.rs:3: kv may not import raft\n"
    );
    assert_eq!(
        caught("src/kv/store.rs", "use std::collections::HashMap;\n"),
        "src/kv/store.rs:1: kv knows no HashMap\n"
    );
    assert_eq!(
        caught("src/storage/log.rs", "let x = 'a'; let s = \"//\"; tokio::spawn(x);\n"),
        "src/storage/log.rs:1: storage knows no tokio\n"
    );
    let quiet = "// crate::kv\n/* tokio */\nuse crate::types::Term;\nlet s = \"crate::kv tokio\";\n\
                 fn f<'a>(tokio_like: &'a str, my_actix: u8) {}\n\
                 #[cfg(test)]\nmod tests {\n    use crate::kv;\n}\n";
    assert_eq!(caught("src/raft/log.rs", quiet), "");
}

/// The modules of the crate that `code` names, each with its line.
fn crate_imports(code: &str, super_is_crate: bool) -> Vec<(usize, String)> {
    let mut imports = Vec::new();
    let roots: &[&str] = if super_is_crate { &["crate", "super"] } else { &["crate"] };
    for root in roots {
        let path = format!("{root}::");
        for (start, _) in code.match_indices(&path) {
            // `self_crate::` is another word; `pub(crate)` has no path behind it.
            if code[..start].ends_with(is_word) {
                continue;
            }
            let rest = start + path.len();
            if let Some(group) = code[rest..].strip_prefix('{') {
                group_heads(group, rest + 1, &mut |at, name| {
                    imports.push((line_of(code, at), name.to_owned()));
                });
            } else {
                imports.push((line_of(code, start), first_word(&code[rest..]).to_owned()));
            }
        }
    }
    imports
}

/// The first word of each part of a `{a, b::{c}, d}` whose inside is `group`.
fn group_heads(group: &str, offset: usize, found: &mut dyn FnMut(usize, &str)) {
    let mut depth = 0;
    let mut at_head = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            c if at_head && is_word(c) => {
                found(offset + at, first_word(&group[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
}

fn first_word(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count()
}

/// True when `code` holds `path` as whole words.
fn has_path(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let (before, behind) = (&code[..at], &code[at + path.len()..]);
        !before.ends_with(is_word) && (path.ends_with('!') || !behind.starts_with(is_word))
    })
}

/// `text` with comments and the contents of string and character literals
/// blanked; lines stay where they are.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = literal_or_comment(rest);
        if length == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
            // A raw string begins at its r only when that r begins a word.
            if is_word(c) {
                let word = first_word(rest);
                let ends_raw = matches!(c, 'r' | 'b') && word.len() <= 1;
                if !(ends_raw && rest[word.len()..].starts_with(['"', '#', '\''])) {
                    code.push_str(word);
                    rest = &rest[word.len()..];
                }
            }
            continue;
        }
        code.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = &rest[length..];
    }
    code
}

/// How long the comment or literal is with which `text` begins; 0 for neither.
fn literal_or_comment(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return text.find("*/").map_or(text.len(), |end| end + 2);
    }
    if text.starts_with("r\"") || text.starts_with("r#") {
        let hashes = text[1..].chars().take_while(|c| *c == '#').count();
        if !text[1 + hashes..].starts_with('"') {
            return 0;
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let start = 2 + hashes;
        return text[start..].find(&end).map_or(text.len(), |at| start + at + end.len());
    }
    if text.starts_with('"') {
        return closing(text, '"').unwrap_or(text.len());
    }
    if let Some(inside) = text.strip_prefix('\'') {
        // A lifetime has no second quote right behind its first letter.
        let mut chars = inside.chars();
        let is_char = match chars.next() {
            Some('\\') => true,
            Some(_) => chars.next() == Some('\''),
            None => false,
        };
        return if is_char { closing(text, '\'').unwrap_or(text.len()) } else { 0 };
    }
    0
}

/// Where the literal that begins `text` ends, behind its closing quote.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn sources(directories: &[&str]) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for directory in directories {
        rust_files(&root.join(directory), &mut paths);
    }
    paths.sort();
    assert!(!paths.is_empty(), "no sources below {directories:?}");
    let mut sources: Vec<Source> = paths.iter().map(|path| Source::read(root, path)).collect();
    let for_tests: Vec<PathBuf> = sources.iter().flat_map(Source::test_modules).collect();
    for source in &mut sources {
        let stem = source.path.with_extension("");
        if for_tests.iter().any(|module| stem.starts_with(module)) {
            source.production = 0;
        }
    }
    sources
}

fn rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    // A directory that this crate does not have holds nothing.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries {
        let path = entry.expect("the sources can be listed").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
