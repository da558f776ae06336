//! The features of the crate are walls between modules (docs/adr/0034).

use super::lex;
use super::report::{self, Complaint};
use super::source::Tree;

/// Complains of each condition on a feature that stands before anything but a module or the names
/// that it hands out: code that differs from build to build is tested in one of them only.
fn gates(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in tree.src() {
        let tokens = &source.tokens;
        let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
        for at in 0..tokens.len() {
            let is_inner = at > 0 && text(at - 1) == "!";
            let is_attribute = text(at) == "[" && ["cfg", "cfg_attr"].contains(&text(at + 1));
            let is_macro = text(at) == "cfg" && text(at + 1) == "!";
            // An inner attribute is that of the whole module.
            if is_inner || !is_attribute && !is_macro {
                continue;
            }
            let open = if is_attribute { at } else { at + 2 };
            let end = lex::closing_bracket(tokens, open);
            let has = |word: &str| tokens[open..end].iter().any(|token| token.text == word);
            // The tests alone are no part of the crate.
            let names_feature = has("feature") && !has("test");
            let item = if text(end + 1) == "pub" { end + 2 } else { end + 1 };
            let is_wall = is_attribute && ["mod", "use"].contains(&text(item));
            if names_feature && !is_wall {
                let rule = "a feature gates a whole module, and nothing in one";
                complaints.push(Complaint::new(&source.path, tokens[at].line, rule));
            }
        }
    }
    complaints
}

#[test]
fn features_gate_whole_modules() {
    report::assert_none("features", gates);
}

#[test]
fn a_feature_inside_a_module_is_found() {
    let caught = |text: &str| report::found(gates, &[("src/a.rs", text)]);
    let rule = "a feature gates a whole module, and nothing in one";
    for inside in [
        "#[cfg(feature = \"server\")]\nfn f() {}\n",
        "#[cfg_attr(feature = \"server\", derive(Debug))]\nstruct S;\n",
        "fn f() -> bool { cfg!(feature = \"server\") }\n",
        "fn f() {\n    #[cfg(not(feature = \"server\"))]\n    return;\n}\n",
    ] {
        let line = if inside.starts_with("fn f() {\n") { 2 } else { 1 };
        assert_eq!(caught(inside), [format!("src/a.rs:{line}: {rule}")], "{inside}");
    }
    let quiet = "#![cfg_attr(feature = \"server\", allow(dead_code))]\n\
                 #[cfg(feature = \"server\")]\npub mod kv;\n#[cfg(feature = \"server\")]\n\
                 pub use kv::Store;\n#[cfg(any(test, feature = \"testing\"))]\nfn t() {}\n\
                 #[cfg(test)]\nfn u() {}\n";
    assert_eq!(caught(quiet), Vec::<String>::new());
}
