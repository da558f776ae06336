//! Every command of the pages that people read, run as it is written there.
//!
//! A page is a story: it is run from its beginning to its end, in one directory that looks like a
//! checkout, with real servers. CONTRIBUTING.md says how a page is written ("Change a page").
//!
//! Times, versions, numbers of changes, and the widths of columns differ from run to run, and are
//! not compared (`words::normal`). Ports, addresses and directories stand for others here:
//!
//! | on the page | here |
//! | --- | --- |
//! | `9000` to `9015`, `9100` to `9107` | free ports of this machine, for eight servers |
//! | `10.0.0.N:9000`, `10.0.0.N:9001` | the addresses of server N, for clients and servers |
//! | `PID` | the process of the server that a comment has named |
//! | `On that machine:  coracle serve ...` in an output | the command is run when it is printed |

mod common;

/// The parts of the test.
mod pages {
    pub mod examples;
    pub mod page;
    pub mod process;
    pub mod stage;
    pub mod words;

    mod tests;
}

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use pages::examples;
use pages::page::{Part, Step, steps};
use pages::stage::Stage;

/// The pages that are run, each with the maximum number of blocks that it may skip.
const PAGES: &[(&str, usize)] = &[
    ("README.md", 1),
    ("docs/commands.md", 0),
    ("docs/coordination.md", 0),
    ("docs/getting-started/contributor.md", 2),
    ("docs/getting-started/developer.md", 2),
    ("docs/getting-started/operator.md", 1),
    ("docs/install.md", 5),
    ("docs/operations.md", 3),
    (examples::PAGE, 0),
];

/// The pages with commands that are not run, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("CONTRIBUTING.md", "its commands build, measure and test for minutes and hours"),
    ("docs/client.md", "its command builds the documentation, and opens a browser"),
];

/// The page that is being run. The machine has no load by two clusters.
static RUNNING: Mutex<()> = Mutex::new(());

/// The steps of a page.
fn read(page: &str) -> Vec<Step> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page));
    let text = text.unwrap_or_else(|error| panic!("{page}: {error}"));
    steps(&text).unwrap_or_else(|error| panic!("{page}:{error}"))
}

/// Does what a page says, and compares what is printed.
fn run_page(page: &str) {
    let row = PAGES.iter().find(|(name, _)| *name == page).expect("it is in the table");
    let skipped_max = row.1;
    // Another page may have failed.
    let _running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    let mut stage: Option<Stage> = None;
    let (mut commands, mut skipped) = (0, 0);
    for step in read(page) {
        let place = format!("{page}:{}", step.line);
        if let Part::Event(event) = &step.part
            && let [verb, count, "servers"] = event.split(' ').collect::<Vec<_>>()[..]
        {
            // The old ones end before, so that the machine has no load by two clusters.
            drop(stage.take());
            let count = count.parse().unwrap_or_else(|_| panic!("{place}: {event}"));
            stage = Some(match verb {
                "start" => Stage::start(count),
                "prepare" => Stage::prepare(count),
                _ => panic!("{place}: an unknown event: {event}"),
            });
            continue;
        }
        skipped += usize::from(matches!(step.part, Part::Skipped { .. }));
        let stage = stage.get_or_insert_with(|| Stage::prepare(5));
        match stage.perform(&step) {
            Ok(None) => commands += usize::from(!matches!(step.part, Part::Event(_))),
            Ok(Some(reason)) => say(&format!("{place} is not run: {reason}")),
            Err(error) => panic!("{place}: {}\n{error}", step.part.typed()),
        }
    }
    say(&format!("{page}: {commands} commands were run, {skipped} blocks are skipped"));
    assert!(commands > 0, "{page} has commands");
    assert!(skipped <= skipped_max, "{page} skips {skipped} blocks: {skipped_max} are allowed");
}

/// Prints a line, which the harness of the tests does not keep for itself.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn readme() {
    run_page("README.md");
}

#[test]
fn coordination() {
    run_page("docs/coordination.md");
}

#[test]
fn operations() {
    run_page("docs/operations.md");
}

#[test]
fn commands() {
    run_page("docs/commands.md");
}

#[test]
fn install() {
    run_page("docs/install.md");
}

#[test]
fn getting_started_as_a_developer() {
    run_page("docs/getting-started/developer.md");
}

#[test]
fn getting_started_as_an_operator() {
    run_page("docs/getting-started/operator.md");
}

#[test]
fn getting_started_as_a_contributor() {
    run_page("docs/getting-started/contributor.md");
}

#[test]
fn examples_of_the_help_and_of_the_man_pages() {
    examples::assert_all_are_on(&read(examples::PAGE));
    run_page(examples::PAGE);
}

/// The documents of a folder and of those in it.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the sources can be read") {
        let path = entry.expect("the sources can be read").path();
        if path.is_dir() {
            found.extend(documents(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

#[test]
fn no_page_with_commands_is_forgotten() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = documents(&root.join("docs"));
    pages.extend(["README.md", "CONTRIBUTING.md"].map(|name| root.join(name)));
    let has_commands = |page: &PathBuf| {
        let text = fs::read_to_string(page).expect("it is there");
        text.lines().any(|line| matches!(line.trim(), "```sh" | "```console"))
    };
    let with_commands = pages.iter().filter(|page| has_commands(page)).map(|page| {
        let path = page.strip_prefix(root).expect("it is in the sources");
        path.to_str().expect("it is text")
    });
    let with_commands: BTreeSet<&str> = with_commands.chain([examples::PAGE]).collect();
    let run = PAGES.iter().map(|(page, _)| *page);
    let known: BTreeSet<&str> = run.chain(LEFT_OUT.iter().map(|(page, _)| *page)).collect();
    assert_eq!(with_commands, known);
    LEFT_OUT.iter().for_each(|(page, reason)| say(&format!("{page} is not run: {reason}")));
}

#[test]
fn the_figures_of_the_readme_are_those_of_the_measurements() {
    let text = |page: &str| {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).expect("it is there")
    };
    let measured = text("docs/performance.md");
    let (_, measured) = measured.split_once("<!-- tables against etcd -->").expect("it is there");
    let (measured, _) =
        measured.split_once("<!-- end of tables against etcd -->").expect("it is there");
    let measured: Vec<&str> = measured.lines().collect();
    let readme = text("README.md");
    let rows = readme.lines().skip_while(|line| !line.ends_with("| times better |")).skip(2);
    let rows: Vec<&str> = rows.take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 3, "{rows:?}");
    for row in rows {
        assert!(measured.contains(&row), "docs/performance.md has no such row: {row}");
    }
}
