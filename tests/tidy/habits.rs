//! Habits of every file: its length and width, plain ASCII, finished work, errors instead
//! of `unwrap`, and exit codes in the command line only.

use super::lex::has_path;
use super::report::{self, Complaint};
use super::source::Tree;

const LINES_MAX: usize = 700;
const COLUMNS_MAX: usize = 100;

/// Words of unfinished work, which no source file contains, tests included.
const UNFINISHED: &[&str] = &["todo!", "dbg!", "unimplemented!"];

fn texts(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in &tree.sources {
        let mut complain =
            |line: usize, rule: String| complaints.push(Complaint::new(&source.path, line, rule));
        let lines = source.text.lines().count();
        if source.is_in_src() && lines > LINES_MAX {
            complain(lines, format!("{lines} lines: split it by idea at {LINES_MAX}"));
        }
        for (number, text) in source.text.lines().enumerate() {
            if text.chars().count() > COLUMNS_MAX {
                complain(number + 1, format!("longer than {COLUMNS_MAX} columns"));
            }
            // The section sign cites the paper.
            let is_strange = |c: &char| (!c.is_ascii() && *c != '\u{a7}') || c.is_ascii_control();
            if let Some(stranger) = text.chars().find(is_strange) {
                complain(
                    number + 1,
                    format!("{stranger:?} is not plain ASCII: write it as an escape"),
                );
            }
        }
        for (number, code) in source.code.iter().enumerate() {
            for word in UNFINISHED.iter().filter(|word| has_path(code, word)) {
                complain(number + 1, format!("{word} is not finished work"));
            }
        }
    }
    complaints
}

fn unwraps(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in tree.production().filter(|source| !source.is_testing()) {
        for (number, code) in source.production.iter().enumerate() {
            if code.contains(".unwrap()") {
                let rule = "unwrap() outside tests: expect() with the invariant, or an error";
                complaints.push(Complaint::new(&source.path, number + 1, rule));
            }
        }
    }
    complaints
}

fn exits(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let is_command_line = |module: &str| matches!(module, "main" | "cli");
    for source in tree.production().filter(|source| !is_command_line(source.module())) {
        for (number, code) in source.production.iter().enumerate() {
            for word in ["env_logger", "ExitCode", "process::exit", "clap"] {
                if has_path(code, word) {
                    let rule = format!("{word} belongs to main and cli");
                    complaints.push(Complaint::new(&source.path, number + 1, rule));
                }
            }
        }
    }
    complaints
}

#[test]
fn no_file_is_too_long_too_wide_unfinished_or_not_ascii() {
    report::assert_none("texts", texts);
}

#[test]
fn production_code_does_not_unwrap() {
    report::assert_none("unwraps", unwraps);
}

#[test]
fn exit_codes_and_the_logger_are_the_command_lines() {
    report::assert_none("exits", exits);
}

#[test]
fn a_long_wide_unfinished_or_strange_file_is_found_on_its_line() {
    let caught = |text: &str| report::found(texts, &[("src/a.rs", text)]);
    assert_eq!(caught(&"\n".repeat(701)), ["src/a.rs:701: 701 lines: split it by idea at 700"]);
    assert_eq!(caught(&"\n".repeat(700)), Vec::<String>::new());
    let wide = |columns: usize| format!("\n// {}\n", "x".repeat(columns - 3));
    assert_eq!(caught(&wide(101)), ["src/a.rs:2: longer than 100 columns"]);
    assert_eq!(caught(&wide(100)), Vec::<String>::new());
    let strange = "src/a.rs:1: '\u{e9}' is not plain ASCII: write it as an escape";
    assert_eq!(caught("// caf\u{e9}\n"), [strange]);
    assert_eq!(caught("// \u{a7}5.2\n"), Vec::<String>::new());
    assert_eq!(caught("fn f() {\n    todo!()\n}\n"), ["src/a.rs:2: todo! is not finished work"]);
    assert_eq!(caught("// todo!\nlet s = \"dbg!\"; my_todo!();\n"), Vec::<String>::new());
}

#[test]
fn an_unwrap_or_an_exit_is_found_on_its_line() {
    let text = "fn f() {\n    x.unwrap();\n}\n#[cfg(test)]\nfn t() { x.unwrap() }\n";
    let found = report::found(unwraps, &[("src/a.rs", text), ("src/testing/b.rs", text)]);
    assert_eq!(
        found,
        ["src/a.rs:2: unwrap() outside tests: expect() with the invariant, or an error"]
    );
    let text = "// ExitCode\nuse std::process::ExitCode;\n";
    let found = report::found(exits, &[("src/a.rs", text), ("src/main.rs", text)]);
    assert_eq!(found, ["src/a.rs:2: ExitCode belongs to main and cli"]);
}
