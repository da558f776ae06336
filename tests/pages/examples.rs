//! The examples that the program itself shows, and the page that runs them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::page::{Part, Step};
use crate::common::coracle;

/// The page that has each example, in an order that makes a story.
pub const PAGE: &str = "tests/pages/examples.md";

/// The help of a command, which is named without the program.
fn help(command: &[String]) -> String {
    let arguments = command.iter().map(String::as_str).chain(["--help"]);
    let output = coracle(&arguments.collect::<Vec<_>>());
    String::from_utf8(output.stdout).expect("the help is text")
}

/// The commands below the one with this help.
fn below(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = lines.take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty() && *name != "help").map(str::to_owned).collect()
}

/// The line to type in a help.
fn example(help: &str) -> Option<&str> {
    let mut lines = help.lines().skip_while(|line| !line.starts_with("Example: "));
    lines.nth(1).map(str::trim)
}

/// The examples of a command and of all below it.
fn gather(command: &[String], examples: &mut BTreeMap<String, String>) {
    let help = help(command);
    let name = command.join(" ");
    let typed = example(&help).unwrap_or_else(|| panic!("no example in {name} --help:\n{help}"));
    examples.insert(name, typed.to_owned());
    for next in below(&help) {
        gather(&[command, &[next]].concat(), examples);
    }
}

/// The examples in the man pages, by the names of the files.
fn in_man_pages() -> BTreeMap<String, String> {
    let directory = TempDir::new().expect("a temporary directory can be made");
    let output = coracle(&["man", directory.path().to_str().expect("it is text")]);
    assert!(output.status.success(), "{output:?}");
    let pages = fs::read_dir(directory.path()).expect("it is ours").map(|entry| {
        let path = entry.expect("it is ours").path();
        let page = fs::read_to_string(&path).expect("it is ours");
        let (_, examples) = page.split_once(".SH EXAMPLES").expect("a page has examples");
        let typed = examples.lines().find_map(|line| line.strip_prefix("\\fB"));
        let typed = typed.and_then(|line| line.strip_suffix("\\fR")).expect("it is in bold");
        let name = path.file_stem().expect("it has a name").to_str().expect("it is text");
        (name.to_owned(), typed.replace("\\-", "-").replace("\\*(Aq", "'"))
    });
    pages.collect()
}

/// Compares the examples with the commands of the page.
pub fn assert_all_are_on(steps: &[Step]) {
    let mut examples = BTreeMap::new();
    gather(&[], &mut examples);
    assert!(examples.len() > 50, "{examples:?}");
    let of_man: BTreeMap<String, String> = in_man_pages();
    for (command, typed) in &examples {
        let file = format!("coracle {command}").trim_end().replace(' ', "-");
        assert_eq!(of_man.get(&file), Some(typed), "the man page {file}");
    }
    let on_page = steps.iter().filter_map(|step| match &step.part {
        Part::Command { typed, .. } | Part::Skipped { typed, .. } => {
            Some(typed.trim_start_matches("$ "))
        }
        _ => None,
    });
    let on_page: BTreeSet<&str> = on_page.collect();
    let missing = examples.values().filter(|typed| !on_page.contains(typed.as_str()));
    let missing: Vec<&String> = missing.collect();
    let name = Path::new(PAGE).display();
    assert!(missing.is_empty(), "{name} has no block for the examples {missing:#?}");
}
