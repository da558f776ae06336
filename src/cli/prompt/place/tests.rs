use clap::CommandFactory;

use super::*;
use crate::cli::Cli;

fn at(words: &str, is_option: bool) -> Wanted {
    let mut program = Cli::command();
    program.build();
    let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
    wanted(&program, &words, is_option)
}

fn words(wanted: Wanted) -> Vec<String> {
    match wanted {
        Wanted::Words(words) => words,
        other => panic!("no words: {other:?}"),
    }
}

#[test]
fn commands_are_known_and_hidden_ones_are_not_offered() {
    let commands = words(at("", false));
    for command in ["get", "set", "watch", "status", "member", "help"] {
        assert!(commands.iter().any(|known| known == command), "{command}: {commands:?}");
    }
    assert!(!commands.iter().any(|known| known == "guarded" || known == "man"), "{commands:?}");
    assert!(words(at("member", false)).contains(&"list".to_owned()));
    assert!(words(at("help", false)).contains(&"get".to_owned()));
}

#[test]
fn keys_are_wanted_where_a_command_takes_one() {
    for command in ["get", "set", "add", "cas", "delete", "scan", "watch", "history"] {
        assert_eq!(at(command, false), Wanted::Key, "{command}");
        assert_eq!(at(&format!("{command} --timeout-ms 5"), false), Wanted::Key, "{command}");
        assert_eq!(at(&format!("{command} --"), true), Wanted::Key, "{command}");
    }
    assert_eq!(at("set a", false), Wanted::Anything);
    assert_eq!(at("lock", false), Wanted::Anything);
    assert_eq!(at("get --at", false), Wanted::Anything);
    assert_eq!(at("get --at=7", false), Wanted::Key);
}

#[test]
fn options_are_those_of_the_command() {
    let options = words(at("watch", true));
    assert!(options.contains(&"--prev".to_owned()) && options.contains(&"--help".to_owned()));
    assert!(!options.contains(&"--exptime".to_owned()), "{options:?}");
    assert!(words(at("set a b", true)).contains(&"--exptime".to_owned()));
}
