//! The walls between actors: actors share messages and io, and one imports another only to
//! start it.

use super::imports::Graph;
use super::lex::Token;
use super::report::{self, Complaint};
use super::source::{Source, Tree};

/// An actor's file that imports another actor, and the reason.
struct Start {
    file: &'static str,
    starts: &'static str,
    reason: &'static str,
}

const STARTS: &[Start] = &[
    Start {
        file: "src/actors/clients/acceptor.rs",
        starts: "src/actors/clients/session.rs",
        reason: "a session for each accepted connection",
    },
    Start {
        file: "src/actors/peers/acceptor.rs",
        starts: "src/actors/peers/session.rs",
        reason: "a session for each accepted connection",
    },
    Start {
        file: "src/actors/peers/mod.rs",
        starts: "src/actors/peers/acceptor.rs",
        reason: "one acceptor for all peers",
    },
    Start {
        file: "src/actors/peers/mod.rs",
        starts: "src/actors/peers/link.rs",
        reason: "a link for each peer",
    },
    Start {
        file: "src/actors/peers/mod.rs",
        starts: "src/actors/peers/replicator.rs",
        reason: "a replicator for each peer",
    },
];

const ACTORS: &str = "src/actors/";
const MESSAGES: &str = "src/actors/messages/";
const IO: &str = "src/actors/io/";

/// An `impl` block.
pub struct Impl {
    /// The trait's name; `None` for the type's own methods.
    pub of_trait: Option<String>,
    /// The name of the trait's type argument, without its path: `X` of `Handler<a::X>`.
    pub argument: Option<String>,
    /// The name of the type, without its path.
    pub of_type: String,
    pub line: usize,
}

impl Impl {
    pub fn is_of(&self, name: &str) -> bool {
        self.of_trait.as_deref() == Some(name)
    }
}

/// The impl blocks in the production code of a file.
pub fn impls(source: &Source) -> Vec<Impl> {
    let tokens = &source.tokens;
    let starts = (0..tokens.len()).filter(|at| tokens[*at].text == "impl" && !tokens[*at].is_test);
    starts.filter_map(|at| read_impl(tokens, at)).collect()
}

fn read_impl(tokens: &[Token], start: usize) -> Option<Impl> {
    let mut at = start + 1;
    if tokens.get(at)?.text == "<" {
        at = closing_angle(tokens, at) + 1;
    }
    let line = tokens[start].line;
    let name = path_name(tokens, &mut at)?;
    let mut argument = None;
    if tokens.get(at)?.text == "<" {
        let mut inner = at + 1;
        argument = path_name(tokens, &mut inner);
        at = closing_angle(tokens, at) + 1;
    }
    if tokens.get(at)?.text != "for" {
        return Some(Impl { of_trait: None, argument: None, of_type: name, line });
    }
    at += 1;
    while matches!(tokens.get(at)?.text.as_str(), "&" | "'" | "[" | "(") {
        at += 1;
    }
    let of_type = path_name(tokens, &mut at)?;
    Some(Impl { of_trait: Some(name), argument, of_type, line })
}

/// The last word of the path at `at`. `at` is moved to the token after the path.
pub fn path_name(tokens: &[Token], at: &mut usize) -> Option<String> {
    let mut name = None;
    while let Some(token) = tokens.get(*at) {
        if token.is_word() {
            name = Some(token.text.clone());
        } else if token.text != "::" {
            break;
        }
        if token.is_word() && tokens.get(*at + 1).is_none_or(|next| next.text != "::") {
            *at += 1;
            break;
        }
        *at += 1;
    }
    name
}

fn closing_angle(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "<" => depth += 1,
            ">" if tokens[at - 1].text != "-" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len() - 1
}

pub fn is_actor(source: &Source) -> bool {
    impls(source).iter().any(|found| found.is_of("Actor"))
}

fn imports_of_actors(tree: &Tree) -> Vec<Complaint> {
    let graph = Graph::new(tree);
    let mut complaints = Vec::new();
    for ((from, to), line) in graph.edges(false) {
        let (from, to) = (&graph.sources[from], &graph.sources[to]);
        if from.path.starts_with(ACTORS)
            && to.path.starts_with(ACTORS)
            && let Some(rule) = forbidden(from, to)
        {
            complaints.push(Complaint::new(&from.path, line, rule));
        }
    }
    complaints
}

/// The reason why one file of src/actors may not import another.
fn forbidden(from: &Source, to: &Source) -> Option<String> {
    let is_in = |source: &Source, folder: &str| source.path.starts_with(folder);
    if is_in(from, IO) && !is_in(to, IO) {
        return Some(format!("io imports {}: it serves actors and knows none", to.path));
    }
    if is_in(from, MESSAGES) && !is_in(to, MESSAGES) && !is_in(to, IO) {
        return Some(format!("messages import {}: only messages and io", to.path));
    }
    let is_shared = is_in(to, MESSAGES) || is_in(to, IO);
    let is_own = from.is_above(to) || to.is_above(from) || room(&from.path) == room(&to.path);
    let is_listed = STARTS.iter().any(|start| start.file == from.path && start.starts == to.path);
    if is_shared || is_listed || is_own && (!is_actor(to) || to.is_above(from)) {
        return None;
    }
    Some(format!("imports {}: actors share only messages and io", to.path))
}

/// The part of src/actors that a file belongs to: a folder or a file.
fn room(path: &str) -> &str {
    let below = &path[ACTORS.len()..];
    below.split('/').next().expect("a path has a first part").trim_end_matches(".rs")
}

/// Complains of the entries of the list that excuse no import.
fn starts_that_are_gone(tree: &Tree) -> Vec<Complaint> {
    let graph = Graph::new(tree);
    let edges = graph.edges(false);
    let is_there = |start: &Start| {
        let path = |index: usize| graph.sources[index].path.as_str();
        edges.keys().any(|(from, to)| path(*from) == start.file && path(*to) == start.starts)
    };
    let gone = STARTS.iter().filter(|start| !is_there(start));
    let complaint = |start: &Start| {
        let Start { file, starts, reason } = start;
        let rule = format!("{file} does not start {starts} ({reason})");
        Complaint::new("tests/tidy/actors.rs", 1, rule)
    };
    gone.map(complaint).collect()
}

fn messages(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in tree.production().filter(|source| source.path.starts_with(MESSAGES)) {
        for found in impls(source) {
            let of_trait = found.of_trait.unwrap_or_default();
            if matches!(of_trait.as_str(), "Actor" | "Handler" | "StreamHandler") {
                let rule = format!("messages have no {of_trait}: it belongs to an actor");
                complaints.push(Complaint::new(&source.path, found.line, rule));
            }
        }
    }
    complaints
}

#[test]
fn an_actor_imports_another_only_to_start_it() {
    report::assert_none("actors import", imports_of_actors);
    report::assert_none("starts", starts_that_are_gone);
}

#[test]
fn messages_are_data() {
    report::assert_none("messages", messages);
}

#[test]
fn an_import_of_another_actor_is_found_on_its_line() {
    let actor = |name: &str| format!("pub struct {name};\nimpl Actor for {name} {{}}\n");
    let files = |user: (&'static str, &'static str)| {
        let actors = [actor("Log"), actor("Session"), actor("Raft")];
        let there = [
            ("src/actors/mod.rs", ""),
            ("src/actors/clients/mod.rs", ""),
            ("src/actors/log.rs", actors[0].as_str()),
            ("src/actors/clients/session.rs", actors[1].as_str()),
            ("src/actors/raft/mod.rs", actors[2].as_str()),
            ("src/actors/clients/window.rs", "pub struct Window;\n"),
            ("src/actors/messages/log.rs", "pub struct Append;\n"),
            ("src/actors/io/memory.rs", "pub struct Budget;\n"),
        ];
        report::found(imports_of_actors, &there.into_iter().chain([user]).collect::<Vec<_>>())
    };
    let kv = "src/actors/kv.rs";
    assert_eq!(
        files((kv, "\nuse super::log::Log;\n")),
        ["src/actors/kv.rs:2: imports src/actors/log.rs: actors share only messages and io"]
    );
    let window = "use super::clients::window::Window;\n";
    assert_eq!(files((kv, window)).len(), 1);
    let shared = "use super::messages::log::Append;\nuse super::io::memory::Budget;\n";
    assert_eq!(files((kv, shared)), Vec::<String>::new());
    let session = "use super::session::Session;\nuse super::window::Window;\n";
    assert_eq!(files(("src/actors/clients/acceptor.rs", session)), Vec::<String>::new());
    assert_eq!(
        files(("src/actors/clients/other.rs", session)),
        ["src/actors/clients/other.rs:1: imports src/actors/clients/session.rs: \
          actors share only messages and io"]
    );
    let part = "use super::Raft;\n";
    assert_eq!(files(("src/actors/raft/effects.rs", part)), Vec::<String>::new());
    assert_eq!(
        files(("src/actors/messages/raft.rs", "use crate::actors::log::Log;\n")),
        ["src/actors/messages/raft.rs:1: messages import src/actors/log.rs: only messages and io"]
    );
    let up = files(("src/actors/io/pump.rs", "use crate::actors::messages::log::Append;\n"));
    assert_eq!(up.len(), 1);
    assert_eq!(report::found(starts_that_are_gone, &[("src/lib.rs", "")]).len(), STARTS.len());
}

#[test]
fn an_actor_among_the_messages_is_found() {
    let text = "impl Message for A {}\nimpl actix::Handler<b::A> for B {}\n\
                impl<T> Actor for C<T> {}\n#[cfg(test)]\nimpl Actor for D {}\n";
    assert_eq!(
        report::found(messages, &[("src/actors/messages/a.rs", text), ("src/actors/b.rs", text)]),
        [
            "src/actors/messages/a.rs:2: messages have no Handler: it belongs to an actor",
            "src/actors/messages/a.rs:3: messages have no Actor: it belongs to an actor",
        ]
    );
}
