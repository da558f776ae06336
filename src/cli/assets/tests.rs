use clap::CommandFactory;

use super::super::Cli;
use super::*;

fn text_of(name: &str) -> String {
    let pages = pages(Cli::command()).unwrap();
    let page = pages.into_iter().find(|(page, _)| page == name);
    String::from_utf8(page.unwrap_or_else(|| panic!("no {name}")).1).unwrap()
}

#[test]
fn each_command_has_a_page_with_an_example_and_hidden_ones_have_none() {
    let pages = pages(Cli::command()).unwrap();
    let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["coracle.1", "coracle-get.1", "coracle-member.1", "coracle-member-add.1"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for name in ["coracle-guarded.1", "coracle-man.1", "coracle-help.1"] {
        assert!(!names.contains(&name), "{names:?}");
    }
    for (name, page) in &pages {
        let page = String::from_utf8_lossy(page);
        assert_eq!(page.matches(".SH EXAMPLES\n").count(), 1, "{name}: {page}");
        assert!(page.contains("\\fBcoracle"), "{name}: {page}");
    }
}

#[test]
fn a_page_names_the_whole_command_its_options_and_what_its_help_ends_with() {
    let add = text_of("coracle-member-add.1");
    assert!(add.contains(".SH NAME\ncoracle\\-member\\-add"), "{add}");
    assert!(add.contains("\\-\\-dry\\-run"), "{add}");
    assert!(add.contains("coracle member add 10.0.0.6:9001"), "{add}");
    let txn = text_of("coracle-txn.1");
    assert!(txn.contains(".SH NOTES\nA line of the script is a command:\n.br\n"), "{txn}");
    assert!(txn.contains("\n.br\nA word with spaces"), "{txn}");
    assert!(text_of("coracle.1").contains("coracle\\-member(1)"));
}

#[test]
fn pages_are_written_to_a_directory_that_exists() {
    let dir = tempfile::tempdir().unwrap();
    ManCommand { dir: dir.path().to_owned() }.run(Cli::command()).unwrap();
    let count = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(count, pages(Cli::command()).unwrap().len());
    let none = dir.path().join("none");
    let refused = ManCommand { dir: none.clone() }.run(Cli::command()).unwrap_err();
    assert!(refused.sentence().starts_with(&none.display().to_string()), "{refused}");
}

#[test]
fn each_shell_gets_a_script_with_all_commands() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let script = String::from_utf8(script(shell, &Cli::command())).unwrap();
        for word in ["coracle", "snapshot", "restore", "bump-revision"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
        assert!(!script.contains("guarded"), "{shell}");
    }
}
