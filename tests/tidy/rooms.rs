//! The rooms of src: the modules that a top-level module may import, and the words that its
//! code may not contain.

use super::imports::Graph;
use super::lex::has_path;
use super::report::{self, Complaint};
use super::source::Tree;

/// The modules of the crate that a top-level module may import, `*` for all of them, and the
/// words that its code may not contain.
struct Room {
    module: &'static str,
    may_import: &'static [&'static str],
    forbidden: &'static [&'static str],
}

/// Pure code has no runtime, clock, thread, file or socket, no randomness except from a
/// generator that it is given, and no order that differs from run to run. (`core::time` has no
/// clock, only the type `Duration`, in which the core receives the time.)
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

/// Blocking code knows no runtime. It reaches files through its own trait `Disk`.
const BLOCKING: &[&str] = &["actix", "tokio", "std::thread", "std::net", "HashMap", "HashSet"];

const ROOMS: &[Room] = &[
    Room { module: "types", may_import: &[], forbidden: PURE },
    Room { module: "raft", may_import: &["types"], forbidden: PURE },
    // The words that a client and the store have in common: it has no answer that needs the store.
    Room { module: "commands", may_import: &["types"], forbidden: PURE },
    Room { module: "kv", may_import: &["commands", "types"], forbidden: PURE },
    // The text of commands for the store, and of what `status` says of a node. The server's half
    // alone knows the answers of `kv` and `raft`: the client is built without them.
    Room { module: "protocol", may_import: &["commands", "kv", "raft", "types"], forbidden: PURE },
    Room { module: "storage", may_import: &["types"], forbidden: BLOCKING },
    Room { module: "wire", may_import: &["types", "raft"], forbidden: &["actix", "HashMap"] },
    Room { module: "config", may_import: &["types"], forbidden: &["actix", "tokio", "HashMap"] },
    // Records as text and JSON. The bound on lines is given the time of the runtime.
    Room {
        module: "logging",
        may_import: &["types"],
        forbidden: &["actix", "std::fs", "std::thread", "HashMap"],
    },
    // Numbers that the actors change, and the text that is made of them.
    Room {
        module: "metrics",
        may_import: &["clock", "raft", "types"],
        forbidden: &["actix", "tokio", "HashMap"],
    },
    Room { module: "clock", may_import: &[], forbidden: &["actix", "tokio"] },
    Room { module: "net", may_import: &[], forbidden: &["actix"] },
    // The commands of the store in the text of the protocol; leases are counted on the clock that
    // goes on while the machine sleeps.
    Room {
        module: "client",
        may_import: &["clock", "commands", "protocol", "types"],
        forbidden: &["actix", "HashMap"],
    },
    Room {
        module: "actors",
        may_import: &[
            "clock", "config", "kv", "logging", "metrics", "net", "protocol", "raft", "storage",
            "types", "wire",
        ],
        forbidden: &["std::net", "rand::rng"],
    },
    // A door, on a thread of its own: it asks as a client does, and knows nothing of what answers.
    Room {
        module: "http",
        may_import: &["actors", "client", "kv", "logging", "metrics", "protocol", "raft", "types"],
        forbidden: &["rand::rng", "std::fs", "actix::Actor", "actix::Addr"],
    },
    Room { module: "node", may_import: &["*"], forbidden: &["rand::rng"] },
    Room { module: "testing", may_import: &["*"], forbidden: &["rand::rng"] },
    Room { module: "lib", may_import: &["*"], forbidden: &["actix", "tokio"] },
    Room { module: "main", may_import: &["*"], forbidden: &["actix"] },
    Room { module: "cli", may_import: &["*"], forbidden: &["actix", "process::exit"] },
];

fn imports(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let graph = Graph::new(tree);
    for import in graph.imports.iter().filter(|import| !import.is_test) {
        let source = &graph.sources[import.from];
        let module = source.module();
        let Some(other) = import.written.get(1) else { continue };
        let Some(room) = ROOMS.iter().find(|room| room.module == module) else { continue };
        let is_allowed = other == module || room.may_import.contains(&other.as_str());
        // Upper case: an item of the crate's root, of which only re-exports are there.
        if !is_allowed && !room.may_import.contains(&"*") {
            let rule = format!("{module} may not import {other}");
            complaints.push(Complaint::new(&source.path, import.line, rule));
        }
    }
    for source in tree.src() {
        let module = source.module();
        let Some(room) = ROOMS.iter().find(|room| room.module == module) else {
            let rule = format!("{module} has no rule in tests/tidy/rooms.rs");
            complaints.push(Complaint::new(&source.path, 1, rule));
            continue;
        };
        for (number, code) in source.production.iter().enumerate() {
            for word in room.forbidden.iter().filter(|word| has_path(code, word)) {
                let rule = format!("{module} knows no {word}");
                complaints.push(Complaint::new(&source.path, number + 1, rule));
            }
        }
    }
    complaints
}

/// Complains of the rules for modules that do not exist.
fn rooms_that_are_gone(tree: &Tree) -> Vec<Complaint> {
    let is_there = |room: &Room| tree.src().any(|source| source.module() == room.module);
    let gone = ROOMS.iter().filter(|room| !is_there(room));
    let complaint = |room: &Room| {
        let rule = format!("there is no module {} any more", room.module);
        Complaint::new("tests/tidy/rooms.rs", 1, rule)
    };
    gone.map(complaint).collect()
}

#[test]
fn every_module_imports_only_what_the_design_allows_it() {
    report::assert_none("imports", imports);
    report::assert_none("rooms", rooms_that_are_gone);
}

#[test]
fn a_forbidden_import_or_word_is_found_on_its_line() {
    let caught = |path: &str, text: &str| report::found(imports, &[(path, text)]);
    assert_eq!(
        caught("src/raft/log.rs", "//! Doc.\nuse crate::kv::Store;\n"),
        ["src/raft/log.rs:2: raft may not import kv"]
    );
    assert_eq!(
        caught("src/raft/mod.rs", "fn f() {\n    super::wire::encode();\n}\n"),
        ["src/raft/mod.rs:2: raft may not import wire"]
    );
    assert_eq!(
        caught("src/kv/store.rs", "use crate::{\n    types::Term,\n    raft::{self, Role},\n};\n"),
        ["src/kv/store.rs:3: kv may not import raft"]
    );
    assert_eq!(
        caught("src/kv/store.rs", "use std::collections::HashMap;\n"),
        ["src/kv/store.rs:1: kv knows no HashMap"]
    );
    assert_eq!(
        caught("src/storage/log.rs", "let x = 'a'; let s = \"//\"; tokio::spawn(x);\n"),
        ["src/storage/log.rs:1: storage knows no tokio"]
    );
    assert_eq!(
        caught("src/plumbing.rs", "fn f() {}\n"),
        ["src/plumbing.rs:1: plumbing has no rule in tests/tidy/rooms.rs"]
    );
    let quiet = "// crate::kv\n/* tokio */\nuse crate::types::Term;\nlet s = \"crate::kv tokio\";\n\
                 fn f<'a>(tokio_like: &'a str, my_actix: u8) {}\n\
                 #[cfg(test)]\nmod tests {\n    use crate::kv;\n}\n";
    assert_eq!(caught("src/raft/log.rs", quiet), Vec::<String>::new());
    let gone = report::found(rooms_that_are_gone, &[("src/types.rs", ""), ("src/raft/mod.rs", "")]);
    assert_eq!(gone.len(), ROOMS.len() - 2);
}
