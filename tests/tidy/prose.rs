//! The prose of comments: the subject comes first, and no comment only points elsewhere.

use super::lex::{Comment, first_word};
use super::report::{self, Complaint};
use super::source::Tree;

/// Words with which no comment begins: the sentence has lost its subject.
const FIRST_WORDS: &[&str] = &[
    "what", "who", "whose", "whom", "those", "whether", "and", "else", "so", "of", "where", "but",
    "how", "that",
];

/// Words that send the reader elsewhere.
const POINTERS: &[&str] = &["See the ", "see the module", "see the field"];

/// A word that belongs to the tests that put bugs back. They are outside of src.
const NOT_IN_SRC: &str = "mutant";

fn first_words(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in &tree.sources {
        for comment in &source.comments {
            let Some((line, word)) = beginning(comment) else { continue };
            if FIRST_WORDS.contains(&word.to_ascii_lowercase().as_str()) {
                let rule = format!("a comment begins with {word:?}: put the subject first");
                complaints.push(Complaint::new(&source.path, line, rule));
            }
        }
    }
    complaints
}

/// The first word of a comment and its line.
fn beginning(comment: &Comment) -> Option<(usize, &str)> {
    let texts = comment.lines.iter().map(|line| line.trim());
    let (number, text) = texts.enumerate().find(|(_, text)| !text.is_empty())?;
    let text = text.trim_start_matches(['(', '"', '*', '_', '[', '#', ' ']);
    Some((comment.line + number, first_word(text)))
}

fn pointers(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for source in &tree.sources {
        for comment in &source.comments {
            for (number, line) in comment.lines.iter().enumerate() {
                let next = comment.lines.get(number + 1).map_or("", |next| next.trim());
                let text = format!("{} {next} ", line.trim_end());
                let begins_here = |words: &str| text.find(words).is_some_and(|at| at < line.len());
                if POINTERS.iter().any(|words| begins_here(words)) {
                    let rule = "\"See the\": say here what the reader has to know";
                    complaints.push(Complaint::new(&source.path, comment.line + number, rule));
                }
            }
        }
    }
    complaints
}

fn mutants(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let sources = tree.src().map(|source| (&source.path, &source.text));
    let others = tree.documents.iter().filter(|(path, _)| path.starts_with("src/"));
    for (path, text) in sources.chain(others) {
        for (number, line) in text.lines().enumerate() {
            if line.to_ascii_lowercase().contains(NOT_IN_SRC) {
                let rule = format!("no file under src knows the word {NOT_IN_SRC}");
                complaints.push(Complaint::new(path, number + 1, rule));
            }
        }
    }
    complaints
}

#[test]
fn no_comment_begins_without_its_subject() {
    report::assert_none("first words", first_words);
}

#[test]
fn no_comment_says_see_the() {
    report::assert_none("see the", pointers);
}

#[test]
fn no_file_under_src_knows_the_word_mutant() {
    report::assert_none("mutants", mutants);
}

#[test]
fn a_comment_without_its_subject_is_found_on_its_line() {
    let caught = |text: &str| report::found(first_words, &[("src/a.rs", text)]);
    let complaint = |line: usize, word: &str| {
        [format!("src/a.rs:{line}: a comment begins with {word:?}: put the subject first")]
    };
    assert_eq!(caught("use a;\n\n/// What it is.\n"), complaint(3, "What"));
    assert_eq!(caught("//!\n//! (Whose it is.)\n"), complaint(2, "Whose"));
    assert_eq!(caught("let a = 1; // of the peer\n"), complaint(1, "of"));
    assert_eq!(caught("/// Title.\n// And more.\n"), complaint(2, "And"));
    let quiet = "/// Whatever comes first.\n/// What is in a second line.\nlet s = \"// So\";\n\
                 // Sofas.\n// Of all things.\nlet x = 1;\n";
    assert_eq!(caught(quiet), Vec::<String>::new());
}

#[test]
fn a_pointer_and_a_forbidden_word_are_found_on_their_lines() {
    let caught = |text: &str| report::found(pointers, &[("src/a.rs", text)]);
    let complaint = ["src/a.rs:2: \"See the\": say here what the reader has to know"];
    assert_eq!(caught("\n/// It is. See the module.\n"), complaint);
    assert_eq!(caught("/// A thing.\n/// It is long. See\n/// the field.\n"), complaint);
    let quiet = "/// We see the end. See\n\n/// the.\nlet s = \"See the \";\n";
    assert_eq!(caught(quiet), Vec::<String>::new());
    let files = [
        ("src/a.rs", "fn f() {}\nlet s = \"two Mutants\";\n"),
        ("src/b.md", "mutant!\n"),
        ("tests/c.rs", "// mutants\n"),
    ];
    assert_eq!(
        report::found(mutants, &files),
        [
            "src/a.rs:2: no file under src knows the word mutant",
            "src/b.md:1: no file under src knows the word mutant",
        ]
    );
}
