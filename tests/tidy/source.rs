//! The files of the crate, read once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use super::lex::{self, Comment, Token};

/// A Rust file in its parts.
pub struct Source {
    /// From the root of the repository, with slashes.
    pub path: String,
    pub text: String,
    pub tokens: Vec<Token>,
    pub comments: Vec<Comment>,
    /// Line by line without comments and the contents of literals.
    pub code: Vec<String>,
    /// `code` with the lines of tests blanked.
    pub production: Vec<String>,
    /// True when all of the file is for tests.
    pub is_test: bool,
    /// The modules that it declares under a condition which only tests meet.
    pub gated: Vec<GatedModule>,
}

/// A `mod name;` under `#[cfg(test)]`, or under a condition that includes it.
pub struct GatedModule {
    pub name: String,
    pub line: usize,
    /// True for exactly `cfg(test)`.
    pub is_test: bool,
}

impl Source {
    fn new(path: String, text: String) -> Source {
        let (code, comments) = lex::split(&text);
        let mut tokens = lex::tokens(&code);
        let code: Vec<String> = code.lines().map(str::to_owned).collect();
        let gated = mark_tests(&mut tokens);
        let production = code.clone();
        let is_test = !path.starts_with("src/")
            || path.contains("/tests/")
            || path.ends_with("/tests.rs")
            || path.ends_with("_tests.rs");
        let mut source = Source { path, text, tokens, comments, code, production, is_test, gated };
        for number in 0..source.production.len() {
            if source.is_test_line(number + 1) {
                source.production[number].clear();
            }
        }
        if is_test {
            source.mark_as_test();
        }
        source
    }

    fn is_test_line(&self, line: usize) -> bool {
        let first = self.tokens.partition_point(|token| token.line < line);
        self.tokens.get(first).is_some_and(|token| token.line == line && token.is_test)
    }

    fn mark_as_test(&mut self) {
        self.is_test = true;
        self.production.iter_mut().for_each(String::clear);
        self.tokens.iter_mut().for_each(|token| token.is_test = true);
    }

    pub fn is_in_src(&self) -> bool {
        self.path.starts_with("src/")
    }

    pub fn is_testing(&self) -> bool {
        self.path.starts_with("src/testing/")
    }

    /// The top-level module of src that it belongs to: `raft` of src/raft/log.rs.
    pub fn module(&self) -> &str {
        let in_src = self.path.strip_prefix("src/").expect("only src is asked for its modules");
        let first = in_src.split('/').next().expect("a path has a first part");
        first.trim_end_matches(".rs")
    }

    /// The folder of its child modules: `src/raft/` of src/raft/mod.rs, `src/kv/store/` of
    /// src/kv/store.rs.
    pub fn folder(&self) -> &str {
        for root in ["mod.rs", "lib.rs", "main.rs"] {
            if let Some(folder) = self.path.strip_suffix(root)
                && folder.ends_with('/')
            {
                return folder;
            }
        }
        self.path.trim_end_matches(".rs")
    }

    /// True when `other` is a module below this one.
    pub fn is_above(&self, other: &Source) -> bool {
        let folder = self.folder().trim_end_matches('/');
        self.path != other.path
            && other.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// Marks the tokens of each item under `#[cfg(test)]`; returns the modules of other files
/// that are declared so.
fn mark_tests(tokens: &mut [Token]) -> Vec<GatedModule> {
    let mut gated = Vec::new();
    let mut at = 0;
    while at + 3 < tokens.len() {
        let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
        if !(text(at) == "#" && text(at + 1) == "[" && text(at + 2) == "cfg") {
            at += 1;
            continue;
        }
        let condition_end = lex::closing_bracket(tokens, at + 1);
        let condition = &tokens[at + 4..condition_end - 1];
        let has = |word: &str| condition.iter().any(|token| token.text == word);
        // A feature alone is no such condition: it gates a part of the crate (docs/adr/0034).
        let is_gate = has("test") && !has("not");
        let is_test = condition.len() == 1 && is_gate;
        let end = lex::item_end(tokens, condition_end + 1);
        if is_gate && text(end) == ";" && text(end - 2) == "mod" {
            let (name, line) = (text(end - 1).to_owned(), tokens[end - 1].line);
            gated.push(GatedModule { name, line, is_test });
        }
        if is_test {
            tokens[at..=end].iter_mut().for_each(|token| token.is_test = true);
            at = end;
        } else {
            at = condition_end;
        }
    }
    gated
}

/// The sources, the documents and the names of all files of the repository.
pub struct Tree {
    pub sources: Vec<Source>,
    /// Text files that are not Rust, by path.
    pub documents: BTreeMap<String, String>,
    pub files: BTreeSet<String>,
}

impl Tree {
    pub fn of_the_crate() -> &'static Tree {
        static TREE: OnceLock<Tree> = OnceLock::new();
        TREE.get_or_init(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let mut files = Vec::new();
            read_folder(root, "", &mut files);
            let tree = Tree::of(files);
            assert!(tree.sources.len() > 100, "the sources are read");
            tree
        })
    }

    pub fn of(files: Vec<(String, String)>) -> Tree {
        let names: BTreeSet<String> = files.iter().map(|(path, _)| path.clone()).collect();
        let mut sources = Vec::new();
        let mut documents = BTreeMap::new();
        for (path, text) in files {
            if path.ends_with(".rs") {
                sources.push(Source::new(path, text));
            } else {
                documents.insert(path, text);
            }
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        let mut tree = Tree { sources, documents, files: names };
        tree.mark_test_files();
        tree
    }

    /// A module under `#[cfg(test)]` is a test with all that is below it.
    fn mark_test_files(&mut self) {
        let mut stems = Vec::new();
        for source in &self.sources {
            let folder = source.folder().trim_end_matches('/');
            let tests = source.gated.iter().filter(|module| module.is_test);
            stems.extend(tests.map(|module| format!("{folder}/{}", module.name)));
        }
        for source in &mut self.sources {
            let is_below = |stem: &String| {
                let rest = source.path.strip_prefix(stem.as_str());
                rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
            };
            if stems.iter().any(is_below) {
                source.mark_as_test();
            }
        }
    }

    /// The sources of src, tests included.
    pub fn src(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter().filter(|source| source.is_in_src())
    }

    /// The sources of src that are not for tests.
    pub fn production(&self) -> impl Iterator<Item = &Source> {
        self.src().filter(|source| !source.is_test)
    }
}

/// The folders and the kinds of files that are read.
const FOLDERS: &[&str] = &["src", "tests", "examples", "benches", "docs", "scripts", ".ci"];

fn read_folder(root: &Path, below: &str, found: &mut Vec<(String, String)>) {
    let entries = fs::read_dir(root.join(below)).expect("the repository can be listed");
    for entry in entries {
        let entry = entry.expect("the repository can be listed");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
        let is_folder = entry.path().is_dir();
        if is_folder && (!below.is_empty() || FOLDERS.contains(&name.as_str())) {
            read_folder(root, &path, found);
        } else if !is_folder {
            let bytes = fs::read(entry.path()).expect("the repository can be read");
            // A file that is not text has a name only.
            found.push((path, String::from_utf8(bytes).unwrap_or_default()));
        }
    }
}

#[test]
fn tests_are_told_from_production() {
    let tree = Tree::of(vec![
        ("src/a.rs".into(), "fn a() {}\n#[cfg(test)]\nmod helper;\n".into()),
        ("src/a/helper.rs".into(), "fn h() {}\n".into()),
        (
            "src/b/mod.rs".into(),
            "#[cfg(test)]\nuse x::{y};\nfn b() {}\n#[cfg(test)]\nfn t(a: [u8; 2]) {\n    b();\n}\n\
             struct S {\n    #[cfg(test)]\n    x: u8,\n    y: u8,\n}\n"
                .into(),
        ),
        ("src/b/helper.rs".into(), "fn h() {}\n".into()),
    ]);
    let tests: Vec<_> = tree.sources.iter().filter(|s| s.is_test).map(|s| &s.path[..]).collect();
    assert_eq!(tests, ["src/a/helper.rs"]);
    let lines = |source: &Source| -> Vec<usize> {
        let is_code = |(at, text): (usize, &String)| (!text.is_empty()).then_some(at + 1);
        source.production.iter().enumerate().filter_map(is_code).collect()
    };
    assert_eq!(lines(&tree.sources[0]), [1]);
    assert_eq!(lines(&tree.sources[3]), [3, 8, 11, 12]);
    assert!(tree.sources[0].is_above(&tree.sources[1]));
    assert!(!tree.sources[2].is_above(&tree.sources[0]));
}
