//! The size of structs and functions.

use super::lex::{self, Token};
use super::report::{self, Complaint};
use super::source::{Source, Tree};

const FIELDS_MAX: usize = 15;
const FUNCTION_LINES_MAX: usize = 70;

/// The comment that excuses a larger struct, above its definition.
const REASON: &str = "More than fifteen fields: ";
const REASONS_MAX: usize = 3;

fn structs(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut reasons = 0;
    for source in tree.src() {
        for (at, token) in source.tokens.iter().enumerate() {
            if token.text != "struct" {
                continue;
            }
            let Some(open) = body(&source.tokens, at) else { continue };
            let fields = count_fields(&source.tokens, open);
            if fields <= FIELDS_MAX {
                continue;
            }
            let name = &source.tokens[at + 1].text;
            let rule = if !has_reason(source, at) {
                format!("{name} has {fields} fields: split it, or say why above it")
            } else if reasons == REASONS_MAX {
                format!("{name} is one more than {REASONS_MAX} structs with reasons for their size")
            } else {
                reasons += 1;
                continue;
            };
            complaints.push(Complaint::new(&source.path, token.line, rule));
        }
    }
    complaints
}

/// The brace that opens the body of the item whose keyword is at `at`.
fn body(tokens: &[Token], at: usize) -> Option<usize> {
    let mut at = at + 1;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "{" => return Some(at),
            ";" => return None,
            "(" | "[" => at = lex::closing_bracket(tokens, at),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The single colons right inside of the braces at `open`.
fn count_fields(tokens: &[Token], open: usize) -> usize {
    let close = lex::closing_bracket(tokens, open);
    let mut fields = 0;
    let mut at = open + 1;
    while at < close {
        match tokens[at].text.as_str() {
            "(" | "[" | "{" => at = lex::closing_bracket(tokens, at),
            ":" => fields += 1,
            _ => {}
        }
        at += 1;
    }
    fields
}

fn has_reason(source: &Source, at: usize) -> bool {
    let is_end = |token: &Token| matches!(token.text.as_str(), "}" | ";" | "{");
    let before = source.tokens[..at].iter().rfind(|token| is_end(token));
    let from = before.map_or(0, |token| token.line);
    let lines = from..source.tokens[at].line;
    let gives_reason = |line: &String| {
        let reason = line.trim().strip_prefix(REASON.trim_end());
        reason.is_some_and(|reason| !reason.trim().is_empty())
    };
    source
        .comments
        .iter()
        .filter(|comment| lines.contains(&comment.line))
        .any(|comment| comment.lines.iter().any(gives_reason))
}

fn functions(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in &tree.sources {
        for (at, token) in source.tokens.iter().enumerate() {
            // `fn(u8)` is a type.
            let is_function = token.text == "fn" && source.tokens[at + 1].is_word();
            let Some(open) = is_function.then(|| body(&source.tokens, at)).flatten() else {
                continue;
            };
            let close = lex::closing_bracket(&source.tokens, open);
            let lines = source.tokens[close].line - token.line + 1;
            if lines > FUNCTION_LINES_MAX {
                let name = &source.tokens[at + 1].text;
                let rule = format!("{name} has {lines} lines: {FUNCTION_LINES_MAX} is the most");
                complaints.push(Complaint::new(&source.path, token.line, rule));
            }
        }
    }
    complaints
}

#[test]
fn no_struct_has_more_than_fifteen_fields_without_a_reason() {
    report::assert_none("structs", structs);
}

#[test]
fn no_function_has_more_than_seventy_lines() {
    report::assert_none("functions", functions);
}

#[test]
fn a_large_struct_is_found_unless_a_reason_is_given() {
    let text = |above: &str, fields: usize| {
        let fields: Vec<String> =
            (0..fields).map(|n| format!("    f{n}: std::fmt::Map<(u8, fn(a: u8)), u8>,")).collect();
        format!(
            "use a;\n{above}\n/// Doc.\n#[derive(Clone)]\npub struct S {{\n{}\n}}\n",
            fields.join("\n")
        )
    };
    let found = |texts: &[String]| {
        let names = ["src/a.rs", "src/b.rs", "src/c.rs", "src/d.rs"];
        let files: Vec<_> = names.into_iter().zip(texts.iter().map(String::as_str)).collect();
        report::found(structs, &files)
    };
    let complaint = "src/a.rs:5: S has 16 fields: split it, or say why above it";
    assert_eq!(found(&[text("", 16)]), [complaint]);
    assert_eq!(found(&[text("// More than fifteen fields:", 16)]), [complaint]);
    assert_eq!(found(&[text("", 15)]), Vec::<String>::new());
    let excused = text("// More than fifteen fields: one a column.", 16);
    assert_eq!(found(&vec![excused.clone(); 3]), Vec::<String>::new());
    assert_eq!(
        found(&vec![excused; 4]),
        ["src/d.rs:5: S is one more than 3 structs with reasons for their size"]
    );
}

#[test]
fn a_long_function_is_found_on_its_first_line() {
    let text = |lines: usize| {
        format!(
            "trait T {{\n    fn short(f: fn(u8));\n}}\n#[inline]\nfn long() {{\n{}}}\n",
            "    a();\n".repeat(lines - 2)
        )
    };
    let found = |lines: usize| report::found(functions, &[("src/a.rs", &text(lines))]);
    assert_eq!(found(71), ["src/a.rs:5: long has 71 lines: 70 is the most"]);
    assert_eq!(found(70), Vec::<String>::new());
}
