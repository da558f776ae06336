use clap::CommandFactory;
use clap::error::ErrorKind;

use super::super::Cli;
use super::*;

/// The commands that people can give, each without the program's name.
fn commands() -> Vec<String> {
    fn below(command: &Command, path: &str, all: &mut Vec<String>) {
        all.push(path.to_owned());
        for command in command.get_subcommands().filter(|it| it.get_name() != "guarded") {
            let path = format!("{path} {}", command.get_name());
            below(command, path.trim_start(), all);
        }
    }
    let mut all = Vec::new();
    below(&Cli::command(), "", &mut all);
    all
}

#[test]
fn each_command_has_one_example_and_no_example_is_left_over() {
    let mut shown: Vec<&str> = EXAMPLES.iter().map(|example| example.command).collect();
    let mut commands = commands();
    shown.sort_unstable();
    commands.sort_unstable();
    assert_eq!(shown, commands);
}

#[test]
fn each_example_is_a_sentence_and_a_line_that_the_command_line_knows() {
    for Example { command, sentence, typed } in EXAMPLES {
        assert!(typed.starts_with(&format!("coracle {command}")), "{typed}");
        assert!(sentence.ends_with('.') && sentence.starts_with(char::is_uppercase), "{sentence}");
        if let Err(error) = Cli::command().try_get_matches_from(typed.split(' ')) {
            panic!("{typed}: {error}");
        }
    }
}

#[test]
fn help_ends_with_the_example_and_keeps_what_it_said_before() {
    let help = |words: &[&str]| {
        let words = ["coracle"].iter().chain(words).chain(&["--help"]);
        let error = add_to(Cli::command()).try_get_matches_from(words).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DisplayHelp);
        error.to_string()
    };
    assert!(
        help(&["get"]).ends_with(
            "\n\nExample: Print the value of the key greeting.\n  coracle get greeting\n"
        )
    );
    assert!(help(&["member", "add"]).ends_with("\n  coracle member add 10.0.0.6:9001\n"));
    let txn = help(&["txn"]);
    assert!(txn.contains("A line of the script is a command"), "{txn}");
    assert!(txn.ends_with("\n  coracle txn move.txn\n"), "{txn}");
}

#[test]
fn each_argument_and_each_option_says_its_meaning() {
    fn below(command: &Command, path: &str, silent: &mut Vec<String>) {
        let has_none = |argument: &&clap::Arg| argument.get_help().is_none();
        let arguments = command.get_arguments().filter(|it| !it.is_hide_set()).filter(has_none);
        silent.extend(arguments.map(|argument| format!("{path} {}", argument.get_id())));
        command
            .get_subcommands()
            .for_each(|it| below(it, &format!("{path} {}", it.get_name()), silent));
    }
    let mut silent = Vec::new();
    let mut command = Cli::command();
    command.build();
    below(&command, "coracle", &mut silent);
    silent.retain(|it| !it.starts_with("coracle guarded") && !it.contains(" help "));
    assert!(silent.is_empty(), "{silent:?}");
}
