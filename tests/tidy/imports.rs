//! The imports among the files of src, each resolved to the file that defines the item.
//!
//! An import is a path in code, in a `use` or anywhere else. It is followed through
//! re-exports and through names that other `use` lines bring in. These make no import of
//! their own: `mod name;`, a `use` of a module without an item (the paths that begin with
//! it count), and a re-export of something below the file that the file's own code does
//! not mention.

use std::collections::{BTreeMap, BTreeSet};

use super::lex::{self, Token};
use super::source::{Source, Tree};

/// A path of the crate that a file names.
#[derive(Debug)]
pub struct Import {
    /// Index of the importing file among the tree's sources.
    pub from: usize,
    /// The line of the path's first word, counted from one.
    pub line: usize,
    /// The path from the crate's root as written, `super` and `self` replaced. Empty when
    /// it begins with a name that another `use` brings in.
    pub written: Vec<String>,
    /// Index of the file that defines the item; `None` for a module or an unknown file.
    pub to: Option<usize>,
    pub is_test: bool,
}

/// A `use` with one name at its end, or a path elsewhere.
struct Named {
    path: Vec<String>,
    line: usize,
    is_test: bool,
    /// The inline modules that it is in.
    inside: Vec<String>,
    use_kind: Option<Use>,
}

struct Use {
    /// The name that it brings in; `None` for `*`.
    name: Option<String>,
    is_public: bool,
}

/// A file as the resolution sees it.
struct Module {
    /// `["crate", "raft", "log"]`; a module of the program begins with `main`.
    path: Vec<String>,
    /// The items that the file defines outside functions and impls.
    items: BTreeSet<String>,
    named: Vec<Named>,
    /// The words of its production code outside `use` lines.
    words: BTreeSet<String>,
}

/// The modules of src and the imports between them.
pub struct Graph<'a> {
    pub sources: &'a [Source],
    pub imports: Vec<Import>,
}

/// Re-exports are followed through this many steps.
const STEPS_MAX: usize = 16;

enum Found {
    Module(Vec<String>),
    /// An item of the file with this index.
    Item(usize),
}

struct Modules {
    of: BTreeMap<usize, Module>,
    by_path: BTreeMap<Vec<String>, usize>,
}

impl Graph<'_> {
    pub fn new(tree: &Tree) -> Graph<'_> {
        let modules = Modules::new(&tree.sources);
        let mut imports = Vec::new();
        for (from, module) in &modules.of {
            let source = &tree.sources[*from];
            for named in &module.named {
                let is_test = named.is_test || source.is_test;
                let written = modules.written(module, named);
                let mut to = modules.target(module, named);
                if let (Some(target), Some(import)) = (to, &named.use_kind) {
                    let is_below = source.is_above(&tree.sources[target]);
                    let is_used =
                        import.name.as_ref().is_some_and(|name| module.words.contains(name));
                    if import.is_public && is_below && !is_used {
                        to = None;
                    }
                }
                if to.is_some() || !written.is_empty() {
                    let line = named.line;
                    imports.push(Import { from: *from, line, written, to, is_test });
                }
            }
        }
        Graph { sources: &tree.sources, imports }
    }

    /// The imports of one file by another, as pairs of indices, with the first line of each.
    pub fn edges(&self, with_tests: bool) -> BTreeMap<(usize, usize), usize> {
        let mut edges = BTreeMap::new();
        for import in self.imports.iter().filter(|import| with_tests || !import.is_test) {
            if let Some(to) = import.to.filter(|to| *to != import.from) {
                let line = edges.entry((import.from, to)).or_insert(import.line);
                *line = import.line.min(*line);
            }
        }
        edges
    }
}

impl Modules {
    fn new(sources: &[Source]) -> Modules {
        let mut of = BTreeMap::new();
        let mut by_path = BTreeMap::new();
        let program = sources.iter().find(|source| source.path == "src/main.rs");
        let program: BTreeSet<String> = program.map(declared_modules).unwrap_or_default();
        for (index, source) in sources.iter().enumerate().filter(|(_, source)| source.is_in_src()) {
            let path = module_path(source, &program);
            by_path.insert(path.clone(), index);
            of.insert(index, Module::new(path, &source.tokens));
        }
        Modules { of, by_path }
    }

    /// The path from the root as written.
    fn written(&self, module: &Module, named: &Named) -> Vec<String> {
        let at = [&module.path[..], &named.inside[..]].concat();
        let Some((mut start, rest)) = rooted(&at, &named.path) else { return Vec::new() };
        start.extend_from_slice(rest);
        start
    }

    /// The file whose item the path names.
    fn target(&self, module: &Module, named: &Named) -> Option<usize> {
        let found = self.resolve(module, &named.inside, &named.path, 0)?;
        match found {
            Found::Item(file) => Some(file),
            // The items of `use module::*` are all in that file.
            Found::Module(path) => {
                let is_glob = named.use_kind.as_ref().is_some_and(|import| import.name.is_none());
                is_glob.then(|| self.file_of(&path))?
            }
        }
    }

    fn resolve(
        &self,
        module: &Module,
        inside: &[String],
        path: &[String],
        steps: usize,
    ) -> Option<Found> {
        if steps > STEPS_MAX {
            return None;
        }
        let at = [&module.path[..], inside].concat();
        if let Some((start, rest)) = rooted(&at, path) {
            return self.walk(start, rest, steps);
        }
        let (first, rest) = path.split_first()?;
        let child = [&module.path[..], std::slice::from_ref(first)].concat();
        if self.by_path.contains_key(&child) {
            return self.walk(child, rest, steps);
        }
        // A name that a `use` brings in, unless that is this very path.
        let bound = module.named.iter().find(|named| named.binds(first) && named.path != path)?;
        match self.resolve(module, &bound.inside, &bound.path, steps + 1)? {
            Found::Module(start) => self.walk(start, rest, steps),
            item => Some(item),
        }
    }

    fn walk(&self, mut at: Vec<String>, rest: &[String], steps: usize) -> Option<Found> {
        if steps > STEPS_MAX {
            return None;
        }
        for (number, name) in rest.iter().enumerate() {
            let is_last = number + 1 == rest.len();
            let file = self.file_of(&at);
            let is_item = file.is_some_and(|file| self.of[&file].items.contains(name));
            let child = [&at[..], std::slice::from_ref(name)].concat();
            if self.by_path.contains_key(&child) && !(is_last && is_item) {
                at = child;
                continue;
            }
            let file = file?;
            let module = &self.of[&file];
            if is_item {
                return Some(Found::Item(file));
            }
            match self.through_use(module, name, steps) {
                Some(Found::Module(path)) => at = path,
                Some(item) => return Some(item),
                None => return Some(Found::Item(file)),
            }
        }
        Some(Found::Module(at))
    }

    /// A name that a module has from elsewhere.
    fn through_use(&self, module: &Module, name: &str, steps: usize) -> Option<Found> {
        if let Some(named) = module.named.iter().find(|named| named.binds(name)) {
            return self.resolve(module, &named.inside, &named.path, steps + 1);
        }
        for named in &module.named {
            if named.use_kind.as_ref().is_none_or(|import| import.name.is_some()) {
                continue;
            }
            let Some(Found::Module(path)) =
                self.resolve(module, &named.inside, &named.path, steps + 1)
            else {
                continue;
            };
            let file = self.file_of(&path)?;
            let has_it = self.of[&file].items.contains(name)
                || self.of[&file].named.iter().any(|named| named.binds(name));
            if has_it {
                return self.walk(path, &[name.to_owned()], steps + 1);
            }
        }
        None
    }

    /// The file of a module, or the one that an inline module is in.
    fn file_of(&self, path: &[String]) -> Option<usize> {
        (1..=path.len()).rev().find_map(|end| self.by_path.get(&path[..end])).copied()
    }
}

impl Named {
    fn binds(&self, name: &str) -> bool {
        self.use_kind.as_ref().is_some_and(|import| import.name.as_deref() == Some(name))
    }
}

/// The module at which a path that begins with a keyword starts, and the rest of the path.
fn rooted<'a>(at: &[String], path: &'a [String]) -> Option<(Vec<String>, &'a [String])> {
    let first = path.first()?;
    match first.as_str() {
        "crate" => Some((vec![at[0].clone()], &path[1..])),
        "coracle" => Some((vec!["crate".to_owned()], &path[1..])),
        "self" => Some((at.to_vec(), &path[1..])),
        "super" => {
            let up = path.iter().take_while(|name| *name == "super").count();
            Some((at[..at.len().saturating_sub(up).max(1)].to_vec(), &path[up..]))
        }
        _ => None,
    }
}

fn module_path(source: &Source, program: &BTreeSet<String>) -> Vec<String> {
    let below = source.folder().trim_start_matches("src/").trim_end_matches('/');
    let mut path: Vec<String> = below.split('/').map(str::to_owned).collect();
    path.retain(|part| !part.is_empty());
    let is_program =
        source.path == "src/main.rs" || path.first().is_some_and(|first| program.contains(first));
    path.insert(0, if is_program { "main" } else { "crate" }.to_owned());
    path
}

fn declared_modules(source: &Source) -> BTreeSet<String> {
    let triples = source.tokens.windows(3);
    let declared = triples.filter(|three| three[0].text == "mod" && three[2].text == ";");
    declared.map(|three| three[1].text.clone()).collect()
}

impl Module {
    fn new(path: Vec<String>, tokens: &[Token]) -> Module {
        let mut module =
            Module { path, items: BTreeSet::new(), named: Vec::new(), words: BTreeSet::new() };
        // The depth of braces at which each inline module's items are, with its name.
        let mut inside: Vec<(usize, String)> = Vec::new();
        let mut depth = 0;
        let mut at = 0;
        while at < tokens.len() {
            let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
            match text(at) {
                "{" => depth += 1,
                "}" => {
                    inside.retain(|(inner, _)| *inner != depth);
                    depth -= 1;
                }
                "mod" if text(at + 2) == "{" => {
                    inside.push((depth + 1, text(at + 1).to_owned()));
                    at += 1;
                }
                "use" => {
                    let end = lex::item_end(tokens, at);
                    let names = inside.iter().map(|(_, name)| name.clone()).collect();
                    module.add_use(&tokens[at..=end], is_public(tokens, at), names);
                    at = end;
                }
                _ if tokens[at].is_word() => {
                    if depth == inside.last().map_or(0, |(inner, _)| *inner)
                        && let Some(item) = defined_item(tokens, at)
                    {
                        module.items.insert(item);
                    }
                    let names = inside.iter().map(|(_, name)| name.clone()).collect();
                    at = module.add_path(tokens, at, names);
                }
                _ => {}
            }
            at += 1;
        }
        module
    }

    /// Takes in the path whose first word is at `at`; returns the place of its last.
    fn add_path(&mut self, tokens: &[Token], at: usize, inside: Vec<String>) -> usize {
        let mut path = vec![tokens[at].text.clone()];
        let mut end = at;
        while end + 2 < tokens.len() && tokens[end + 1].text == "::" && tokens[end + 2].is_word() {
            end += 2;
            path.push(tokens[end].text.clone());
        }
        if !tokens[at].is_test {
            self.words.extend(path.iter().cloned());
        }
        let goes_on = at > 0 && matches!(tokens[at - 1].text.as_str(), "::" | ".");
        if path.len() > 1 && !goes_on {
            let Token { line, is_test, .. } = tokens[at];
            self.named.push(Named { path, line, is_test, inside, use_kind: None });
        }
        end
    }

    fn add_use(&mut self, tokens: &[Token], is_public: bool, inside: Vec<String>) {
        let mut at = 1;
        let mut names = Vec::new();
        if tokens[at].text == "::" {
            return;
        }
        use_tree(tokens, &mut at, &[], &mut names);
        for (path, name, line) in names {
            let use_kind = Some(Use { name, is_public });
            let is_test = tokens[0].is_test;
            self.named.push(Named { path, line, is_test, inside: inside.clone(), use_kind });
        }
    }
}

/// A path, the name that it brings in (`None` for `*`), and its line.
type UsedName = (Vec<String>, Option<String>, usize);

/// Reads `a::b::{c, d as e, f::*}` from `at` on.
fn use_tree(tokens: &[Token], at: &mut usize, before: &[String], found: &mut Vec<UsedName>) {
    let mut path = before.to_vec();
    let line = tokens[*at].line;
    loop {
        let token = &tokens[*at];
        *at += 1;
        match token.text.as_str() {
            "{" => {
                while tokens[*at].text != "}" {
                    use_tree(tokens, at, &path, found);
                    if tokens[*at].text == "," {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "*" => {
                found.push((path, None, line));
                return;
            }
            // `module::{self}` is the module.
            "self" if !path.is_empty() => {}
            _ => path.push(token.text.clone()),
        }
        match tokens[*at].text.as_str() {
            "::" => *at += 1,
            "as" => {
                let name = tokens[*at + 1].text.clone();
                *at += 2;
                found.push((path, Some(name), line));
                return;
            }
            _ => {
                let name = path.last().cloned();
                found.push((path, name, line));
                return;
            }
        }
    }
}

/// True when the item whose keyword is at `at` is `pub` in any way.
fn is_public(tokens: &[Token], at: usize) -> bool {
    let before = &tokens[..at];
    let Some(last) = before.last() else { return false };
    let open = match last.text.as_str() {
        ")" => before.iter().rposition(|token| token.text == "(").unwrap_or(0),
        _ => before.len(),
    };
    open > 0 && before[open - 1].text == "pub"
}

/// The name of the item whose keyword is at `at`.
fn defined_item(tokens: &[Token], at: usize) -> Option<String> {
    let text = |i: usize| tokens.get(i).map_or("", |token| token.text.as_str());
    let name = match text(at) {
        "struct" | "enum" | "union" | "trait" | "type" | "fn" => text(at + 1),
        "const" | "static" if matches!(text(at + 1), "fn" | "unsafe" | "async") => return None,
        "static" if text(at + 1) == "mut" => text(at + 2),
        "const" | "static" => text(at + 1),
        "macro_rules" if text(at + 1) == "!" => text(at + 2),
        _ => return None,
    };
    Some(name.to_owned())
}

/// Each import of a made-up tree, as `from:line -> to`.
fn resolved(files: &[(&str, &str)]) -> Vec<String> {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    let tree = Tree::of(files.collect());
    let graph = Graph::new(&tree);
    let name = |index: usize| tree.sources[index].path.trim_start_matches("src/");
    let edges = graph.edges(false);
    edges
        .iter()
        .map(|((from, to), line)| format!("{}:{line} -> {}", name(*from), name(*to)))
        .collect()
}

#[test]
fn imports_lead_to_the_file_that_defines_the_item() {
    let raft = "mod log;\nmod role;\npub use log::Log;\npub(crate) use self::role::*;\n";
    let files = |user: &'static str| {
        resolved(&[
            ("src/lib.rs", "pub mod raft;\npub mod user;\n"),
            ("src/raft/mod.rs", raft),
            ("src/raft/log.rs", "pub struct Log;\npub fn open() {}\n"),
            ("src/raft/role.rs", "pub enum Role { Leader }\n"),
            ("src/user.rs", user),
        ])
    };
    let log = |line: usize| vec![format!("user.rs:{line} -> raft/log.rs")];
    let role = |line: usize| vec![format!("user.rs:{line} -> raft/role.rs")];
    assert_eq!(files("use crate::raft::Log;\n"), log(1));
    assert_eq!(files("use crate::{\n    raft::{self as r, Log as L},\n};\n"), log(2));
    assert_eq!(files("use super::raft;\nfn f() {\n    raft::Log::new();\n}\n"), log(3));
    assert_eq!(files("fn f(x: crate::raft::log::Log) {}\n"), log(1));
    assert_eq!(files("use crate::raft::Role;\nuse Role::*;\n"), role(1));
    assert_eq!(files("use crate::raft::log;\nfn f() { log::open() }\n"), log(2));
    // A module alone, a comment, a string, another crate's module and tests are no imports.
    let quiet = "use crate::raft;\n// crate::raft::Log\nconst S: &str = \"crate::raft::Log\";\n\
                 use other::raft::Log;\n#[cfg(test)]\nmod tests {\n    use crate::raft::Log;\n}\n";
    assert_eq!(files(quiet), Vec::<String>::new());
}

#[test]
fn a_module_that_only_declares_and_re_exports_imports_nothing() {
    let files = |parent: &'static str| {
        let child = "use super::Settings;\npub struct Child;\n";
        resolved(&[("src/kv/mod.rs", parent), ("src/kv/child.rs", child)])
    };
    let up = "kv/child.rs:1 -> kv/mod.rs";
    let quiet = "mod child;\npub use child::Child;\npub struct Settings;\n";
    assert_eq!(files(quiet), [up]);
    let used = "mod child;\npub use child::Child;\npub struct Settings(Child);\n";
    assert_eq!(files(used), [up, "kv/mod.rs:2 -> kv/child.rs"]);
    let path = "mod child;\npub struct Settings(child::Child);\n";
    assert_eq!(files(path), [up, "kv/mod.rs:2 -> kv/child.rs"]);
}
