//! The files that a package installs beside the program: completions for shells, and man pages.
//! Both are made of the commands themselves, so they say what the program does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::{Shell, generate};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::examples::{self, Example};
use super::failure::Failure;
use super::output::print;

/// The name of the program.
const PROGRAM: &str = "coracle";

#[derive(Args, Debug)]
pub struct CompletionsCommand {
    /// The shell
    shell: Shell,
}

#[derive(Args, Debug)]
pub struct ManCommand {
    /// The directory to write to, which must exist
    dir: PathBuf,
}

impl CompletionsCommand {
    /// Prints the script that has the shell complete the words of `command`.
    pub fn run(self, command: Command) -> Result<(), Failure> {
        print(&script(self.shell, &command))
    }
}

/// The completions for a shell. Those for bash would have the hidden commands as well: they are
/// left out here.
fn script(shell: Shell, command: &Command) -> Vec<u8> {
    let shown = command.get_subcommands().filter(|below| !below.is_hide_set());
    let mut shown = Command::new(PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .args(command.get_arguments())
        .subcommands(shown);
    let mut script = Vec::new();
    generate(shell, &mut shown, PROGRAM, &mut script);
    script
}

impl ManCommand {
    /// Writes a page for `command` and for each below it that is not hidden.
    pub fn run(self, command: Command) -> Result<(), Failure> {
        for (name, page) in pages(command)? {
            write(&self.dir, &name, &page)?;
        }
        Ok(())
    }
}

/// Writes a page. The directory is named in the error, because the system's says no path.
fn write(dir: &Path, name: &str, page: &[u8]) -> Result<(), Failure> {
    let path = dir.join(name);
    fs::write(&path, page).map_err(|error| {
        let path = path.display();
        Failure::No(format!("{path} cannot be written ({error}): name a directory that is there"))
    })
}

/// The pages by the names of their files.
fn pages(command: Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    // `coracle help` needs no page: it shows those of others.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add_pages(&command, &mut pages)?;
    Ok(pages)
}

/// Adds the page of a command, and those of the commands below it.
fn add_pages(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let source = concat!("coracle ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).manual("Coracle").source(source);
    pages.push((man.get_filename(), page(command, &man)?));
    let shown = command.get_subcommands().filter(|below| !below.is_hide_set());
    shown.into_iter().try_for_each(|below| add_pages(below, pages))
}

/// The page of a command: the sections of clap, and its example in the section where man pages
/// have it.
fn page(command: &Command, man: &Man) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(notes) = command.get_after_help() {
        notes_section(&notes.to_string()).to_writer(&mut page)?;
    }
    let name = command.get_bin_name().unwrap_or(PROGRAM);
    let example = examples::of(name.trim_start_matches(PROGRAM).trim_start());
    if let Some(example) = example {
        examples_section(example).to_writer(&mut page)?;
    }
    Ok(page)
}

/// The end of the help. Lines of it that are indented stay lines of their own.
fn notes_section(notes: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["NOTES"]);
    let mut was_indented = false;
    for line in notes.lines() {
        let is_indented = line.starts_with(' ');
        if is_indented || was_indented {
            roff.control("br", []);
        }
        roff.text([roman(line)]);
        was_indented = is_indented;
    }
    roff
}

fn examples_section(example: &Example) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    roff.control("TP", []);
    roff.text([roman(example.sentence)]);
    roff.text([bold(example.typed)]);
    roff
}

#[cfg(test)]
mod tests;
