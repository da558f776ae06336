//! The place in a command line that is being typed, and what may stand there.

use clap::{Arg, Command};

/// The names that arguments have which are keys, or their beginnings.
const KEY_ARGUMENTS: [&str; 2] = ["key", "prefix"];

/// The thing that may stand at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// One of these words.
    Words(Vec<String>),
    /// A key of the cluster.
    Key,
    /// Anything.
    Anything,
}

/// Finds out what may stand behind these words. `is_option` says that it begins with a dash.
pub fn wanted(program: &Command, before: &[String], is_option: bool) -> Wanted {
    let mut command = program;
    let (mut positionals, mut are_options_over) = (0, false);
    let mut words = before.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            are_options_over = true;
        } else if !are_options_over && word.len() > 1 && word.starts_with('-') {
            let argument = option(command, word).filter(|argument| takes_value(argument, word));
            if let Some(argument) = argument
                && words.next().is_none()
            {
                return possible_values(argument);
            }
        } else if let Some(below) = command.find_subcommand(word).filter(|_| positionals == 0) {
            command = below;
        } else {
            positionals += 1;
        }
    }
    if is_option && !are_options_over {
        return Wanted::Words(options(command));
    }
    if command.has_subcommands() && positionals == 0 {
        let names = command.get_subcommands().filter(|below| !below.is_hide_set());
        return Wanted::Words(names.map(|below| below.get_name().to_owned()).collect());
    }
    match command.get_positionals().nth(positionals) {
        Some(argument) if KEY_ARGUMENTS.contains(&argument.get_id().as_str()) => Wanted::Key,
        Some(argument) => possible_values(argument),
        None => Wanted::Anything,
    }
}

/// The option with this name.
fn option<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.split('=').next().unwrap_or(word);
    command.get_arguments().find(|argument| match name.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => argument.get_short().is_some_and(|short| name[1..].starts_with(short)),
    })
}

/// True when the value of an option is the next word.
fn takes_value(argument: &Arg, word: &str) -> bool {
    argument.get_action().takes_values() && !word.contains('=')
}

fn possible_values(argument: &Arg) -> Wanted {
    let values = argument.get_possible_values();
    let names: Vec<String> = values.iter().map(|value| value.get_name().to_owned()).collect();
    if names.is_empty() { Wanted::Anything } else { Wanted::Words(names) }
}

fn options(command: &Command) -> Vec<String> {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    shown.filter_map(Arg::get_long).map(|long| format!("--{long}")).collect()
}

#[cfg(test)]
mod tests;
